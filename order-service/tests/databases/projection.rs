//! From records to the read model.

use base_domains::{OrderEvent, OrderId, OrderStatus, reason};
use serde_json::{Value, json};
use service_runtime::participant::Decision;
use sqlx::Row;
use test_support::{Test, TestDatabase, test};

use crate::support::{Log, Mark, Request, Service, order_id};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_batch_with_several_events_of_an_order_shows_the_last_and_keeps_all_in_the_history),
        test!(the_content_of_the_first_event_stays),
        test!(a_body_that_cannot_be_read_is_a_failed_decision_but_the_status_is_shown),
        test!(a_redriven_event_fills_in_what_is_missing_and_takes_nothing_back),
        test!(a_reason_with_a_nul_is_stored_without_it),
        test!(a_large_batch_is_written_in_one_go),
    ]
}

async fn view(service: &Service, id: OrderId) -> Value {
    let get = Request::get(&format!("/api/v1/orders/{id}"));
    get.send(service.address).await.json()
}

async fn history(service: &Service, id: OrderId) -> Vec<(String, String, i64, i64, i64)> {
    let rows = sqlx::query(
        "SELECT status, reason, partition_id, record_offset, recorded_at FROM order_history \
         WHERE order_id = $1 ORDER BY record_offset",
    )
    .bind(id.to_string())
    .fetch_all(service.database.pool())
    .await
    .unwrap();
    rows.iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4)))
        .collect()
}

/// The same record with a body that nobody can read.
fn unreadable(mut mark: Mark) -> Mark {
    mark.record.value = Some(b"{".to_vec());
    mark
}

async fn a_batch_with_several_events_of_an_order_shows_the_last_and_keeps_all_in_the_history(
    database: TestDatabase,
) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let (a, b) = (order_id("a"), order_id("b"));
    let marks = [
        log.event(a, OrderStatus::Pending),
        log.event(b, OrderStatus::Pending),
        log.event(a, OrderStatus::Reserved),
        log.event(a, OrderStatus::Pending),
        log.event(a, OrderStatus::Paid),
    ];
    let partition = i64::from(marks[0].record.partition);
    assert_eq!(log.fold(&service, &marks).await, vec![Decision::Done; 4]);
    let shown = view(&service, a).await;
    assert_eq!(shown["status"], "PAID");
    assert_eq!(shown["createdAt"], "1970-01-01T00:00:01Z");
    assert_eq!(shown["updatedAt"], "1970-01-01T00:00:05Z");
    assert_eq!(view(&service, b).await["status"], "PENDING");
    let row = |status: &str, offset: i64| {
        (
            status.to_owned(),
            String::new(),
            partition,
            offset,
            1_000 * offset,
        )
    };
    assert_eq!(
        history(&service, a).await,
        [row("PENDING", 1), row("RESERVED", 3), row("PAID", 5)]
    );
}

async fn the_content_of_the_first_event_stays(database: TestDatabase) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    log.bring(&service, id, OrderStatus::Pending).await;
    let mut event = OrderEvent::new(OrderStatus::Paid, crate::support::plain(id));
    event.order.qty = 77;
    let mark = log.record(&event, 5_000);
    log.fold(&service, &[mark]).await;
    let shown = view(&service, id).await;
    assert_eq!(shown["status"], "PAID");
    assert_eq!(shown["order"]["qty"], 5);
}

async fn a_body_that_cannot_be_read_is_a_failed_decision_but_the_status_is_shown(
    database: TestDatabase,
) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    let pending = unreadable(log.event(id, OrderStatus::Pending));
    let decisions = log.fold(&service, &[pending]).await;
    let [Decision::Failed { code, reason }] = &decisions[..] else {
        panic!("{decisions:?}")
    };
    assert_eq!(*code, "invalid_body");
    assert!(reason.contains("not an order event"), "{reason}");
    let shown = view(&service, id).await;
    assert_eq!(shown["status"], "PENDING");
    assert_eq!(shown.get("order"), None);
    // The next event carries the whole order.
    log.bring(&service, id, OrderStatus::Reserved).await;
    let shown = view(&service, id).await;
    assert_eq!(shown["status"], "RESERVED");
    assert_eq!(shown["order"]["name"], "book order");
    assert_eq!(shown["createdAt"], "1970-01-01T00:00:01Z");
}

async fn a_redriven_event_fills_in_what_is_missing_and_takes_nothing_back(database: TestDatabase) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    let pending = unreadable(log.event(id, OrderStatus::Pending));
    log.fold(&service, &[pending]).await;
    let order = crate::support::plain(id);
    let rejected = OrderEvent::new(OrderStatus::Rejected, order).with_reason(reason::OUT_OF_STOCK);
    let rejected = unreadable(log.record(&rejected, 2_000));
    log.fold(&service, &[rejected]).await;
    assert_eq!(view(&service, id).await.get("order"), None);
    let repaired = log.event(id, OrderStatus::Pending);
    assert_eq!(log.redrive(&service, &repaired).await, [Decision::Done]);
    assert_eq!(
        view(&service, id).await,
        json!({
            "orderId": id.to_string(),
            "status": "REJECTED",
            "order": {"name": "book order", "qty": 5, "price": 10000.0},
            "createdAt": "1970-01-01T00:00:01Z",
            "updatedAt": "1970-01-01T00:00:02Z",
        })
    );
    let order = crate::support::plain(id);
    let rejected = OrderEvent::new(OrderStatus::Rejected, order).with_reason(reason::OUT_OF_STOCK);
    let repaired = log.record(&rejected, 9_000);
    assert_eq!(log.redrive(&service, &repaired).await, [Decision::Done]);
    let shown = view(&service, id).await;
    assert_eq!(shown["reason"], "out_of_stock");
    assert_eq!(shown["updatedAt"], "1970-01-01T00:00:02Z");
    assert_eq!(history(&service, id).await.len(), 2);
}

async fn a_reason_with_a_nul_is_stored_without_it(database: TestDatabase) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    let event = OrderEvent::new(OrderStatus::Rejected, crate::support::plain(id))
        .with_reason("out\0of_stock");
    let mark = log.record(&event, 1_000);
    log.fold(&service, &[mark]).await;
    assert_eq!(view(&service, id).await["reason"], "outof_stock");
}

async fn a_large_batch_is_written_in_one_go(database: TestDatabase) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let marks: Vec<Mark> = (0..1_500)
        .map(|n| log.event(order_id(&n.to_string()), OrderStatus::Pending))
        .collect();
    assert_eq!(log.fold(&service, &marks).await.len(), 1_500);
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM order_views")
        .fetch_one(service.database.pool())
        .await
        .unwrap();
    assert_eq!(count, 1_500);
}
