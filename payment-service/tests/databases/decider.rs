//! Which charges and refunds the log causes.

use base_domains::{OrderEvent, OrderStatus, reason};
use payment_service::gateway::Operation::{Charge, Refund};
use payment_service::payment::State;
use payment_service::store::find;
use service_runtime::jobs::JobState;
use service_runtime::participant::Decision;
use service_runtime::testing::read_record;
use test_support::{Test, TestDatabase, test};

use crate::world::{World, event, order, paid};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_reserved_order_is_charged_once_however_often_it_is_read),
        test!(an_order_that_ends_before_its_charge_was_begun_is_never_charged),
        test!(an_order_that_is_reserved_and_cancelled_in_one_batch_is_never_charged),
        test!(an_order_that_ends_after_its_charge_is_refunded_once),
        test!(a_shipped_order_keeps_its_charge),
        test!(a_payment_that_the_log_tells_of_is_adopted_and_refunded_when_the_order_ends),
        test!(what_this_service_appended_changes_nothing_when_it_is_read_back),
        test!(a_payment_told_by_somebody_else_does_not_stop_the_charge),
        test!(an_order_that_cannot_be_priced_is_rejected),
        test!(a_body_that_cannot_be_read_fails_only_its_own_decision),
        test!(orders_of_one_batch_do_not_disturb_each_other),
    ]
}

use OrderStatus::{Cancelled, Paid, Pending, Rejected, Reserved, Shipped};

async fn a_reserved_order_is_charged_once_however_often_it_is_read(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(5_000_000);
    let events = [Pending, Reserved, Reserved].map(|status| event(status, &order));
    assert_eq!(world.read(&events).await, vec![Decision::Done; 2]);
    assert_eq!(world.read(&events).await, vec![]);
    let jobs = world.jobs(&order).await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].job_id, format!("charge/{}", order.order_id));
    assert_eq!((&*jobs[0].kind, jobs[0].state), ("charge", JobState::Due));
    assert_eq!(jobs[0].age_from, 4_102_444_800_000);
    let payment = world.payment(&order).await;
    assert_eq!(payment.state, State::Pending);
    assert_eq!(payment.amount.minor(), 5_000_000);
}

async fn an_order_that_ends_before_its_charge_was_begun_is_never_charged(database: TestDatabase) {
    let world = World::new(database).await;
    for end in [Cancelled, Rejected] {
        let order = order(1_000);
        world.read(&[event(Reserved, &order)]).await;
        world.read(&[event(end, &order)]).await;
        assert_eq!(world.payment(&order).await.state, State::Skipped);
        assert!(world.lease(Charge, &order).await.is_none());
        let jobs = world.jobs(&order).await;
        assert_eq!((jobs.len(), jobs[0].state), (1, JobState::Skipped));
    }
}

async fn an_order_that_is_reserved_and_cancelled_in_one_batch_is_never_charged(
    database: TestDatabase,
) {
    let world = World::new(database).await;
    let order = order(1_000);
    let events = [Pending, Reserved, Cancelled].map(|status| event(status, &order));
    world.read(&events).await;
    assert_eq!(world.payment(&order).await.state, State::Skipped);
    assert!(world.lease(Charge, &order).await.is_none());
}

async fn an_order_that_ends_after_its_charge_is_refunded_once(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_000);
    world.read(&[event(Reserved, &order)]).await;
    world.work(Charge, &order).await.unwrap();
    let paid = world.outcome(order.order_id).await.unwrap();
    assert_eq!(world.payment(&order).await.state, State::Charged);
    let end = [read_record(&paid), event(Cancelled, &order)];
    for _ in 0..2 {
        world.read(&end).await;
        world.read(&[event(Rejected, &order)]).await;
    }
    assert_eq!(world.jobs(&order).await.len(), 2);
    assert_eq!(world.payment(&order).await.state, State::Refunding);
    world.work(Refund, &order).await.unwrap();
    assert!(world.work(Refund, &order).await.is_none());
    assert_eq!(world.payment(&order).await.state, State::Refunded);
    assert_eq!(world.moved(&order).await, (1, 1));
}

async fn a_shipped_order_keeps_its_charge(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_000);
    world.read(&[event(Reserved, &order)]).await;
    world.work(Charge, &order).await.unwrap();
    let events = [Shipped, Cancelled].map(|status| event(status, &order));
    world.read(&events).await;
    assert_eq!(world.payment(&order).await.state, State::Charged);
    assert_eq!(world.jobs(&order).await.len(), 1);
    assert_eq!(world.moved(&order).await, (1, 0));
}

