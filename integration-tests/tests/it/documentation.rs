//! What the services say about themselves.

use integration_tests::System;
use serde_json::Value;
use test_support::{Test, test};

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(every_error_that_a_service_describes_is_a_problem_document, no database)]
}

/// Media types of the 4xx and 5xx in a description, with where they are.
fn errors(description: &Value) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        // A probe that fails has a report, not a problem.
        if path.starts_with("/health/") {
            continue;
        }
        for (method, operation) in operations.as_object().unwrap() {
            let Some(responses) = operation["responses"].as_object() else {
                continue;
            };
            for (status, response) in responses {
                if status.starts_with(['4', '5']) {
                    let types = response["content"].as_object().unwrap().keys().cloned();
                    found.push((format!("{method} {path} {status}"), types.collect()));
                }
            }
        }
    }
    found
}

async fn every_error_that_a_service_describes_is_a_problem_document() {
    let system = System::start().await;
    for (service, at_least) in [
        (&system.order, 13),
        (&system.stock[0], 9),
        (&system.email, 2),
        (&system.payment, 3),
        (&system.shipping, 4),
        (&system.webhook, 8),
    ] {
        let description = service.get("/openapi.json").await.json();
        let errors = errors(&description);
        assert!(errors.len() >= at_least, "{errors:?}");
        for (place, types) in errors {
            assert_eq!(types, ["application/problem+json"], "{place}");
        }
    }
}
