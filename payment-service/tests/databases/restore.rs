//! A database that is older than what happened: charges that only the gateway knows of (rule R13).

use base_domains::{OrderStatus, WireOrder};
use payment_service::gateway::Operation::{self, Charge, Refund};
use payment_service::gateway::{Answer, PaymentGateway as _, Request};
use payment_service::job::look_up_id;
use payment_service::payment::State;
use service_runtime::jobs::{JobResult, JobState};
use service_runtime::kafka::Record;
use test_support::{Test, TestDatabase, test};

use crate::world::{World, event, order, paid};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_forgotten_charge_of_an_order_that_ended_is_found_and_refunded_once),
        test!(a_charge_that_was_never_made_is_skipped_once_the_gateway_says_so),
        test!(a_forgotten_decline_is_kept),
        test!(a_charge_that_the_log_tells_of_is_not_looked_up),
        test!(a_charge_that_is_known_to_be_begun_is_not_looked_up),
    ]
}

use OrderStatus::{Cancelled, Rejected, Reserved};

impl World {
    /// What the service did after the backup, and has forgotten.
    async fn once(&self, operation: Operation, order: &WireOrder) -> Answer {
        let request = Request {
            operation,
            order_id: order.order_id,
            amount: order.validate().unwrap().total(),
            payment_id: None,
        };
        self.sandbox().submit(&request).await.unwrap()
    }

    async fn look_up(&self, order: &WireOrder) -> JobResult {
        let id = look_up_id(order.order_id);
        let job = self.lease_job(Charge, &id).await.expect("a look-up");
        let result = self.ask(Charge, &job).await;
        assert!(self.record(Charge, &job, &result).await);
        result
    }
}

fn ended(order: &WireOrder, end: OrderStatus) -> [Record; 2] {
    [event(Reserved, order), event(end, order)]
}

async fn a_forgotten_charge_of_an_order_that_ended_is_found_and_refunded_once(
    database: TestDatabase,
) {
    let world = World::new(database).await;
    for (end, refunded) in [(Cancelled, false), (Rejected, false), (Cancelled, true)] {
        let order = order(1_000);
        world.once(Charge, &order).await;
        if refunded {
            world.once(Refund, &order).await;
        }
        world.read_history(&ended(&order, end)).await;
        assert_eq!(world.payment(&order).await.state, State::Pending);
        assert!(
            world.lease(Charge, &order).await.is_none(),
            "it must not be charged now"
        );
        world.look_up(&order).await;
        let payment = world.payment(&order).await;
        assert_eq!(payment.state, State::Refunding);
        let id = format!("sandbox-charge-{}", order.order_id);
        assert_eq!(payment.payment_id, Some(id));
        assert_eq!(world.outcome(order.order_id).await, None);
        world.work(Refund, &order).await.unwrap();
        assert_eq!(world.payment(&order).await.state, State::Refunded);
        assert_eq!(world.moved(&order).await, (1, 1));
    }
}

async fn a_charge_that_was_never_made_is_skipped_once_the_gateway_says_so(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_000);
    let [reserved, cancelled] = ended(&order, Cancelled);
    world.read_history(&[reserved]).await;
    world.read_history(&[cancelled]).await;
    let result = world.look_up(&order).await;
    assert!(matches!(result, JobResult::Skipped { .. }), "{result:?}");
    assert_eq!(world.payment(&order).await.state, State::Skipped);
    assert_eq!(world.moved(&order).await, (0, 0));
    let jobs = world.jobs(&order).await;
    let states: Vec<JobState> = jobs.iter().map(|job| job.state).collect();
    assert_eq!(states, [JobState::Skipped; 2]);
}

async fn a_forgotten_decline_is_kept(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_002);
    world.once(Charge, &order).await;
    world.read_history(&ended(&order, Rejected)).await;
    world.look_up(&order).await;
    let payment = world.payment(&order).await;
    assert_eq!(payment.state, State::Declined);
    assert_eq!(payment.reason.as_deref(), Some("insufficient_funds"));
    assert_eq!(world.jobs(&order).await.len(), 2, "no refund");
}

async fn a_charge_that_the_log_tells_of_is_not_looked_up(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_000);
    world.once(Charge, &order).await;
    let [reserved, cancelled] = ended(&order, Cancelled);
    let history = [reserved, paid(&order, "p1"), cancelled];
    world.read_history(&history).await;
    assert_eq!(world.payment(&order).await.state, State::Refunding);
    let look_up = world.lease_job(Charge, &look_up_id(order.order_id)).await;
    assert!(look_up.is_none());
    world.work(Refund, &order).await.unwrap();
    assert_eq!(world.moved(&order).await, (1, 1));
}

/// Rule R5: it runs, and its answer tells.
async fn a_charge_that_is_known_to_be_begun_is_not_looked_up(database: TestDatabase) {
    let world = World::new(database).await;
    let order = order(1_000);
    let [reserved, cancelled] = ended(&order, Cancelled);
    world.read(&[reserved]).await;
    let job = world.lease(Charge, &order).await.unwrap();
    world.read_history(&[cancelled]).await;
    assert_eq!(world.jobs(&order).await.len(), 1);
    let result = world.ask(Charge, &job).await;
    assert!(world.record(Charge, &job, &result).await);
    world.work(Refund, &order).await.unwrap();
    assert_eq!(world.moved(&order).await, (1, 1));
}