/// What a service with a new database finds in the log.
async fn a_payment_that_the_log_tells_of_is_adopted_and_refunded_when_the_order_ends(
    database: TestDatabase,
) {
    let world = World::new(database).await;
    let (kept, whole) = (order(1_000), order(2_000));
    let history = [
        event(Reserved, &kept),
        paid(&kept, "p1"),
        // Its beginning is lost.
        paid(&whole, "p2"),
    ];
    world.read(&history).await;
    for (order, id) in [(&kept, "p1"), (&whole, "p2")] {
        let payment = world.payment(order).await;
        assert_eq!(payment.state, State::Charged);
        assert_eq!(payment.payment_id.as_deref(), Some(id));
        assert!(world.lease(Charge, order).await.is_none());
        world.read(&[event(Cancelled, order)]).await;
        world.work(Refund, order).await.unwrap();
        assert_eq!(world.payment(order).await.state, State::Refunded);
    }
}

async fn what_this_service_appended_changes_nothing_when_it_is_read_back(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_000);
    world.read(&[event(Reserved, &order)]).await;
    world.work(Charge, &order).await.unwrap();
    sqlx::query("UPDATE payments SET updated_at = 77")
        .execute(world.database.pool())
        .await
        .unwrap();
    let paid = world.outcome(order.order_id).await.unwrap();
    assert_eq!(world.read(&[read_record(&paid)]).await, [Decision::Done]);
    let kept = find(&world.database, order.order_id).await.unwrap();
    assert_eq!(kept.unwrap().updated_at, 77);
}

async fn a_payment_told_by_somebody_else_does_not_stop_the_charge(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_000);
    let events = [Reserved, Paid].map(|status| event(status, &order));
    world.read(&events).await;
    world.work(Charge, &order).await.unwrap();
    assert_eq!(world.payment(&order).await.state, State::Charged);
    assert_eq!(world.outcome(order.order_id).await, None);
}

async fn an_order_that_cannot_be_priced_is_rejected(database: TestDatabase) {
    let world = World::new(database).await;
    let mut order = order(1_000);
    order.qty = 0;
    let decisions = world.read(&[event(Reserved, &order)]).await;
    let rejected = OrderEvent::new(Rejected, order.clone()).with_reason(reason::INVALID_ORDER);
    assert_eq!(decisions, [Decision::Append(rejected)]);
    assert_eq!(world.jobs(&order).await.len(), 0);
}

async fn a_body_that_cannot_be_read_fails_only_its_own_decision(database: TestDatabase) {
    let world = World::new(database).await;
    let (broken, fine) = (order(1_000), order(2_000));
    let mut garbage = event(Reserved, &broken);
    garbage.value = Some(b"{".to_vec());
    // What needs no body needs no readable one.
    let mut cancelled = event(Cancelled, &broken);
    cancelled.value = None;
    let decisions = world
        .read(&[garbage, event(Reserved, &fine), cancelled])
        .await;
    let code = match &decisions[0] {
        Decision::Failed { code, .. } => *code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code, "invalid_body");
    assert_eq!(decisions[1..], [Decision::Done, Decision::Done]);
    assert_eq!(world.jobs(&broken).await.len(), 0);
    assert_eq!(world.jobs(&fine).await.len(), 1);
}

async fn orders_of_one_batch_do_not_disturb_each_other(database: TestDatabase) {
    let world = World::new(database).await;
    let [charged, withdrawn, waiting, new] = [1_000, 2_000, 3_000, 4_000].map(order);
    let reserved = [&charged, &withdrawn, &waiting].map(|order| event(Reserved, order));
    world.read(&reserved).await;
    world.work(Charge, &charged).await.unwrap();
    world
        .read(&[
            event(Cancelled, &charged),
            event(Cancelled, &withdrawn),
            event(Reserved, &new),
        ])
        .await;
    let mut states = Vec::new();
    for order in [&charged, &withdrawn, &waiting, &new] {
        states.push(world.payment(order).await.state);
    }
    use State::{Pending as Waits, Refunding, Skipped};
    assert_eq!(states, [Refunding, Skipped, Waits, Waits]);
}
