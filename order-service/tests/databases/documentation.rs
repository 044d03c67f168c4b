//! The API description agrees with the service.

use serde_json::Value;
use test_support::{Test, TestDatabase, test};

use crate::support::{Request, Service};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(every_route_is_described_with_its_answers),
        test!(the_examples_of_orders_are_accepted),
        test!(there_is_a_page_to_try_it),
    ]
}

async fn description(service: &Service) -> Value {
    let answer = Request::get("/openapi.json").send(service.address).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

async fn every_route_is_described_with_its_answers(database: TestDatabase) {
    let service = Service::start(database).await;
    let description = description(&service).await;
    let answers = |path: &str, method: &str| -> Vec<String> {
        let operation = &description["paths"][path][method];
        let answers = operation["responses"].as_object().unwrap();
        answers.keys().cloned().collect()
    };
    let placing = ["201", "400", "408", "413", "415", "422", "503"];
    assert_eq!(answers("/api/v1/orders", "post"), placing);
    assert_eq!(answers("/api/v1/orders/{id}", "put"), placing);
    assert_eq!(
        answers("/api/v1/orders/{id}/cancel", "post"),
        ["200", "400", "404", "409", "503"]
    );
    assert_eq!(
        answers("/api/v1/orders/{id}", "get"),
        ["200", "400", "404", "503"]
    );
    assert_eq!(answers("/api/v1/orders", "get"), ["200", "400", "503"]);
    assert_eq!(
        answers("/api/v1/orders/{id}/events", "get"),
        ["200", "204", "400", "404", "503"]
    );
    assert_eq!(
        answers("/api/v1/orders/events", "get"),
        ["200", "400", "503"]
    );
    for (name, schema) in [
        ("Placed", "orderId"),
        ("Cancelled", "reason"),
        ("Order", "updatedAt"),
        ("Page", "nextCursor"),
        ("History", "events"),
        ("NewOrder", "items"),
    ] {
        let properties = &description["components"]["schemas"][name]["properties"];
        assert!(properties.get(schema).is_some(), "{name}");
    }
}

async fn the_examples_of_orders_are_accepted(database: TestDatabase) {
    let service = Service::start(database).await;
    let description = description(&service).await;
    let body = &description["paths"]["/api/v1/orders"]["post"]["requestBody"]["content"]["application/json"];
    let examples = body["examples"].as_object().unwrap();
    assert_eq!(examples.len(), 2);
    let schema = &description["components"]["schemas"]["NewOrder"]["example"];
    let values = examples.values().map(|example| &example["value"]);
    for example in values.chain([schema]) {
        Request::post(example).send(service.address).await.placed();
    }
}

async fn there_is_a_page_to_try_it(database: TestDatabase) {
    let service = Service::start(database).await;
    let answer = Request::get("/docs/").send(service.address).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("<html"), "{answer:?}");
}
