//! What the command side keeps of each order, and what it forgets.

use base_domains::{OrderEvent, OrderId, OrderStatus, reason};
use serde_json::Value;
use service_runtime::participant::Decision;
use test_support::{Test, TestDatabase, test};

use crate::support::{Log, Mark, Orders, order_id, plain};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(the_first_event_of_an_order_is_kept_until_it_ends),
        test!(an_order_that_begins_and_ends_in_one_batch_leaves_nothing_but_its_reason),
        test!(a_body_that_cannot_be_read_is_dead_lettered_and_a_redrive_mends_it),
        test!(a_redrive_after_the_end_brings_nothing_back),
        test!(an_order_that_is_too_large_to_be_cancelled_is_dead_lettered),
        test!(an_end_without_a_beginning_is_an_end),
        test!(a_clock_that_is_ahead_or_missing_puts_no_deadline_off),
        test!(a_batch_of_many_orders_is_kept_as_a_whole),
    ]
}

const AT: i64 = 1_700_000_000_000;

/// PENDING of the plain order with a body that is no event.
fn broken(log: &mut Log, id: OrderId) -> Mark {
    let mut mark = log.event(id, OrderStatus::Pending);
    mark.record.value = Some(b"{garbage".to_vec());
    mark
}

fn code(decisions: &[Decision]) -> &'static str {
    match decisions {
        [Decision::Failed { code, .. }] => code,
        other => panic!("{other:?}"),
    }
}

async fn the_first_event_of_an_order_is_kept_until_it_ends(database: TestDatabase) {
    let (orders, mut log, id) = (Orders::new(database).await, Log::default(), order_id("a"));
    let mut pending = log.record(&OrderEvent::new(OrderStatus::Pending, plain(id)), AT);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let header = ("traceparent".to_owned(), trace.as_bytes().to_vec());
    pending.record.headers.push(header);
    assert_eq!(orders.read(&[pending]).await, [Decision::Done]);
    let open = orders.state(id).await;
    assert_eq!((open.state.as_str(), open.placed_at), ("open", AT));
    let kept: Value = serde_json::from_str(&open.content).unwrap();
    assert_eq!(kept["order"]["email"], "canary@example.org");
    assert_eq!(kept["traceparent"], trace);

    for status in [OrderStatus::Reserved, OrderStatus::Paid] {
        let mut later = plain(id);
        later.name = "another order".to_owned();
        let later = log.record(&OrderEvent::new(status, later), AT + 1);
        assert_eq!(orders.read(&[later]).await, [Decision::Done]);
        assert_eq!(orders.state(id).await, open);
    }

    let rejected = OrderEvent::new(OrderStatus::Rejected, plain(id));
    let rejected = rejected.with_reason(reason::PAYMENT_DECLINED);
    orders.read(&[log.record(&rejected, AT + 2)]).await;
    let ended = orders.state(id).await;
    assert_eq!((ended.state.as_str(), ended.placed_at), ("ended", AT));
    assert_eq!(ended.content, "");
    assert_eq!(ended.reason, "payment_declined");
}

async fn an_order_that_begins_and_ends_in_one_batch_leaves_nothing_but_its_reason(
    database: TestDatabase,
) {
    let (orders, mut log, id) = (Orders::new(database).await, Log::default(), order_id("a"));
    let pending = log.event(id, OrderStatus::Pending);
    let cancelled = OrderEvent::new(OrderStatus::Cancelled, plain(id)).with_reason("a\0b");
    let cancelled = log.record(&cancelled, AT);
    // A late one: the fold ignores it.
    let late = OrderEvent::new(OrderStatus::Rejected, plain(id)).with_reason("late");
    let late = log.record(&late, AT);
    let decisions = orders.read(&[pending, cancelled, late]).await;
    assert_eq!(decisions, [Decision::Done, Decision::Done]);
    let ended = orders.state(id).await;
    assert_eq!((ended.state.as_str(), &*ended.content), ("ended", ""));
    assert_eq!(ended.reason, "ab");
}

