//! Invariant 4 over interleavings of the log, the workers and their crashes: no order is charged twice;
//! charges less refunds are 1 for a shipped order and 0 for every other order that ended.

use base_domains::{OrderStatus, WireOrder};
use payment_service::gateway::Operation::{self, Charge, Refund};
use payment_service::payment::State;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use service_runtime::jobs::{Job, JobResult, JobRow, JobState};
use service_runtime::testing::{expire, read_record};
use test_support::{Test, TestDatabase, test};

use crate::world::{World, event, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(
        no_interleaving_charges_twice_or_keeps_money_of_an_order_that_was_not_shipped
    )]
}

/// How many histories are tried, half of them on each database.
const CASES: usize = 120;

/// One step of a history.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The log brings this, or brings it again.
    Read(OrderStatus),
    /// The log brings what this service appended, if it did.
    ReadBack,
    /// Shipping reads PAID and ships.
    Ship,
    /// A worker leases a job.
    Lease(Operation),
    /// The worker that leased it asks the gateway.
    Ask(Operation),
    /// It records what the gateway said.
    Record(Operation),
    /// It dies.
    Crash(Operation),
}

fn step() -> impl Strategy<Value = Step> {
    use OrderStatus::{Cancelled, Pending, Rejected, Reserved};
    let operation = || prop_oneof![3 => Just(Charge), 1 => Just(Refund)];
    prop_oneof![
        3 => prop::sample::select(vec![Pending, Reserved, Reserved, Reserved]).prop_map(Step::Read),
        2 => prop::sample::select(vec![Cancelled, Cancelled, Rejected]).prop_map(Step::Read),
        2 => Just(Step::ReadBack),
        1 => Just(Step::Ship),
        4 => operation().prop_map(Step::Lease),
        4 => operation().prop_map(Step::Ask),
        4 => operation().prop_map(Step::Record),
        1 => operation().prop_map(Step::Crash),
    ]
}

/// A history; most begin with what makes the rest of interest.
fn history() -> impl Strategy<Value = Vec<Step>> {
    let beginnings = vec![
        vec![],
        vec![Step::Read(OrderStatus::Reserved)],
        vec![Step::Read(OrderStatus::Reserved), Step::Lease(Charge)],
    ];
    let rest = prop::collection::vec(step(), 1..25);
    (prop::sample::select(beginnings), rest)
        .prop_map(|(beginning, rest)| [beginning, rest].concat())
}

/// One worker for each kind of job; a leased job, and the answer if it asked.
#[derive(Default)]
struct Worker {
    job: Option<Job>,
    answer: Option<JobResult>,
}

struct History<'a> {
    world: &'a World,
    order: WireOrder,
    charges: Worker,
    refunds: Worker,
}

impl History<'_> {
    async fn take(&mut self, step: Step) {
        match step {
            Step::Read(status) => {
                self.world.read(&[event(status, &self.order)]).await;
            }
            Step::ReadBack => self.read_back().await,
            Step::Ship if self.status().await == "PAID" => {
                let shipped = event(OrderStatus::Shipped, &self.order);
                self.world.read(&[shipped]).await;
            }
            Step::Ship => {}
            Step::Lease(operation) => {
                let leased = self.world.lease(operation, &self.order).await;
                if let Some(job) = leased {
                    let answer = None;
                    let job = Some(job);
                    *self.worker(operation) = Worker { job, answer };
                }
            }
            Step::Ask(operation) => {
                if let Some(job) = self.worker(operation).job.clone() {
                    let answer = self.world.ask(operation, &job).await;
                    self.worker(operation).answer = Some(answer);
                }
            }
            Step::Record(operation) => {
                let worker = self.worker(operation);
                if let (Some(job), Some(answer)) = (worker.job.clone(), worker.answer.take()) {
                    worker.job = None;
                    self.world.record(operation, &job, &answer).await;
                }
            }
            // What it remembers is left: it may as well be slow, and record after its lease.
            Step::Crash(operation) => {
                if let Some(job) = self.worker(operation).job.clone() {
                    expire(&self.world.database, &job).await;
                }
            }
        }
    }

    fn worker(&mut self, operation: Operation) -> &mut Worker {
        match operation {
            Charge => &mut self.charges,
            Refund => &mut self.refunds,
        }
    }

    async fn read_back(&self) {
        if let Some(outcome) = self.world.outcome(self.order.order_id).await {
            self.world.read(&[read_record(&outcome)]).await;
        }
    }

    async fn status(&self) -> &'static str {
        let status = self.world.bench.status(self.order.order_id).await;
        status.map_or("", OrderStatus::as_str)
    }

    /// Until nothing is left to do: what is leased runs out, is leased again, and outcomes are read.
    async fn come_to_an_end(&mut self) {
        for _ in 0..20 {
            for operation in [Charge, Refund] {
                let job = self.worker(operation).job.take();
                if let Some(job) = job {
                    expire(&self.world.database, &job).await;
                }
                self.world.work(operation, &self.order).await;
            }
            self.read_back().await;
            let jobs = self.world.jobs(&self.order).await;
            let open = |job: &JobRow| matches!(job.state, JobState::Due | JobState::Leased);
            if !jobs.iter().any(open) {
                return;
            }
        }
        panic!("a job never ends");
    }
}

fn expected(state: State) -> (i64, i64) {
    match state {
        State::Charged => (1, 0),
        State::Refunded => (1, 1),
        State::Skipped | State::Declined => (0, 0),
        open => panic!("{open} at the end"),
    }
}

async fn no_interleaving_charges_twice_or_keeps_money_of_an_order_that_was_not_shipped(
    database: TestDatabase,
) {
    let seed = database.kind().name();
    let world = World::new(database).await;
    // The same histories in every run, and others on the other database.
    let mut bytes = [7; 32];
    bytes[0] = seed.as_bytes()[0];
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let histories = (prop::sample::select(vec![0, 0, 2, 3, 4]), history());
    let mut ends = std::collections::BTreeMap::new();
    for _ in 0..CASES / 2 {
        let (cents, steps) = histories.new_tree(&mut runner).unwrap().current();
        let mut history = History {
            world: &world,
            order: order(1_000 + cents),
            charges: Worker::default(),
            refunds: Worker::default(),
        };
        for step in &steps {
            history.take(*step).await;
        }
        history.come_to_an_end().await;
        let status = history.status().await;
        let moved = world.moved(&history.order).await;
        let told = || format!("{status} {moved:?} after {cents} {steps:?}");
        if world.jobs(&history.order).await.is_empty() {
            assert_eq!(moved, (0, 0), "{}", told());
            continue;
        }
        let state = world.payment(&history.order).await.state;
        assert_eq!(moved, expected(state), "{}", told());
        match status {
            "SHIPPED" | "PAID" => assert_eq!(moved, (1, 0), "{}", told()),
            "CANCELLED" | "REJECTED" => assert_eq!(moved.0 - moved.1, 0, "{}", told()),
            other => panic!("{other} at the end, {}", told()),
        }
        *ends.entry(state.as_str()).or_insert(0) += 1;
    }
    // Every end was reached, or this test would prove less than it says.
    let reached: Vec<&str> = ends.keys().copied().collect();
    assert_eq!(
        reached,
        ["charged", "declined", "refunded", "skipped"],
        "{ends:?}"
    );
}
