//! Asking for a dispatch before its time, beside everything else that happens.

use std::time::Duration;

use base_domains::OrderStatus::{Cancelled, Paid, Shipped};
use service_runtime::jobs::JobState;
use shipping_service::shipment::State;
use test_support::{Test, TestDatabase, test};
use tokio::time::Instant;

use crate::world::{World, event, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(who_asks_makes_the_dispatch_due_and_wakes_a_worker),
        test!(who_asks_is_answered_as_soon_as_shipped_is_read_back),
        test!(those_who_wait_are_told_of_the_end_of_an_order),
        test!(what_another_instance_read_back_is_seen_as_well),
        test!(a_wait_ends_with_the_process),
        test!(to_ask_again_or_too_late_changes_nothing),
    ]
}

const LONG: Duration = Duration::from_secs(30);

async fn who_asks_makes_the_dispatch_due_and_wakes_a_worker(database: TestDatabase) {
    for after in [None, Some(Duration::from_secs(3600))] {
        let world = World::dispatching(database.clone(), after).await;
        let order = order();
        world.bring(&order, &[Paid]).await;
        let asked = world.dispatcher.dispatch(order.order_id).await.unwrap();
        assert_eq!(asked.unwrap().shipment.state, State::Prepared);
        let now = jiff::Timestamp::now().as_millisecond();
        let due = world.jobs(&order).await[0].next_try_at;
        assert!((due - now).abs() < 60_000, "{due} at {now}");
        let woken = tokio::time::timeout(LONG, world.dispatcher.worker.notified());
        woken.await.unwrap();
    }
}

async fn who_asks_is_answered_as_soon_as_shipped_is_read_back(database: TestDatabase) {
    let mut world = World::new(database).await;
    world.dispatcher.wait = LONG;
    for (end, expected) in [(Shipped, State::Dispatched), (Cancelled, State::Cancelled)] {
        let order = order();
        world.bring(&order, &[Paid]).await;
        let began = Instant::now();
        let bring = async {
            world.dispatcher.worker.notified().await;
            world.bring(&order, &[end]).await;
        };
        let (asked, ()) = tokio::join!(world.dispatcher.dispatch(order.order_id), bring);
        assert_eq!(asked.unwrap().unwrap().shipment.state, expected);
        assert!(began.elapsed() < LONG);
    }
}

async fn those_who_wait_are_told_of_the_end_of_an_order(database: TestDatabase) {
    let world = World::new(database).await;
    for end in [Shipped, Cancelled] {
        let order = order();
        let told = world.dispatcher.ended.subscribe();
        world.bring(&order, &[Paid]).await;
        assert!(!told.has_changed().unwrap());
        world.bring(&order, &[end]).await;
        assert!(told.has_changed().unwrap());
    }
}

async fn what_another_instance_read_back_is_seen_as_well(database: TestDatabase) {
    let mut world = World::new(database.clone()).await;
    world.dispatcher.wait = LONG;
    let other = World::new(database).await;
    let order = order();
    let records = world.bring(&order, &[Paid]).await;
    let bring = async {
        world.dispatcher.worker.notified().await;
        other.bench.read(&records).await;
        let shipped = world.log.append(&event(Shipped, &order));
        other.bench.read(&[shipped]).await;
    };
    let (asked, ()) = tokio::join!(world.dispatcher.dispatch(order.order_id), bring);
    assert_eq!(asked.unwrap().unwrap().shipment.state, State::Dispatched);
}

async fn a_wait_ends_with_the_process(database: TestDatabase) {
    let mut world = World::new(database).await;
    world.dispatcher.wait = Duration::from_secs(3600);
    let order = order();
    world.bring(&order, &[Paid]).await;
    let stop = async {
        world.dispatcher.worker.notified().await;
        world.dispatcher.shutdown.trigger();
    };
    let asking = async { tokio::join!(world.dispatcher.dispatch(order.order_id), stop) };
    let (asked, ()) = tokio::time::timeout(LONG, asking).await.unwrap();
    assert_eq!(asked.unwrap().unwrap().shipment.state, State::Prepared);
}

async fn to_ask_again_or_too_late_changes_nothing(database: TestDatabase) {
    let world = World::new(database).await;
    let (unknown, cancelled, shipped) = (order(), order(), order());
    world.bring(&cancelled, &[Paid]).await;
    world.bring(&cancelled, &[Cancelled]).await;
    world.bring(&shipped, &[Paid]).await;
    world.dispatcher.dispatch(shipped.order_id).await.unwrap();
    world.work(&shipped).await.unwrap();
    world.read_back(&shipped).await;
    for _ in 0..2 {
        let asked = world.dispatcher.dispatch(unknown.order_id).await;
        assert_eq!(asked.unwrap(), None);
        for (order, state, job) in [
            (&cancelled, State::Cancelled, JobState::Skipped),
            (&shipped, State::Dispatched, JobState::Done),
        ] {
            let kept = world.kept(order).await;
            let asked = world.dispatcher.dispatch(order.order_id).await.unwrap();
            assert_eq!(asked, kept);
            assert_eq!(asked.unwrap().shipment.state, state);
            assert_eq!(world.jobs(order).await[0].state, job);
        }
    }
    assert_eq!(world.statuses(&shipped), ["PAID", "SHIPPED"]);
}
