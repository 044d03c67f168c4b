//! What the log makes of shipments and their dispatch.

use base_domains::OrderStatus::{Cancelled, Paid, Pending, Rejected, Reserved, Shipped};
use base_domains::{OrderEvent, reason};
use service_runtime::jobs::JobState;
use service_runtime::participant::Decision;
use service_runtime::testing::{garbled, read_record, redriven};
use shipping_service::job::WHEN_ASKED;
use shipping_service::shipment::{Line, State, tracking_number};
use test_support::{Test, TestDatabase, test};

use crate::world::{Logs, World, event, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_paid_order_is_prepared_once_however_often_it_is_read),
        test!(an_order_that_is_not_paid_has_no_shipment),
        test!(a_dispatch_falls_due_so_long_after_paid),
        test!(a_dispatch_that_nobody_asks_for_waits),
        test!(an_order_that_ends_otherwise_is_never_dispatched),
        test!(a_parcel_is_handed_over_when_shipped_is_read_back_and_told_once),
        test!(a_shipped_that_came_after_a_cancelled_has_no_effect),
        test!(a_shipped_without_a_paid_is_handed_over),
        test!(history_that_is_read_again_orders_nothing),
        test!(a_body_that_cannot_be_read_fails_only_its_own_decision),
        test!(a_redriven_paid_prepares_what_its_body_did_not_tell),
        test!(a_redrive_after_the_order_moved_on_follows_what_it_is_now),
        test!(a_redrive_does_not_hand_over_a_second_time),
        test!(an_order_that_nobody_can_pack_is_rejected),
        test!(neither_the_row_nor_the_log_names_the_customer),
    ]
}

async fn a_paid_order_is_prepared_once_however_often_it_is_read(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order();
    let records = world.bring(&order, &[Pending, Reserved, Paid, Paid]).await;
    assert_eq!(world.bench.read(&records).await, []);
    let shipment = world.shipment(&order).await;
    assert_eq!(shipment.state, State::Prepared);
    assert_eq!(shipment.tracking_number, tracking_number(order.order_id));
    let line = |name: &str, qty| Line {
        name: name.to_owned(),
        qty,
    };
    let lines = [line("book order", 5), line("pen order", 2)];
    assert_eq!(shipment.lines, lines);
    let jobs = world.jobs(&order).await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].job_id, format!("dispatch/{}", order.order_id));
    assert_eq!((&*jobs[0].kind, jobs[0].state), ("dispatch", JobState::Due));
}

async fn an_order_that_is_not_paid_has_no_shipment(database: TestDatabase) {
    let world = World::new(database).await;
    for history in [
        &[Pending, Reserved][..],
        &[Pending, Rejected],
        &[Reserved, Cancelled, Paid, Shipped],
    ] {
        let order = order();
        world.bring(&order, history).await;
        assert_eq!(world.kept(&order).await, None, "{history:?}");
        assert_eq!(world.jobs(&order).await.len(), 0);
    }
}

async fn a_dispatch_falls_due_so_long_after_paid(database: TestDatabase) {
    let world = World::new(database).await;
    let at = 1_577_836_800_000;
    for (timestamp, expected) in [
        (Some(at), Some(at)),
        // A writer without a clock, and one whose clock is ahead: from now on.
        (None, None),
        (Some(-1), None),
        (Some(4_102_444_800_000), None),
    ] {
        let order = order();
        let mut paid = read_record(&event(Paid, &order));
        paid.timestamp = timestamp;
        let before = jiff::Timestamp::now().as_millisecond();
        world.bench.read(&[paid]).await;
        let after = jiff::Timestamp::now().as_millisecond();
        let job = world.jobs(&order).await.remove(0);
        let since = expected.map_or(before..=after, |at| at..=at);
        assert!(since.contains(&job.age_from), "{timestamp:?}");
        assert_eq!(job.next_try_at, job.age_from + 5_000);
    }
}

async fn a_dispatch_that_nobody_asks_for_waits(database: TestDatabase) {
    let world = World::dispatching(database, None).await;
    let order = order();
    world.bring(&order, &[Paid]).await;
    let jobs = world.jobs(&order).await;
    assert_eq!(jobs[0].next_try_at, WHEN_ASKED);
    assert_eq!(jobs[0].state, JobState::Due);
}

