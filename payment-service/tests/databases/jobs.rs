//! From the job to the order's next event, through failures.

use std::time::Duration;

use base_domains::{OrderEvent, OrderStatus, Payment as WirePayment, reason};
use payment_service::gateway::Operation::{Charge, Refund};
use payment_service::gateway::{Answer, PaymentGateway, Request, Unknown};
use payment_service::payment::State;
use service_runtime::jobs::{Job, JobHandler as _, JobResult, JobState, retry_dead};
use service_runtime::testing::{expire, read_record};
use test_support::{Test, TestDatabase, test};

use crate::world::{DAY, World, event, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_charge_makes_the_order_paid_and_the_event_tells_of_the_payment),
        test!(a_declined_charge_rejects_the_order),
        test!(no_answer_is_no_decline_and_the_second_attempt_finds_the_first),
        test!(a_charge_whose_order_ended_meanwhile_is_refunded_and_nothing_is_appended),
        test!(a_decline_after_the_end_of_the_order_is_only_kept),
        test!(a_crash_between_charging_and_recording_charges_once),
        test!(a_declined_refund_is_a_dead_job_that_an_operator_can_retry),
        test!(what_is_older_than_its_key_is_looked_up_before_it_is_asked_for),
        test!(what_is_older_than_half_the_lifetime_of_its_key_is_looked_up),
        test!(a_refund_that_a_charge_orders_is_as_old_as_the_charge),
        test!(an_operators_retry_does_not_make_a_job_young),
        test!(a_refund_that_was_declined_long_ago_is_asked_for_again),
        test!(a_payload_that_cannot_be_read_is_a_dead_job),
    ]
}

use OrderStatus::{Cancelled, Paid, Rejected, Reserved};

async fn a_charge_makes_the_order_paid_and_the_event_tells_of_the_payment(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(5_000_029);
    world.read(&[event(Reserved, &order)]).await;
    world.work(Charge, &order).await.unwrap();
    let payment_id = format!("sandbox-charge-{}", order.order_id);
    let expected = OrderEvent::new(Paid, order.clone()).with_payment(WirePayment {
        payment_id: payment_id.clone(),
        amount: 50_000.29,
    });
    assert_eq!(world.outcome(order.order_id).await, Some(expected));
    let payment = world.payment(&order).await;
    assert_eq!(
        (payment.state, payment.payment_id),
        (State::Charged, Some(payment_id))
    );
}

async fn a_declined_charge_rejects_the_order(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_002);
    world.read(&[event(Reserved, &order)]).await;
    world.work(Charge, &order).await.unwrap();
    let rejected = OrderEvent::new(Rejected, order.clone()).with_reason(reason::PAYMENT_DECLINED);
    assert_eq!(world.outcome(order.order_id).await, Some(rejected.clone()));
    world.read(&[read_record(&rejected)]).await;
    let payment = world.payment(&order).await;
    assert_eq!(payment.state, State::Declined);
    assert_eq!(payment.reason.as_deref(), Some("insufficient_funds"));
    assert_eq!(world.moved(&order).await, (0, 0));
    assert_eq!(world.jobs(&order).await.len(), 1);
}

async fn no_answer_is_no_decline_and_the_second_attempt_finds_the_first(database: TestDatabase) {
    let world = World::new(database).await;
    for (cents, after_the_first) in [(1_003, (0, 0)), (1_004, (1, 0))] {
        let order = order(cents);
        world.read(&[event(Reserved, &order)]).await;
        let first = world.work(Charge, &order).await.unwrap();
        assert!(matches!(first, JobResult::Retry { .. }), "{first:?}");
        assert_eq!(world.moved(&order).await, after_the_first);
        assert_eq!(world.payment(&order).await.state, State::Pending);
        assert_eq!(world.outcome(order.order_id).await, None);
        let second = world.work(Charge, &order).await.unwrap();
        assert!(matches!(second, JobResult::Done { .. }), "{second:?}");
        assert_eq!(world.moved(&order).await, (1, 0));
        assert_eq!(world.payment(&order).await.state, State::Charged);
    }
}

