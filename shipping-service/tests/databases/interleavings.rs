//! Over interleavings of the log, two instances, their workers and their deaths: a parcel is handed over
//! once if the order is SHIPPED by the log, and else never.

use std::collections::BTreeMap;

use base_domains::OrderStatus::{self, Cancelled, Paid, Pending, Rejected, Reserved, Shipped};
use base_domains::{OrderState, Reading, WireOrder, header, read};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use service_runtime::jobs::{Job, JobResult, JobRow, JobState};
use service_runtime::testing::{
    self, Bench, Fate, PARTITIONS, expire, garbled, read_record, redriven,
};
use shipping_service::decider::ShippingDecider;
use shipping_service::job::DispatchHandler;
use shipping_service::shipment::State;
use test_support::{Test, TestDatabase, test};

use crate::world::{Logs, World, event, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(
        no_interleaving_hands_a_parcel_over_twice_or_of_an_order_that_is_not_shipped
    )]
}

/// How many histories are tried, half of them on each database.
const CASES: usize = 240;

/// One step of a history. Numbers are those of an instance.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Another service appends this.
    Append(OrderStatus),
    /// The same, with a body that nobody can read.
    Garbled(OrderStatus),
    /// An operator appends PAID once more, for this service.
    Redrive,
    /// It reads so many records on.
    Read(usize, usize),
    /// It starts again, and reads from the beginning.
    Restart(usize),
    /// Its worker leases the dispatch.
    Lease(usize),
    /// The worker records it and publishes what comes of it.
    Record(usize),
    /// The worker records it and dies.
    RecordAndDie(usize),
    /// The lease runs out; what the worker remembers is left, it may as well be slow.
    Expire(usize),
    /// Somebody asks for the dispatch.
    Ask,
    /// The sweep publishes again what was not read back.
    Sweep,
    /// What becomes of appended records from now on.
    Fate(Fate),
}

fn step() -> impl Strategy<Value = Step> {
    let instance = || 0..2_usize;
    let fates = vec![Fate::Kept, Fate::Kept, Fate::Refused, Fate::Lost];
    prop_oneof![
        2 => prop::sample::select(vec![Pending, Reserved, Paid, Paid]).prop_map(Step::Append),
        2 => prop::sample::select(vec![Cancelled, Cancelled, Rejected, Shipped]).prop_map(Step::Append),
        1 => prop::sample::select(vec![Paid, Shipped, Cancelled]).prop_map(Step::Garbled),
        1 => Just(Step::Redrive),
        6 => (instance(), 1..4_usize).prop_map(|(of, records)| Step::Read(of, records)),
        1 => instance().prop_map(Step::Restart),
        4 => instance().prop_map(Step::Lease),
        3 => instance().prop_map(Step::Record),
        1 => instance().prop_map(Step::RecordAndDie),
        1 => instance().prop_map(Step::Expire),
        1 => Just(Step::Ask),
        1 => Just(Step::Sweep),
        2 => prop::sample::select(fates).prop_map(Step::Fate),
    ]
}

/// A history; most begin with what makes the rest of interest.
fn history() -> impl Strategy<Value = Vec<Step>> {
    let (paid, read) = (Step::Append(Paid), Step::Read(0, 1));
    let beginnings = vec![
        vec![],
        vec![paid, read],
        vec![paid, read, Step::Lease(0)],
        vec![Step::Garbled(Paid), read],
        vec![Step::Garbled(Paid), Step::Append(Shipped), read, read],
    ];
    let rest = prop::collection::vec(step(), 1..25);
    (prop::sample::select(beginnings), rest)
        .prop_map(|(beginning, rest)| [beginning, rest].concat())
}

/// One instance of the service: how much of the order it has read, and what its worker leased.
struct Instance<'a> {
    bench: &'a Bench<ShippingDecider>,
    next: usize,
    job: Option<Job>,
}

struct History<'a> {
    world: &'a World,
    order: WireOrder,
    instances: [Instance<'a>; 2],
    logs: Logs,
}