async fn a_body_that_cannot_be_read_is_dead_lettered_and_a_redrive_mends_it(
    database: TestDatabase,
) {
    let (orders, mut log, id) = (Orders::new(database).await, Log::default(), order_id("a"));
    let decisions = orders.read(&[broken(&mut log, id)]).await;
    assert_eq!(code(&decisions), "invalid_body");
    let unreadable = orders.state(id).await;
    assert_eq!(
        (unreadable.state.as_str(), &*unreadable.content),
        ("unreadable", "")
    );
    let again = broken(&mut log, id);
    assert_eq!(code(&orders.redrive(again).await), "invalid_body");
    assert_eq!(orders.state(id).await, unreadable);
    let mended = log.event(id, OrderStatus::Pending);
    assert_eq!(orders.redrive(mended).await, [Decision::Done]);
    let open = orders.state(id).await;
    assert_eq!(
        (open.state.as_str(), open.placed_at),
        ("open", unreadable.placed_at)
    );
    assert!(open.content.contains("book order"));
}

async fn a_redrive_after_the_end_brings_nothing_back(database: TestDatabase) {
    let (orders, mut log, id) = (Orders::new(database).await, Log::default(), order_id("a"));
    let first = broken(&mut log, id);
    orders.read(&[first]).await;
    let cancelled = OrderEvent::new(OrderStatus::Cancelled, plain(id)).with_reason("why");
    orders.read(&[log.record(&cancelled, AT)]).await;
    let ended = orders.state(id).await;
    let mended = OrderEvent::new(OrderStatus::Pending, plain(id)).with_reason("not why");
    let mended = log.record(&mended, AT);
    assert_eq!(orders.redrive(mended).await, [Decision::Done]);
    assert_eq!(orders.state(id).await, ended);
    assert_eq!((&*ended.state, &*ended.reason), ("ended", "why"));
}

async fn an_order_that_is_too_large_to_be_cancelled_is_dead_lettered(database: TestDatabase) {
    let (orders, mut log, id) = (Orders::new(database).await, Log::default(), order_id("a"));
    let mut huge = plain(id);
    huge.name = "x".repeat(900_000);
    let huge = log.record(&OrderEvent::new(OrderStatus::Pending, huge), AT);
    assert_eq!(code(&orders.read(&[huge]).await), "too_large");
    let state = orders.state(id).await;
    assert_eq!((&*state.state, &*state.content), ("unreadable", ""));
}

async fn an_end_without_a_beginning_is_an_end(database: TestDatabase) {
    let (orders, mut log, id) = (Orders::new(database).await, Log::default(), order_id("a"));
    let shipped = log.event(id, OrderStatus::Shipped);
    assert_eq!(orders.read(&[shipped]).await, [Decision::Done]);
    assert_eq!(orders.state(id).await.state, "ended");
    // An end counts by its heading alone.
    let mut rejected = log.event(order_id("b"), OrderStatus::Rejected);
    rejected.record.value = None;
    assert_eq!(orders.read(&[rejected]).await, [Decision::Done]);
    let state = orders.state(order_id("b")).await;
    assert_eq!((&*state.state, &*state.reason), ("ended", ""));
}

async fn a_clock_that_is_ahead_or_missing_puts_no_deadline_off(database: TestDatabase) {
    let (orders, mut log) = (Orders::new(database).await, Log::default());
    for at in [0, -1, i64::MAX] {
        let id = order_id(&at.to_string());
        let before = jiff::Timestamp::now().as_millisecond();
        let pending = OrderEvent::new(OrderStatus::Pending, plain(id));
        orders.read(&[log.record(&pending, at)]).await;
        let after = jiff::Timestamp::now().as_millisecond();
        let placed_at = orders.state(id).await.placed_at;
        assert!((before..=after).contains(&placed_at), "{at} {placed_at}");
    }
}

async fn a_batch_of_many_orders_is_kept_as_a_whole(database: TestDatabase) {
    let (orders, mut log) = (Orders::new(database).await, Log::default());
    let ids: Vec<OrderId> = (0..700).map(|n| order_id(&n.to_string())).collect();
    let pending: Vec<Mark> = ids
        .iter()
        .map(|id| log.event(*id, OrderStatus::Pending))
        .collect();
    orders.read(&pending).await;
    let shipped: Vec<Mark> = ids[..300]
        .iter()
        .map(|id| log.event(*id, OrderStatus::Shipped))
        .collect();
    orders.read(&shipped).await;
    let counts = [("ended".to_owned(), 300), ("open".to_owned(), 400)];
    assert_eq!(orders.counts().await, counts.into());
}
