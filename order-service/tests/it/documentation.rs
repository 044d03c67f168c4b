//! The API description agrees with the service.

use serde_json::Value;

use crate::support::{Request, Service};

async fn description(service: &Service) -> Value {
    let answer = Request::get("/openapi.json").send(service.address).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

#[tokio::test]
async fn every_route_is_described_with_its_answers() {
    let service = Service::start().await;
    let description = description(&service).await;
    let answers = |path: &str, method: &str| -> Vec<String> {
        let operation = &description["paths"][path][method];
        let answers = operation["responses"].as_object().unwrap();
        answers.keys().cloned().collect()
    };
    let placing = ["201", "400", "413", "415", "422", "503"];
    assert_eq!(answers("/api/v1/orders", "post"), placing);
    assert_eq!(answers("/api/v1/orders/{id}", "put"), placing);
    assert_eq!(
        answers("/api/v1/orders/{id}", "get"),
        ["200", "400", "404", "503"]
    );
    for (name, schema) in [
        ("Placed", "orderId"),
        ("Order", "updatedAt"),
        ("NewOrder", "items"),
    ] {
        let properties = &description["components"]["schemas"][name]["properties"];
        assert!(properties.get(schema).is_some(), "{name}");
    }
}

#[tokio::test]
async fn the_examples_of_orders_are_accepted() {
    let service = Service::start().await;
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

#[tokio::test]
async fn there_is_a_page_to_try_it() {
    let service = Service::start().await;
    let answer = Request::get("/docs/").send(service.address).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("<html"), "{answer:?}");
}
