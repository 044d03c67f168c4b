//! The life of one order, and its state as of a moment.

use base_domains::{OrderEvent, OrderId, OrderStatus, reason};
use serde_json::json;
use test_support::{Test, TestDatabase, test};

use crate::support::{Answer, Log, Request, Service, order_id, plain};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(the_events_of_an_order_are_answered_with_their_places_times_and_reason),
        test!(a_repeated_event_is_in_the_history_once),
        test!(as_of_a_moment_the_order_is_what_it_was_then),
        test!(an_order_that_does_not_exist_at_all_or_not_then_is_answered_with_404),
        test!(a_bad_id_or_moment_is_answered_with_400_that_names_it),
    ]
}

async fn events(service: &Service, id: OrderId, query: &str) -> Answer {
    let get = Request::get(&format!("/api/v1/orders/{id}/events{query}"));
    get.send(service.address).await
}

async fn the_events_of_an_order_are_answered_with_their_places_times_and_reason(
    database: TestDatabase,
) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    let pending = log.record(
        &OrderEvent::new(OrderStatus::Pending, plain(id)),
        1_763_720_130_000,
    );
    let partition = pending.record.partition;
    let rejected =
        OrderEvent::new(OrderStatus::Rejected, plain(id)).with_reason(reason::OUT_OF_STOCK);
    let rejected = log.record(&rejected, 1_763_720_130_187);
    log.fold(&service, &[pending, rejected]).await;
    let answer = events(&service, id, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.json(),
        json!({
            "orderId": id.to_string(),
            "status": "REJECTED",
            "events": [
                {"status": "PENDING", "partition": partition, "offset": 1, "at": "2025-11-21T10:15:30Z"},
                {"status": "REJECTED", "reason": "out_of_stock",
                    "partition": partition, "offset": 2, "at": "2025-11-21T10:15:30.187Z"},
            ],
        })
    );
}

async fn a_repeated_event_is_in_the_history_once(database: TestDatabase) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    let marks = [
        log.event(id, OrderStatus::Pending),
        log.event(id, OrderStatus::Pending),
        log.event(id, OrderStatus::Reserved),
    ];
    log.fold(&service, &marks).await;
    let history = events(&service, id, "").await.json();
    let offsets: Vec<_> = history["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["offset"].as_i64().unwrap())
        .collect();
    assert_eq!(offsets, [1, 3]);
}

async fn as_of_a_moment_the_order_is_what_it_was_then(database: TestDatabase) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    // At 1 s, 2 s, ... after the epoch, with the offsets 1, 2, ...
    for status in [
        OrderStatus::Pending,
        OrderStatus::Reserved,
        OrderStatus::Paid,
    ] {
        log.bring(&service, id, status).await;
    }
    for (at, status, count) in [
        ("1", "PENDING", 1),
        ("2", "RESERVED", 2),
        ("99", "PAID", 3),
        ("1970-01-01T00:00:01.999Z", "PENDING", 1),
        ("1970-01-01T00:00:02Z", "RESERVED", 2),
        ("1970-01-01T01:00:03%2B01:00", "PAID", 3),
    ] {
        let history = events(&service, id, &format!("?at={at}")).await.json();
        assert_eq!(history["status"], status, "at {at}");
        assert_eq!(
            history["events"].as_array().unwrap().len(),
            count,
            "at {at}"
        );
    }
}

async fn an_order_that_does_not_exist_at_all_or_not_then_is_answered_with_404(
    database: TestDatabase,
) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    log.bring(&service, id, OrderStatus::Pending).await;
    let problem = events(&service, id, "?at=0").await.problem(404);
    assert_eq!(
        problem["detail"],
        format!("there was no order {id} at offset 0")
    );
    let nowhere = order_id("nowhere");
    let problem = events(&service, nowhere, "").await.problem(404);
    assert_eq!(problem["detail"], format!("there is no order {nowhere}"));
}

async fn a_bad_id_or_moment_is_answered_with_400_that_names_it(database: TestDatabase) {
    let service = Service::start(database).await;
    let get = Request::get("/api/v1/orders/nobody/events");
    assert_eq!(get.send(service.address).await.fields(400), ["id"]);
    for at in ["", "-1", "yesterday"] {
        let answer = events(&service, order_id("a"), &format!("?at={at}")).await;
        assert_eq!(answer.fields(400), ["at"], "{at}");
    }
}
