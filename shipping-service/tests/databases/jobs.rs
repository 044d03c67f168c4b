//! From the dispatch to SHIPPED, through failures.

use base_domains::OrderStatus::{Cancelled, Paid, Shipped};
use base_domains::{OrderEvent, Shipment as WireShipment};
use service_runtime::jobs::{JobHandler as _, JobResult, JobState};
use service_runtime::testing::{Fate, expire, read_record};
use shipping_service::job::DispatchHandler;
use shipping_service::shipment::{State, tracking_number};
use test_support::{Test, TestDatabase, test};

use crate::world::{World, event, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_dispatch_appends_shipped_with_the_tracking_number),
        test!(a_dispatch_of_an_order_that_ended_meanwhile_appends_nothing),
        test!(a_dispatch_whose_process_died_runs_again_and_appends_once),
        test!(an_outcome_that_got_lost_is_published_again_with_the_same_bytes),
        test!(a_cancel_that_came_first_stops_a_lost_outcome_for_good),
        test!(shipped_is_part_of_the_trace_that_paid_belonged_to),
        test!(a_payload_that_cannot_be_read_is_a_dead_job),
    ]
}

const DONE: JobResult = JobResult::Done { result: None };

async fn a_dispatch_appends_shipped_with_the_tracking_number(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order();
    world.bring(&order, &[Paid]).await;
    assert_eq!(world.work(&order).await, Some(DONE));
    let tracking_number = tracking_number(order.order_id);
    let expected =
        OrderEvent::new(Shipped, order.clone()).with_shipment(WireShipment { tracking_number });
    assert_eq!(world.bench.outcome(order.order_id).await, Some(expected));
    assert_eq!(world.statuses(&order), ["PAID", "SHIPPED"]);
    world.read_back(&order).await;
    assert_eq!(world.bench.outcome(order.order_id).await, None);
    assert_eq!(world.work(&order).await, None);
    assert_eq!(world.jobs(&order).await[0].state, JobState::Done);
}

async fn a_dispatch_of_an_order_that_ended_meanwhile_appends_nothing(database: TestDatabase) {
    let world = World::new(database).await;
    for end in [Cancelled, Shipped] {
        let order = order();
        world.bring(&order, &[Paid]).await;
        let job = world.lease(&order).await.unwrap();
        world.bring(&order, &[end]).await;
        assert!(world.record(&job, &DONE).await);
        assert_eq!(world.statuses(&order), ["PAID", end.as_str()]);
        assert_eq!(world.bench.outcome(order.order_id).await, None);
    }
}

async fn a_dispatch_whose_process_died_runs_again_and_appends_once(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order();
    world.bring(&order, &[Paid]).await;
    let lost = world.lease(&order).await.unwrap();
    expire(&world.database, &lost).await;
    let job = world.lease(&order).await.unwrap();
    assert!(!world.record(&lost, &DONE).await, "its lease has passed on");
    assert_eq!(world.statuses(&order), ["PAID"]);
    assert!(world.record(&job, &DONE).await);
    assert!(!world.record(&job, &DONE).await);
    assert_eq!(world.statuses(&order), ["PAID", "SHIPPED"]);
}

async fn an_outcome_that_got_lost_is_published_again_with_the_same_bytes(database: TestDatabase) {
    let world = World::new(database).await;
    for fate in [Fate::Refused, Fate::Lost] {
        let order = order();
        world.bring(&order, &[Paid]).await;
        world.log.set_fate(fate);
        world.work(&order).await.unwrap();
        world.log.set_fate(Fate::Kept);
        assert_eq!(world.statuses(&order), ["PAID"]);
        // By the sweep, and by a batch that is read again.
        world.bench.publish_again(order.order_id).await;
        world.bring(&order, &[Paid]).await;
        let expected = ["PAID", "SHIPPED", "PAID", "SHIPPED"];
        assert_eq!(world.statuses(&order), expected);
        let records = world.log.of(order.order_id);
        assert_eq!(records[1].headers, records[3].headers);
        assert_eq!(records[1].value, records[3].value);
        world.read_back(&order).await;
        assert_eq!(world.shipment(&order).await.state, State::Dispatched);
    }
}

async fn a_cancel_that_came_first_stops_a_lost_outcome_for_good(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order();
    world.bring(&order, &[Paid]).await;
    world.log.set_fate(Fate::Lost);
    world.work(&order).await.unwrap();
    world.log.set_fate(Fate::Kept);
    world.bring(&order, &[Cancelled]).await;
    world.bench.publish_again(order.order_id).await;
    assert_eq!(world.statuses(&order), ["PAID", "CANCELLED"]);
    assert_eq!(world.shipment(&order).await.state, State::Cancelled);
}

async fn shipped_is_part_of_the_trace_that_paid_belonged_to(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut paid = read_record(&event(Paid, &order));
    paid.headers.retain(|(name, _)| name != "traceparent");
    paid.headers.push(("traceparent".to_owned(), trace.into()));
    world.bench.read(&[paid]).await;
    world.work(&order).await.unwrap();
    let shipped = world.log.of(order.order_id).remove(0);
    let found = shipped.header("traceparent").unwrap();
    assert_eq!(found[3..35], trace[3..35]);
}

async fn a_payload_that_cannot_be_read_is_a_dead_job(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order();
    world.bring(&order, &[Paid]).await;
    sqlx::query(r#"UPDATE jobs SET payload = '{"order":"ann@example.org"}'"#)
        .execute(world.database.pool())
        .await
        .unwrap();
    let job = world.lease(&order).await.unwrap();
    let result = DispatchHandler::new(world.database.dialect())
        .run(&job)
        .await;
    let error = "the payload is not a dispatch: see its column 26".to_owned();
    assert_eq!(result, JobResult::Dead { error });
    assert!(world.record(&job, &result).await);
    assert_eq!(world.jobs(&order).await[0].state, JobState::Dead);
    assert_eq!(world.statuses(&order), ["PAID"]);
}