/// Rule R5.
async fn a_charge_whose_order_ended_meanwhile_is_refunded_and_nothing_is_appended(
    database: TestDatabase,
) {
    let world = World::new(database).await;
    // One that is leased when the order ends, and one whose first attempt got no answer.
    for cents in [1_000, 1_004] {
        let order = order(cents);
        world.read(&[event(Reserved, &order)]).await;
        let mut job = world.lease(Charge, &order).await.unwrap();
        let mut result = world.ask(Charge, &job).await;
        if cents == 1_004 {
            assert!(world.record(Charge, &job, &result).await);
        }
        world.read(&[event(Cancelled, &order)]).await;
        assert_eq!(
            world.payment(&order).await.state,
            State::Pending,
            "never dropped"
        );
        if cents == 1_004 {
            job = world.lease(Charge, &order).await.unwrap();
            result = world.ask(Charge, &job).await;
        }
        assert!(world.record(Charge, &job, &result).await);
        assert_eq!(world.outcome(order.order_id).await, None);
        assert_eq!(world.payment(&order).await.state, State::Refunding);
        world.work(Refund, &order).await.unwrap();
        assert_eq!(world.moved(&order).await, (1, 1));
    }
}

async fn a_decline_after_the_end_of_the_order_is_only_kept(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_002);
    world.read(&[event(Reserved, &order)]).await;
    let job = world.lease(Charge, &order).await.unwrap();
    world.read(&[event(Cancelled, &order)]).await;
    let result = world.ask(Charge, &job).await;
    assert!(world.record(Charge, &job, &result).await);
    assert_eq!(world.outcome(order.order_id).await, None);
    assert_eq!(world.payment(&order).await.state, State::Declined);
    assert_eq!(world.jobs(&order).await.len(), 1);
}

async fn a_crash_between_charging_and_recording_charges_once(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_000);
    world.read(&[event(Reserved, &order)]).await;
    let lost = world.lease(Charge, &order).await.unwrap();
    let answer = world.ask(Charge, &lost).await;
    expire(&world.database, &lost).await;
    let job = world.lease(Charge, &order).await.unwrap();
    assert!(
        !world.record(Charge, &lost, &answer).await,
        "its lease has passed on"
    );
    assert_eq!(world.payment(&order).await.state, State::Pending);
    assert_eq!(world.ask(Charge, &job).await, answer);
    assert!(world.record(Charge, &job, &answer).await);
    assert_eq!(world.payment(&order).await.state, State::Charged);
    assert_eq!(world.moved(&order).await, (1, 0));
}

/// Says the same to everything, and knows of what it is asked about.
#[derive(Clone)]
struct Fixed {
    submitted: Option<Answer>,
    found: Option<Answer>,
}

impl PaymentGateway for Fixed {
    async fn submit(&self, _: &Request) -> Result<Answer, Unknown> {
        Ok(self.submitted.clone().expect("not to be asked"))
    }

    async fn find(&self, _: &Request) -> Result<Option<Answer>, Unknown> {
        Ok(self.found.clone())
    }
}

async fn a_declined_refund_is_a_dead_job_that_an_operator_can_retry(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_000);
    world.read(&[event(Reserved, &order)]).await;
    world.work(Charge, &order).await.unwrap();
    world.read(&[event(Cancelled, &order)]).await;
    let job = world.lease(Refund, &order).await.unwrap();
    let reason = "account_closed".to_owned();
    let declining = Fixed {
        submitted: Some(Answer::Declined { reason }),
        found: None,
    };
    let result = world.handler(Refund, declining).run(&job).await;
    let error = "account_closed".to_owned();
    assert_eq!(result, JobResult::Dead { error });
    assert!(world.record(Refund, &job, &result).await);
    let payment = world.payment(&order).await;
    assert_eq!(payment.state, State::RefundFailed);
    assert_eq!(payment.reason.as_deref(), Some("account_closed"));
    assert_eq!(world.jobs(&order).await[1].state, JobState::Dead);

    assert!(retry_dead(&world.database, &job.job_id).await.unwrap());
    world.work(Refund, &order).await.unwrap();
    assert_eq!(world.payment(&order).await.state, State::Refunded);
}

async fn what_is_older_than_its_key_is_looked_up_before_it_is_asked_for(database: TestDatabase) {
    let world = World::new(database).await;
    let (known, unknown) = (order(1_000), order(2_000));
    let id = |id: &str| Answer::Accepted { id: id.to_owned() };
    for (order, found, expected) in [
        (&known, Some(id("found")), "found"),
        (&unknown, None, "submitted"),
    ] {
        let mut reserved = event(Reserved, order);
        reserved.timestamp = Some(1_577_836_800_000);
        world.read(&[reserved]).await;
        let job = world.lease(Charge, order).await.unwrap();
        let gateway = Fixed {
            submitted: found.is_none().then(|| id("submitted")),
            found,
        };
        let result = world.handler(Charge, gateway).run(&job).await;
        let answer = serde_json::to_string(&id(expected)).unwrap();
        assert_eq!(
            result,
            JobResult::Done {
                result: Some(answer)
            }
        );
    }
}