impl History<'_> {
    async fn take(&mut self, step: Step) {
        let (log, order) = (&self.world.log, &self.order);
        match step {
            Step::Append(status) => drop(log.append(&event(status, order))),
            Step::Garbled(status) => drop(log.push(garbled(read_record(&event(status, order))))),
            Step::Redrive => {
                drop(log.push(redriven(read_record(&event(Paid, order)), "shipping")));
            }
            Step::Read(of, records) => self.read(of, records).await,
            Step::Restart(of) => self.instances[of].next = 0,
            Step::Lease(of) => {
                if let Some(job) = self.world.lease(order).await {
                    self.instances[of].job = Some(job);
                }
            }
            Step::Record(of) => self.record(of, true).await,
            Step::RecordAndDie(of) => self.record(of, false).await,
            Step::Expire(of) => {
                if let Some(job) = &self.instances[of].job {
                    expire(&self.world.database, job).await;
                }
            }
            Step::Ask => {
                let asked = self.world.dispatcher.dispatch(order.order_id).await;
                drop(asked.unwrap());
            }
            Step::Sweep => {
                let id = order.order_id;
                // The log may refuse it; the sweep comes again.
                drop(self.instances[0].bench.try_publish_again(id).await);
            }
            Step::Fate(fate) => log.set_fate(fate),
        }
    }

    async fn read(&mut self, of: usize, records: usize) {
        let log = self.world.log.of(self.order.order_id);
        let instance = &mut self.instances[of];
        let end = log.len().min(instance.next + records);
        // What the log refuses is read again.
        if instance
            .bench
            .try_read(&log[instance.next..end])
            .await
            .is_ok()
        {
            instance.next = end;
        }
    }

    async fn record(&mut self, of: usize, publish: bool) {
        let instance = &mut self.instances[of];
        let Some(job) = instance.job.take() else {
            return;
        };
        let handler = DispatchHandler::new(self.world.database.dialect());
        let handler = instance.bench.with_outcomes(handler);
        let done = JobResult::Done { result: None };
        let publishing = testing::record(&handler, &self.world.database, &job, &done).await;
        if let Some(publishing) = publishing.filter(|_| publish) {
            publishing.await;
        }
    }

    /// What the log says, whoever read how much of it.
    fn truth(&self) -> Option<OrderStatus> {
        let mut state = OrderState::default();
        for record in self.world.log.of(self.order.order_id) {
            let reading = read(&record.as_ref(), PARTITIONS).unwrap();
            if let Reading::Event(heading) = reading
                && record.header(header::REDRIVE_GROUP).is_none()
            {
                state.apply(heading.status);
            }
        }
        state.status()
    }

    /// What holds after every step.
    async fn check(&self, steps: &[Step]) -> Option<State> {
        let state = self.world.kept(&self.order).await;
        let state = state.map(|kept| kept.shipment.state);
        let (truth, handed_over) = (self.truth(), self.logs.handed_over(&self.order));
        let told = || format!("{state:?} {truth:?} {handed_over} after {steps:?}");
        let dispatched = state == Some(State::Dispatched);
        assert_eq!(handed_over, usize::from(dispatched), "{}", told());
        match state {
            Some(State::Dispatched) => assert_eq!(truth, Some(Shipped), "{}", told()),
            Some(State::Cancelled) => {
                assert!(matches!(truth, Some(Cancelled | Rejected)), "{}", told());
            }
            Some(State::Prepared) | None => {}
        }
        state
    }

    /// Until nothing is left to do: failed decisions are redriven, leases run out, everything is read.
    async fn come_to_an_end(&mut self) {
        self.take(Step::Fate(Fate::Kept)).await;
        for _ in 0..20 {
            self.read(0, usize::MAX / 2).await;
            self.read(1, usize::MAX / 2).await;
            if self.world.kept(&self.order).await.is_none() {
                self.take(Step::Redrive).await;
                self.read(0, 1).await;
            }
            for of in [0, 1] {
                self.take(Step::Expire(of)).await;
                self.take(Step::Lease(of)).await;
                self.take(Step::Record(of)).await;
            }
            self.take(Step::Sweep).await;
            let jobs = self.world.jobs(&self.order).await;
            let open = |job: &JobRow| matches!(job.state, JobState::Due | JobState::Leased);
            let end = self.world.log.of(self.order.order_id).len();
            if self.instances[0].next == end && !jobs.iter().any(open) {
                return;
            }
        }
        panic!("it never ends");
    }
}

/// How a history ended, in words; every one of them is wanted.
fn ending(state: Option<State>, truth: Option<OrderStatus>, shipped: bool) -> &'static str {
    match (state, truth) {
        (Some(State::Dispatched), Some(Shipped)) => "dispatched",
        (Some(State::Cancelled), Some(Cancelled | Rejected)) if shipped => "cancelled first",
        (Some(State::Cancelled), Some(Cancelled | Rejected)) => "cancelled",
        (None, Some(Cancelled | Rejected)) => "ended unpaid",
        (None, None | Some(Pending | Reserved)) => "not paid",
        other => panic!("{other:?} at the end"),
    }
}

async fn no_interleaving_hands_a_parcel_over_twice_or_of_an_order_that_is_not_shipped(
    database: TestDatabase,
) {
    let seed = database.kind().name();
    let world = World::new(database.clone()).await;
    let other = world.another(&database);
    // The same histories in every run, and others on the other database.
    let mut bytes = [7; 32];
    bytes[0] = seed.as_bytes()[0];
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut ends = BTreeMap::new();
    for _ in 0..CASES / 2 {
        let steps = history().new_tree(&mut runner).unwrap().current();
        let (logs, _guard) = Logs::capture();
        let instance = |bench| Instance {
            bench,
            next: 0,
            job: None,
        };
        let mut history = History {
            world: &world,
            order: order(),
            instances: [instance(&world.bench), instance(&other)],
            logs,
        };
        for step in &steps {
            history.take(*step).await;
            history.check(&steps).await;
        }
        history.come_to_an_end().await;
        let (state, truth) = (history.check(&steps).await, history.truth());
        let log = world.log.of(history.order.order_id);
        let ours = |id: &str| id == "/shipping-service";
        let shipped = log
            .iter()
            .any(|record| record.header(header::CE_SOURCE).is_some_and(ours));
        *ends.entry(ending(state, truth, shipped)).or_insert(0) += 1;
    }
    // Every end was reached, or this test would prove less than it says.
    let reached: Vec<&str> = ends.keys().copied().collect();
    let expected = [
        "cancelled",
        "cancelled first",
        "dispatched",
        "ended unpaid",
        "not paid",
    ];
    assert_eq!(reached, expected, "{ends:?}");
}
