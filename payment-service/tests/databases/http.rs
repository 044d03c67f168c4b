//! What is told about payments.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use base_domains::OrderStatus;
use payment_service::gateway::Operation::{Charge, Refund};
use payment_service::routes::routes;
use serde_json::{Value, json};
use test_support::{Test, TestDatabase, test};
use tower::ServiceExt as _;

use crate::world::{World, event, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_payment_is_told_from_its_charge_to_its_refund),
        test!(a_declined_payment_says_why),
        test!(an_order_without_a_payment_is_a_problem),
        test!(an_id_that_is_none_is_refused_by_field),
    ]
}

async fn get(world: &World, id: &str) -> (StatusCode, String, Value) {
    let (router, _) = routes(world.database.clone()).split_for_parts();
    let request = Request::get(format!("/api/v1/payments/{id}")).body(Body::empty());
    let response = router.oneshot(request.unwrap()).await.unwrap();
    let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
    let (status, kind) = (response.status(), kind.to_owned());
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, kind, serde_json::from_slice(&body).unwrap())
}

async fn a_payment_is_told_from_its_charge_to_its_refund(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_004);
    let id = order.order_id.to_string();
    world.read(&[event(OrderStatus::Reserved, &order)]).await;
    world.work(Charge, &order).await.unwrap();
    let (status, _, body) = get(&world, &id).await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({
        "orderId": id, "state": "pending", "amount": 10.04, "paymentId": null, "reason": null,
        "createdAt": body["createdAt"], "updatedAt": body["updatedAt"],
        "charge": {
            "state": "due", "attempts": 1, "nextTryAt": body["charge"]["nextTryAt"],
            "finishedAt": null, "lastError": "no answer within 2ms",
        },
        "refund": null,
    });
    assert_eq!(body, expected);
    for time in [
        &body["createdAt"],
        &body["updatedAt"],
        &body["charge"]["nextTryAt"],
    ] {
        assert!(time.as_str().unwrap().ends_with('Z'), "{body}");
    }

    world.work(Charge, &order).await.unwrap();
    world.read(&[event(OrderStatus::Cancelled, &order)]).await;
    let (_, _, body) = get(&world, &id).await;
    assert_eq!(body["state"], "refunding");
    assert_eq!(body["paymentId"], format!("sandbox-charge-{id}"));
    assert_eq!(body["charge"]["attempts"], 2);
    assert!(body["charge"]["finishedAt"].is_string(), "{body}");
    assert_eq!(body["refund"]["state"], "due");

    world.work(Refund, &order).await.unwrap();
    let (_, _, body) = get(&world, &id).await;
    assert_eq!(body["state"], "refunded");
    assert_eq!(
        (&body["refund"]["state"], &body["refund"]["attempts"]),
        (&json!("done"), &json!(1))
    );
}

async fn a_declined_payment_says_why(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_002);
    world.read(&[event(OrderStatus::Reserved, &order)]).await;
    world.work(Charge, &order).await.unwrap();
    let (_, _, body) = get(&world, &order.order_id.to_string()).await;
    assert_eq!(body["state"], "declined");
    assert_eq!(body["reason"], "insufficient_funds");
    assert_eq!(body["charge"]["state"], "done");
}

async fn an_order_without_a_payment_is_a_problem(database: TestDatabase) {
    let world = World::new(database).await;
    let (status, kind, body) = get(&world, &order(1).order_id.to_string()).await;
    assert_eq!(
        (status, &*kind),
        (StatusCode::NOT_FOUND, "application/problem+json")
    );
    assert_eq!(body["detail"], "there is no payment of this order");
}

async fn an_id_that_is_none_is_refused_by_field(database: TestDatabase) {
    let world = World::new(database).await;
    let (status, _, body) = get(&world, "42").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["errors"][0]["field"], "orderId");
}