/// As if every job had been inserted so much earlier.
async fn age(world: &World, by: Duration) {
    let by = i64::try_from(by.as_millis()).unwrap();
    sqlx::query("UPDATE jobs SET created_at = created_at - $1")
        .bind(by)
        .execute(world.database.pool())
        .await
        .unwrap();
}

fn accepted(id: &str) -> Answer {
    Answer::Accepted { id: id.to_owned() }
}

fn done(answer: &Answer) -> JobResult {
    JobResult::Done {
        result: Some(serde_json::to_string(answer).unwrap()),
    }
}

async fn what_is_older_than_half_the_lifetime_of_its_key_is_looked_up(database: TestDatabase) {
    let world = World::new(database).await;
    let margin = Duration::from_secs(60 * 60);
    let gateway = Fixed {
        submitted: Some(accepted("submitted")),
        found: Some(accepted("found")),
    };
    for (so_old, expected) in [(DAY / 2 - margin, "submitted"), (DAY / 2, "found")] {
        let order = order(1_000);
        // By the clock of its writer it happens in the future.
        world.read(&[event(Reserved, &order)]).await;
        age(&world, so_old).await;
        let job = world.lease(Charge, &order).await.unwrap();
        let result = world.handler(Charge, gateway.clone()).run(&job).await;
        assert_eq!(result, done(&accepted(expected)));
    }
}

/// After a restored backup the refund may have been made long ago.
async fn a_refund_that_a_charge_orders_is_as_old_as_the_charge(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_000);
    let mut reserved = event(Reserved, &order);
    reserved.timestamp = Some(1_577_836_800_000);
    world.read(&[reserved]).await;
    let charge = world.lease(Charge, &order).await.unwrap();
    world.read(&[event(Cancelled, &order)]).await;
    let result = done(&accepted("p1"));
    assert!(world.record(Charge, &charge, &result).await);
    let refund = world.lease(Refund, &order).await.unwrap();
    assert_eq!(refund.age_from, 1_577_836_800_000);
    let gateway = Fixed {
        submitted: None,
        found: Some(accepted("r1")),
    };
    let result = world.handler(Refund, gateway).run(&refund).await;
    assert_eq!(result, done(&accepted("r1")));
}

/// A refund that the gateway declined and an operator retries, a day after it was ordered.
async fn retried_refund(world: &World) -> Job {
    let order = order(1_000);
    world.read(&[event(Reserved, &order)]).await;
    world.work(Charge, &order).await.unwrap();
    world.read(&[event(Cancelled, &order)]).await;
    let job = world.lease(Refund, &order).await.unwrap();
    let error = "account_closed".to_owned();
    let dead = JobResult::Dead { error };
    assert!(world.record(Refund, &job, &dead).await);
    age(world, DAY).await;
    assert!(retry_dead(&world.database, &job.job_id).await.unwrap());
    world.lease(Refund, &order).await.unwrap()
}

async fn an_operators_retry_does_not_make_a_job_young(database: TestDatabase) {
    let world = World::new(database).await;
    let job = retried_refund(&world).await;
    let gateway = Fixed {
        submitted: None,
        found: Some(accepted("r1")),
    };
    let result = world.handler(Refund, gateway).run(&job).await;
    assert_eq!(result, done(&accepted("r1")));
}

async fn a_refund_that_was_declined_long_ago_is_asked_for_again(database: TestDatabase) {
    let world = World::new(database).await;
    let job = retried_refund(&world).await;
    let reason = "account_closed".to_owned();
    let gateway = Fixed {
        submitted: Some(accepted("r2")),
        found: Some(Answer::Declined { reason }),
    };
    let result = world.handler(Refund, gateway).run(&job).await;
    assert_eq!(result, done(&accepted("r2")));
}

async fn a_payload_that_cannot_be_read_is_a_dead_job(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_000);
    world.read(&[event(Reserved, &order)]).await;
    sqlx::query(r#"UPDATE jobs SET payload = '{"amountMinor":"ann@example.org"}'"#)
        .execute(world.database.pool())
        .await
        .unwrap();
    let result = world.work(Charge, &order).await.unwrap();
    let error = "the payload is not a charge: see its column 32".to_owned();
    assert_eq!(result, JobResult::Dead { error });
    assert_eq!(world.payment(&order).await.state, State::Pending);
    assert_eq!(world.jobs(&order).await[0].state, JobState::Dead);
}