async fn an_order_that_ends_otherwise_is_never_dispatched(database: TestDatabase) {
    let world = World::new(database).await;
    for end in [Cancelled, Rejected] {
        let (apart, together) = (order(), order());
        world.bring(&apart, &[Paid]).await;
        world.bring(&apart, &[end]).await;
        let jobs = world.jobs(&apart).await;
        assert_eq!((jobs.len(), jobs[0].state), (1, JobState::Skipped));
        world.bring(&together, &[Paid, end]).await;
        assert_eq!(world.jobs(&together).await.len(), 0);
        for order in [&apart, &together] {
            assert!(world.lease(order).await.is_none());
            assert_eq!(world.shipment(order).await.state, State::Cancelled);
        }
    }
}

async fn a_parcel_is_handed_over_when_shipped_is_read_back_and_told_once(database: TestDatabase) {
    let (logs, _guard) = Logs::capture();
    let world = World::new(database).await;
    let order = order();
    world.bring(&order, &[Paid]).await;
    world.work(&order).await.unwrap();
    assert_eq!(world.shipment(&order).await.state, State::Prepared);
    assert_eq!(logs.handed_over(&order), 0, "before it is read back");
    for _ in 0..2 {
        world.read_back(&order).await;
        world.bring(&order, &[Cancelled]).await;
    }
    let shipment = world.shipment(&order).await;
    assert_eq!(shipment.state, State::Dispatched);
    assert!(shipment.dispatched_at.is_some());
    assert_eq!(logs.handed_over(&order), 1);
    assert!(logs.text().contains(&shipment.tracking_number));
}

async fn a_shipped_that_came_after_a_cancelled_has_no_effect(database: TestDatabase) {
    let (logs, _guard) = Logs::capture();
    let world = World::new(database).await;
    let order = order();
    world.bring(&order, &[Paid]).await;
    // Before this service read it.
    world.log.append(&event(Cancelled, &order));
    world.work(&order).await.unwrap();
    assert_eq!(world.statuses(&order), ["PAID", "CANCELLED", "SHIPPED"]);
    world.read_back(&order).await;
    assert_eq!(world.shipment(&order).await.state, State::Cancelled);
    assert_eq!(logs.handed_over(&order), 0);
    assert_eq!(world.bench.outcome(order.order_id).await, None);
}

async fn a_shipped_without_a_paid_is_handed_over(database: TestDatabase) {
    let (logs, _guard) = Logs::capture();
    let world = World::new(database).await;
    let order = order();
    world.bring(&order, &[Pending, Shipped]).await;
    let shipment = world.shipment(&order).await;
    assert_eq!(shipment.state, State::Dispatched);
    assert_eq!(shipment.lines.len(), 2);
    assert_eq!(world.jobs(&order).await.len(), 0);
    assert_eq!(logs.handed_over(&order), 1);
}

async fn history_that_is_read_again_orders_nothing(database: TestDatabase) {
    let world = World::new(database).await;
    let (whole, halves) = (order(), order());
    world
        .bring(&whole, &[Pending, Reserved, Paid, Shipped])
        .await;
    assert_eq!(world.jobs(&whole).await.len(), 0);
    world.bring(&halves, &[Pending, Reserved, Paid]).await;
    world.bring(&halves, &[Shipped]).await;
    assert_eq!(world.jobs(&halves).await[0].state, JobState::Skipped);
    for order in [&whole, &halves] {
        assert_eq!(world.shipment(order).await.state, State::Dispatched);
    }
}

async fn a_body_that_cannot_be_read_fails_only_its_own_decision(database: TestDatabase) {
    let world = World::new(database).await;
    let (broken, fine) = (order(), order());
    let garbage = garbled(read_record(&event(Paid, &broken)));
    // What needs no body needs no readable one.
    let cancelled = garbled(read_record(&event(Cancelled, &broken)));
    let paid = read_record(&event(Paid, &fine));
    let shipped = garbled(read_record(&event(Shipped, &fine)));
    let decisions = world
        .bench
        .read(&[garbage.clone(), paid, cancelled, shipped])
        .await;
    let code = match &decisions[0] {
        Decision::Failed { code, .. } => *code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code, "invalid_body");
    assert_eq!(
        decisions[1..],
        [Decision::Done, Decision::Done, Decision::Done]
    );
    assert_eq!(world.kept(&broken).await, None);
    assert_eq!(world.shipment(&fine).await.state, State::Dispatched);
    let letters = world.log.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].topic, "orders.shipping.dlt");
    assert_eq!(letters[0].value, garbage.value);
}

