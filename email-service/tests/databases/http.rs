//! What is told about mails.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use base_domains::{OrderId, OrderStatus};
use email_service::mailer::FileMailer;
use email_service::routes::routes;
use serde_json::{Value, json};
use service_runtime::jobs::JobState;
use test_support::{Test, TestDatabase, test};
use tower::ServiceExt as _;

use crate::support::{ORDER, order};
use crate::world::{Event, World};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_mail_is_shown_before_and_after_it_is_sent),
        test!(mails_are_filtered_by_order_and_limited),
        test!(a_parameter_that_cannot_be_used_is_named),
    ]
}

async fn get(world: &World, query: &str) -> (StatusCode, Value) {
    let (router, _) = routes(world.database.clone()).split_for_parts();
    let request = Request::get(format!("/api/v1/emails{query}")).body(Body::empty());
    let response = router.oneshot(request.unwrap()).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn a_mail_is_shown_before_and_after_it_is_sent(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    world
        .decide(&[Event::new(OrderStatus::Paid, order("ann@example.org"))])
        .await;
    let (status, body) = get(&world, &format!("?orderId={ORDER}")).await;
    assert_eq!(status, StatusCode::OK);
    let mut expected = json!({
        "orderId": ORDER,
        "status": "PAID",
        "state": "due",
        "attempts": 0,
        "messageId": format!("<{ORDER}.paid.event-3@example.com>"),
        "subject": format!("Your order {ORDER} is paid"),
        "recipient": "ann@example.org",
        "sentAt": null,
        "nextTryAt": body["emails"][0]["nextTryAt"],
        "lastError": null,
    });
    assert_eq!(body, json!({"emails": [expected]}));
    assert!(expected["nextTryAt"].as_str().unwrap().ends_with('Z'));

    let folder = tempfile::tempdir().unwrap();
    let done = |jobs: &[service_runtime::jobs::JobRow]| jobs[0].state == JobState::Done;
    world.work(FileMailer::new(folder.path()), done).await;
    let (_, body) = get(&world, "").await;
    expected["state"] = "sent".into();
    expected["attempts"] = 1.into();
    expected["nextTryAt"] = Value::Null;
    expected["sentAt"] = body["emails"][0]["sentAt"].clone();
    assert_eq!(body, json!({"emails": [expected]}));
    assert!(expected["sentAt"].as_str().unwrap().ends_with('Z'));
}

async fn mails_are_filtered_by_order_and_limited(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let other = OrderId::from_idempotency_key("test", "other");
    for order_id in [ORDER.parse().unwrap(), other] {
        let event = |status| {
            let mut order = order("ann@example.org");
            order.order_id = order_id;
            Event::new(status, order)
        };
        world
            .decide(&[event(OrderStatus::Pending), event(OrderStatus::Paid)])
            .await;
    }
    for (query, count) in [
        (String::new(), 4),
        (format!("?orderId={other}"), 2),
        (format!("?orderId={ORDER}&limit=1"), 1),
        ("?limit=3".to_owned(), 3),
        (
            format!("?orderId={}", OrderId::from_idempotency_key("test", "none")),
            0,
        ),
    ] {
        let (status, body) = get(&world, &query).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body["emails"].as_array().unwrap().len(), count, "{query}");
    }
}

async fn a_parameter_that_cannot_be_used_is_named(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    for (query, field) in [
        ("?orderId=42", "orderId"),
        ("?orderId=", "orderId"),
        ("?limit=0", "limit"),
        ("?limit=201", "limit"),
    ] {
        let (status, body) = get(&world, query).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(body["errors"][0]["field"], field, "{query}");
    }
    let (status, body) = get(&world, "?limit=many").await;
    assert_eq!(
        (status, body["status"].as_u64()),
        (StatusCode::BAD_REQUEST, Some(400))
    );
}
