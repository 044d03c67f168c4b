//! What is told about shipments, and asked for.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use base_domains::OrderStatus::{Cancelled, Paid};
use serde_json::{Value, json};
use service_runtime::database::{Database, DatabaseConfig};
use shipping_service::dispatch::Dispatcher;
use shipping_service::routes::routes;
use test_support::{Kind, Test, TestDatabase, test};
use tower::ServiceExt as _;

use crate::world::{World, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_shipment_is_told_from_its_preparation_to_its_dispatch),
        test!(a_dispatch_is_asked_for_waited_for_and_repeated_without_harm),
        test!(a_dispatch_of_a_cancelled_order_is_a_conflict),
        test!(an_order_without_a_shipment_is_a_problem),
        test!(an_id_that_is_none_is_refused_by_field),
        test!(without_its_database_it_asks_to_come_back).only(Kind::Postgres),
    ]
}

struct Answer {
    status: StatusCode,
    kind: String,
    retry_after: Option<String>,
    body: Value,
}

async fn ask(dispatcher: &Dispatcher, method: &str, path: &str) -> Answer {
    let (router, _) = routes(dispatcher.clone()).split_for_parts();
    let request = Request::builder().method(method);
    let request = request.uri(format!("/api/v1/shipments/{path}"));
    let request = request.body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let value = |name| {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let (kind, retry_after) = (
        value(header::CONTENT_TYPE).unwrap(),
        value(header::RETRY_AFTER),
    );
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer {
        status,
        kind,
        retry_after,
        body: serde_json::from_slice(&body).unwrap(),
    }
}

async fn get(world: &World, path: &str) -> Answer {
    ask(&world.dispatcher, "GET", path).await
}

async fn post(world: &World, id: &str) -> Answer {
    ask(&world.dispatcher, "POST", &format!("{id}/dispatch")).await
}

async fn a_shipment_is_told_from_its_preparation_to_its_dispatch(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order();
    let id = order.order_id.to_string();
    world.bring(&order, &[Paid]).await;
    let answer = get(&world, &id).await;
    assert_eq!(
        (answer.status, &*answer.kind),
        (StatusCode::OK, "application/json")
    );
    let body = answer.body;
    let number = format!("OE{}", id.replace('-', "").to_uppercase());
    let expected = json!({
        "orderId": id, "state": "prepared", "trackingNumber": number,
        "lines": [{"name": "book order", "qty": 5}, {"name": "pen order", "qty": 2}],
        "dispatchedAt": null, "createdAt": body["createdAt"], "updatedAt": body["createdAt"],
    });
    assert_eq!(body, expected);
    assert!(body["createdAt"].as_str().unwrap().ends_with('Z'));

    world.work(&order).await.unwrap();
    world.read_back(&order).await;
    let body = get(&world, &id).await.body;
    assert_eq!(body["state"], "dispatched");
    assert_eq!(body["trackingNumber"], number);
    assert!(body["dispatchedAt"].as_str().unwrap().ends_with('Z'));
}

async fn a_dispatch_is_asked_for_waited_for_and_repeated_without_harm(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order();
    let id = order.order_id.to_string();
    world.bring(&order, &[Paid]).await;
    for _ in 0..2 {
        let answer = post(&world, &id).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(answer.body["state"], "prepared");
    }
    world.work(&order).await.unwrap();
    world.read_back(&order).await;
    for _ in 0..2 {
        let answer = post(&world, &id).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, get(&world, &id).await.body);
        assert_eq!(answer.body["state"], "dispatched");
    }
    assert_eq!(world.statuses(&order), ["PAID", "SHIPPED"]);
}

async fn a_dispatch_of_a_cancelled_order_is_a_conflict(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order();
    let id = order.order_id.to_string();
    world.bring(&order, &[Paid, Cancelled]).await;
    let answer = post(&world, &id).await;
    assert_eq!(
        (answer.status, &*answer.kind),
        (StatusCode::CONFLICT, "application/problem+json")
    );
    let detail = "the order ended before its shipment was dispatched";
    assert_eq!(answer.body["detail"], detail);
    assert_eq!(get(&world, &id).await.body["state"], "cancelled");
}

async fn an_order_without_a_shipment_is_a_problem(database: TestDatabase) {
    let world = World::new(database).await;
    let id = order().order_id.to_string();
    for answer in [get(&world, &id).await, post(&world, &id).await] {
        assert_eq!(
            (answer.status, &*answer.kind),
            (StatusCode::NOT_FOUND, "application/problem+json")
        );
        assert_eq!(answer.body["detail"], "there is no shipment of this order");
    }
}

async fn an_id_that_is_none_is_refused_by_field(database: TestDatabase) {
    let world = World::new(database).await;
    for answer in [get(&world, "42").await, post(&world, "42").await] {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.body["errors"][0]["field"], "orderId");
    }
}

async fn without_its_database_it_asks_to_come_back(database: TestDatabase) {
    let mut world = World::new(database).await;
    // Nobody listens on the port of tcpmux.
    let nobody = DatabaseConfig::new("postgres://nobody@127.0.0.1:1/shipping");
    world.dispatcher.database = Database::open(&nobody).unwrap();
    let id = order().order_id.to_string();
    for answer in [get(&world, &id).await, post(&world, &id).await] {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.retry_after.as_deref(), Some("1"));
        assert_eq!(answer.body["detail"], "the database is not available");
    }
}