async fn a_redriven_paid_prepares_what_its_body_did_not_tell(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order();
    let paid = read_record(&event(Paid, &order));
    world.bench.read(&[garbled(paid.clone())]).await;
    assert_eq!(world.kept(&order).await, None);
    let again = [redriven(paid, "shipping")];
    assert_eq!(world.bench.read(&again).await, [Decision::Done]);
    assert_eq!(world.bench.read(&again).await, []);
    assert_eq!(world.shipment(&order).await.state, State::Prepared);
    world.work(&order).await.unwrap();
    assert_eq!(world.statuses(&order), ["SHIPPED"]);
}

async fn a_redrive_after_the_order_moved_on_follows_what_it_is_now(database: TestDatabase) {
    let (logs, _guard) = Logs::capture();
    let world = World::new(database).await;
    let (cancelled, shipped) = (order(), order());
    for (order, end) in [(&cancelled, Cancelled), (&shipped, Shipped)] {
        let paid = read_record(&event(Paid, order));
        world.bench.read(&[garbled(paid.clone())]).await;
        let end = garbled(read_record(&event(end, order)));
        world.bench.read(&[end]).await;
        let again = redriven(paid, "shipping");
        assert_eq!(world.bench.read(&[again]).await, [Decision::Done]);
        assert_eq!(world.jobs(order).await.len(), 0);
    }
    assert_eq!(world.kept(&cancelled).await, None);
    assert_eq!(logs.handed_over(&cancelled), 0);
    assert_eq!(world.shipment(&shipped).await.state, State::Dispatched);
    assert_eq!(logs.handed_over(&shipped), 1);
}

async fn a_redrive_does_not_hand_over_a_second_time(database: TestDatabase) {
    let (logs, _guard) = Logs::capture();
    let world = World::new(database).await;
    let order = order();
    let paid = read_record(&event(Paid, &order));
    world.bench.read(&[garbled(paid.clone())]).await;
    world.bring(&order, &[Shipped]).await;
    assert_eq!(logs.handed_over(&order), 1);
    let again = redriven(paid, "shipping");
    assert_eq!(world.bench.read(&[again]).await, [Decision::Done]);
    assert_eq!(logs.handed_over(&order), 1);
}

async fn an_order_that_nobody_can_pack_is_rejected(database: TestDatabase) {
    let world = World::new(database).await;
    let mut order = order();
    order.qty = 0;
    let paid = read_record(&event(Paid, &order));
    let decisions = world.bench.read(&[paid]).await;
    let rejected = OrderEvent::new(Rejected, order.clone()).with_reason(reason::INVALID_ORDER);
    assert_eq!(decisions, [Decision::Append(rejected)]);
    assert_eq!(world.statuses(&order), ["REJECTED"]);
    world.read_back(&order).await;
    assert_eq!(world.kept(&order).await, None);
    assert_eq!(world.jobs(&order).await.len(), 0);
}

async fn neither_the_row_nor_the_log_names_the_customer(database: TestDatabase) {
    let (logs, _guard) = Logs::capture();
    let world = World::new(database).await;
    let order = order();
    world.bring(&order, &[Pending, Reserved, Paid]).await;
    world.work(&order).await.unwrap();
    world.read_back(&order).await;
    let text = "SELECT order_id || state || tracking_number || lines FROM shipments";
    let row: String = sqlx::query_scalar(text)
        .fetch_one(world.database.pool())
        .await
        .unwrap();
    assert!(row.contains("book order"), "{row}");
    assert!(!row.contains("ann@example.org"), "{row}");
    assert_eq!(logs.handed_over(&order), 1);
    for personal in ["ann@example.org", "book order", "pen order"] {
        assert!(!logs.text().contains(personal), "{}", logs.text());
    }
}
