//! One order as the read model shows it.

use std::time::{Duration, Instant};

use base_domains::{OrderEvent, OrderStatus, WireLine, WireOrder, reason};
use serde_json::json;
use test_support::{Test, TestDatabase, test};

use crate::support::{Log, Request, Service, order_id};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(an_order_is_shown_with_its_state_content_and_times_but_without_the_address),
        test!(a_plain_order_has_neither_items_nor_reason),
        test!(an_order_that_does_not_exist_is_answered_with_404_after_a_second),
        test!(a_bad_id_or_parameter_is_answered_with_400_that_names_it),
        test!(other_methods_are_answered_with_405_that_names_those_of_both_sides),
    ]
}

async fn an_order_is_shown_with_its_state_content_and_times_but_without_the_address(
    database: TestDatabase,
) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    let order = WireOrder {
        order_id: id,
        name: "book order".to_owned(),
        qty: 5,
        price: 10000.0,
        email: Some("canary@example.org".to_owned()),
        items: Some(vec![line("book order", 5, 10000.0), line("pen", 1, 2.55)]),
    };
    let pending = log.record(
        &OrderEvent::new(OrderStatus::Pending, order.clone()),
        1_763_720_130_000,
    );
    let rejected = OrderEvent::new(OrderStatus::Rejected, order).with_reason(reason::OUT_OF_STOCK);
    let rejected = log.record(&rejected, 1_763_720_130_187);
    log.fold(&service, &[pending]).await;
    log.fold(&service, &[rejected]).await;
    let get = Request::get(&format!("/api/v1/orders/{id}"));
    let answer = get.send(service.address).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.json(),
        json!({
            "orderId": id.to_string(),
            "status": "REJECTED",
            "reason": "out_of_stock",
            "order": {
                "name": "book order", "qty": 5, "price": 10000.0,
                "items": [
                    {"name": "book order", "qty": 5, "price": 10000.0},
                    {"name": "pen", "qty": 1, "price": 2.55},
                ],
            },
            "createdAt": "2025-11-21T10:15:30Z",
            "updatedAt": "2025-11-21T10:15:30.187Z",
        })
    );
    assert!(!answer.body.contains("canary"));
}

fn line(name: &str, qty: i64, price: f64) -> WireLine {
    WireLine {
        name: name.to_owned(),
        qty,
        price,
    }
}

async fn a_plain_order_has_neither_items_nor_reason(database: TestDatabase) {
    let service = Service::start(database).await;
    let id = order_id("a");
    let mut log = Log::default();
    log.bring(&service, id, OrderStatus::Pending).await;
    let get = Request::get(&format!("/api/v1/orders/{}", id.to_string().to_uppercase()));
    let answer = get.send(service.address).await;
    assert_eq!(
        answer.json(),
        json!({
            "orderId": id.to_string(),
            "status": "PENDING",
            "order": {"name": "book order", "qty": 5, "price": 10000.0},
            "createdAt": "1970-01-01T00:00:01Z",
            "updatedAt": "1970-01-01T00:00:01Z",
        })
    );
}

async fn an_order_that_does_not_exist_is_answered_with_404_after_a_second(database: TestDatabase) {
    let service = Service::start(database).await;
    let id = order_id("nowhere");
    let start = Instant::now();
    let get = Request::get(&format!("/api/v1/orders/{id}"));
    let problem = get.send(service.address).await.problem(404);
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(problem["detail"], format!("there is no order {id}"));
}

async fn a_bad_id_or_parameter_is_answered_with_400_that_names_it(database: TestDatabase) {
    let service = Service::start(database).await;
    let id = order_id("a");
    for (path, field) in [
        ("not-a-uuid".to_owned(), "id"),
        (id.as_uuid().simple().to_string(), "id"),
        (format!("{id}?wait=soon"), "wait"),
        (format!("{id}?wait=5"), "wait"),
        (format!("{id}?wait=31s"), "wait"),
        (format!("{id}?wait=1s&wait=2s"), "wait"),
        (format!("{id}?wait=1s&until=DONE"), "until"),
        (format!("{id}?until=PAID"), "until"),
    ] {
        let get = Request::get(&format!("/api/v1/orders/{path}"));
        let answer = get.send(service.address).await;
        assert_eq!(answer.fields(400), [field], "{path}");
    }
}

async fn other_methods_are_answered_with_405_that_names_those_of_both_sides(
    database: TestDatabase,
) {
    let service = Service::start(database).await;
    let id = order_id("a");
    let delete = Request::with_body(&format!("DELETE /api/v1/orders/{id}"), b"");
    let answer = delete.send(service.address).await;
    answer.problem(405);
    let allowed = answer.header("allow").unwrap();
    for method in ["GET", "PUT"] {
        assert!(allowed.contains(method), "{allowed}");
    }
}
