//! Invariant 2 over interleavings: requests, the deadline, the other services, duplicates, crashes and
//! restarts; every order comes to one end, the same for all who read the log, and no cancellation is made
//! twice or after an end that was read.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{EncodedEvent, OrderEvent, OrderId, OrderState, OrderStatus, reason};
use order_service::command::Cancelling;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use test_support::{Test, TestDatabase, test};

use crate::support::{LONG_AGO, Log, Mark, Orders, order_id, plain};

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(every_order_comes_to_one_end_whoever_wants_to_end_it)]
}

/// How many histories are tried on each database.
const CASES: usize = 100;

/// One step of a history.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Another service appends this, perhaps once more.
    Append(OrderStatus),
    /// The participant reads so many records.
    Read(usize),
    /// It starts again, so many records before where it was.
    Restart(usize),
    /// Somebody asks for the cancellation.
    Request,
    /// The deadline is over.
    Deadline,
    /// Who stored an outcome comes to publish it.
    Publish,
    /// Who stored an outcome dies before that.
    Crash,
    /// The sweep looks (rule R9).
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    use OrderStatus::{Paid, Pending, Rejected, Reserved, Shipped};
    let others = vec![Pending, Reserved, Reserved, Paid, Paid, Shipped, Rejected];
    prop_oneof![
        4 => prop::sample::select(others).prop_map(Step::Append),
        5 => (1_usize..4).prop_map(Step::Read),
        1 => (1_usize..4).prop_map(Step::Restart),
        2 => Just(Step::Request),
        2 => Just(Step::Deadline),
        2 => Just(Step::Publish),
        1 => Just(Step::Crash),
        1 => Just(Step::Sweep),
    ]
}

/// A history of one order on rows that it shares with all others.
struct History<'a> {
    orders: &'a Orders,
    id: OrderId,
    marks: Log,
    log: Vec<OrderEvent>,
    position: usize,
    /// Stored by somebody who has not published it yet.
    held: Vec<EncodedEvent>,
    /// Every outcome that was ever stored.
    stored: BTreeSet<String>,
    /// What somebody was told of the end.
    told: BTreeSet<&'static str>,
}

impl<'a> History<'a> {
    fn new(orders: &'a Orders, id: OrderId) -> Self {
        Self {
            orders,
            id,
            marks: Log::default(),
            log: vec![OrderEvent::new(OrderStatus::Pending, plain(id))],
            position: 0,
            held: Vec::new(),
            stored: BTreeSet::new(),
            told: BTreeSet::new(),
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Append(status) => {
                let event = OrderEvent::new(status, plain(self.id));
                self.log.push(event.with_reason("another service"));
            }
            Step::Read(records) => self.read(records).await,
            Step::Restart(records) => self.position = self.position.saturating_sub(records),
            Step::Request => self.cancel(reason::CANCELLED_ON_REQUEST).await,
            // Rule R11.
            Step::Deadline if self.position == self.log.len() => {
                self.cancel(reason::DEADLINE).await;
            }
            Step::Deadline => {}
            Step::Publish => {
                if let Some(outcome) = self.held.pop() {
                    self.publish(&outcome);
                }
            }
            Step::Crash => self.held.clear(),
            Step::Sweep if self.position == self.log.len() => {
                if let Some(outcome) = self.orders.outcome(self.id).await {
                    self.publish(&outcome);
                }
            }
            Step::Sweep => {}
        }
    }

    fn publish(&mut self, outcome: &EncodedEvent) {
        let event = OrderEvent::from_json(outcome.value.as_bytes());
        self.log.push(event.unwrap());
    }

    /// One batch, in one transaction.
    async fn read(&mut self, records: usize) {
        let end = self.log.len().min(self.position + records);
        let batch = self.log[self.position..end].iter();
        let marks: Vec<Mark> = batch
            .map(|event| self.marks.record(event, LONG_AGO))
            .collect();
        self.orders.read(&marks).await;
        self.position = end;
    }

    async fn cancel(&mut self, reason: &str) {
        let read = self.end_within(self.position);
        match self
            .orders
            .canceller
            .cancel(self.id, reason, None)
            .await
            .unwrap()
        {
            Cancelling::Stored(_) => {
                assert_eq!(read, None, "stored after an end that was read");
                let outcome = self.orders.outcome(self.id).await.unwrap();
                self.stored.insert(serde_json::to_string(&outcome).unwrap());
                self.held.push(outcome);
            }
            Cancelling::Ended(status) => {
                self.told.insert(status.as_str());
            }
            Cancelling::UnderWay => assert!(self.orders.outcome(self.id).await.is_some()),
            Cancelling::Unknown => assert_eq!(self.marks_read(), 0),
            Cancelling::Unreadable(_) => panic!("every body can be read"),
        }
    }

    /// 1 if anything was ever read.
    fn marks_read(&self) -> usize {
        usize::from(self.position > 0)
    }

    /// The end of whoever has read so many records.
    fn end_within(&self, records: usize) -> Option<(OrderStatus, Option<String>)> {
        let mut state = OrderState::from(None);
        for event in &self.log[..records] {
            let status: OrderStatus = event.status.as_str().parse().unwrap();
            state.apply(status);
            if status.is_terminal() {
                return Some((status, event.reason.clone()));
            }
        }
        None
    }

    /// Until nothing is left to do: everything is read, lost outcomes are published, the deadline is over.
    async fn come_to_an_end(&mut self) {
        for step in [Step::Crash, Step::Read(1_000), Step::Deadline, Step::Crash] {
            self.take(step).await;
        }
        for step in [Step::Sweep, Step::Read(1_000), Step::Request] {
            self.take(step).await;
        }
    }
}

async fn every_order_comes_to_one_end_whoever_wants_to_end_it(database: TestDatabase) {
    let seed = database.kind().name();
    let orders = Orders::new(database).await;
    // The same histories in every run, and others on the other database.
    let mut bytes = [11; 32];
    bytes[0] = seed.as_bytes()[0];
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let histories = prop::collection::vec(step(), 1..30);
    let mut ends = BTreeMap::new();
    for case in 0..CASES {
        let steps = histories.new_tree(&mut runner).unwrap().current();
        let mut history = History::new(&orders, order_id(&format!("{seed} {case}")));
        for step in &steps {
            history.take(*step).await;
        }
        history.come_to_an_end().await;

        let log = &history.log;
        let told = || format!("{:?} after {steps:?}: {log:?}", history.told);
        let Some((status, reason)) = history.end_within(log.len()) else {
            panic!("no end, {}", told());
        };
        assert_eq!(history.told, [status.as_str()].into(), "{}", told());
        assert!(history.stored.len() <= 1, "{}", told());
        let row = orders.state(history.id).await;
        assert_eq!((&*row.state, &*row.content), ("ended", ""), "{}", told());
        assert_eq!(row.reason, reason.clone().unwrap_or_default(), "{}", told());
        assert_eq!(orders.outcome(history.id).await, None, "{}", told());
        let by = match status {
            OrderStatus::Cancelled => reason.unwrap(),
            other => format!("{other} after {} stored", history.stored.len()),
        };
        *ends.entry(by).or_insert(0) += 1;
    }
    // Every way to an end was taken, or this test would prove less than it says.
    let reached: Vec<&str> = ends.keys().map(String::as_str).collect();
    assert_eq!(
        reached,
        [
            "REJECTED after 0 stored",
            "REJECTED after 1 stored",
            "SHIPPED after 0 stored",
            "SHIPPED after 1 stored",
            "cancelled_on_request",
            "deadline",
        ],
        "{ends:?}"
    );
}
