//! The service's part in a batch: what the events of the log mean for shipments and their dispatch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base_domains::{OrderEvent, OrderId, OrderStatus, header, reason};
use service_runtime::database::{Dialect, Tx};
use service_runtime::jobs::{self, NewJob};
use service_runtime::participant::{Change, DecideError, Decider, Decision};
use tokio::sync::watch;

use crate::job;
use crate::shipment::{Action, Shipment, is_wanted, lines};
use crate::store::Store;

/// Why a dispatch that nobody began is not wanted any more.
const ENDED: &str = "the order ended";

/// Prepares shipments, orders their dispatch, and hands over what is shipped.
#[derive(Debug)]
pub struct ShippingDecider {
    store: Store,
    after: Option<Duration>,
    ended: watch::Sender<()>,
    /// Tracking numbers of what the batch under way hands over: told after its commit.
    handed_over: Mutex<BTreeMap<OrderId, String>>,
}

/// The shipments of a batch, and the dispatches to order and to take back.
struct Work {
    /// The database's time, in epoch milliseconds.
    now: i64,
    after: Option<Duration>,
    shipments: BTreeMap<OrderId, Shipment>,
    changed: BTreeSet<OrderId>,
    jobs: BTreeMap<OrderId, NewJob>,
    withdraw: Vec<String>,
    handed_over: BTreeMap<OrderId, String>,
}

impl ShippingDecider {
    /// A decider for a database of this kind. What is paid is dispatched `after` so long, or only when
    /// somebody asks; `ended` is told after each commit that brought an order to its end.
    #[must_use]
    pub fn new(dialect: Dialect, after: Option<Duration>, ended: watch::Sender<()>) -> Self {
        Self {
            store: Store { dialect },
            after,
            ended,
            handed_over: Mutex::default(),
        }
    }

    async fn write(&self, tx: &mut Tx, mut work: Work) -> Result<(), DecideError> {
        let dialect = self.store.dialect;
        let new: Vec<NewJob> = work.jobs.into_values().collect();
        jobs::insert(tx, dialect, &new).await?;
        // One that was begun runs, and finds the order ended.
        jobs::withdraw(tx, dialect, &work.withdraw, ENDED).await?;
        let changed = work.changed.iter();
        let changed = changed.filter_map(|order_id| work.shipments.remove(order_id));
        let changed: Vec<Shipment> = changed.collect();
        self.store.write(tx, &changed).await?;
        self.keep(work.handed_over);
        Ok(())
    }

    /// Gives what was kept before.
    fn keep(&self, handed_over: BTreeMap<OrderId, String>) -> BTreeMap<OrderId, String> {
        let kept = self.handed_over.lock();
        let mut kept = kept.unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut kept, handed_over)
    }
}

impl Work {
    /// One change, by the rule book.
    fn fold(&mut self, change: &Change<'_>) -> Result<Decision, DecideError> {
        let order_id = change.order_id();
        if is_wanted(change.status) && !self.shipments.contains_key(&order_id) {
            let event = match change.event() {
                Ok(event) => event,
                Err(error) => return Ok(Decision::unreadable(&error)),
            };
            if change.status == OrderStatus::Paid && event.order.validate().is_err() {
                // Nobody can pack it. Somebody else appended it: stock-service rejects such.
                let rejected = OrderEvent::new(OrderStatus::Rejected, event.order);
                return Ok(Decision::Append(
                    rejected.with_reason(reason::INVALID_ORDER),
                ));
            }
            self.prepare(change, event)?;
        }
        self.follow(change);
        Ok(Decision::Done)
    }

    fn prepare(&mut self, change: &Change<'_>, event: OrderEvent) -> Result<(), DecideError> {
        let order_id = change.order_id();
        let shipment = Shipment::prepared(order_id, lines(&event.order));
        self.shipments.insert(order_id, shipment);
        self.changed.insert(order_id);
        let dispatch = job::dispatch(
            event.order,
            change.home_partition,
            change.record.header(header::TRACEPARENT),
            self.time(change),
            self.after,
        )?;
        self.jobs.insert(order_id, dispatch);
        Ok(())
    }

    fn follow(&mut self, change: &Change<'_>) {
        let (order_id, time) = (change.order_id(), self.time(change));
        let Some(shipment) = self.shipments.get_mut(&order_id) else {
            return;
        };
        let action = shipment.follow(change.status, time);
        if action == Action::None {
            return;
        }
        if action == Action::HandOver {
            let number = shipment.tracking_number.clone();
            self.handed_over.insert(order_id, number);
        }
        self.changed.insert(order_id);
        // Ordered by this very batch: this is history that is read again.
        if self.jobs.remove(&order_id).is_none() {
            self.withdraw.push(job::job_id(order_id));
        }
    }

    /// When it happened, in epoch milliseconds: now, if its writer has no clock, or one that is ahead.
    fn time(&self, change: &Change<'_>) -> i64 {
        let known = change.record.timestamp.filter(|at| *at > 0);
        known.map_or(self.now, |at| at.min(self.now))
    }
}

impl Decider for ShippingDecider {
    async fn decide(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        self.keep(BTreeMap::new());
        let before_paid = |status| matches!(status, OrderStatus::Pending | OrderStatus::Reserved);
        let orders: BTreeSet<OrderId> = changes
            .iter()
            .filter(|change| !before_paid(change.status))
            .map(Change::order_id)
            .collect();
        if orders.is_empty() {
            return Ok(vec![Decision::Done; changes.len()]);
        }
        let mut work = Work {
            now: tx.now_ms().await?,
            after: self.after,
            shipments: self.store.lock(tx, orders).await?,
            changed: BTreeSet::new(),
            jobs: BTreeMap::new(),
            withdraw: Vec::new(),
            handed_over: BTreeMap::new(),
        };
        let decisions = changes.iter().map(|change| work.fold(change));
        let decisions = decisions.collect::<Result<Vec<_>, _>>()?;
        self.write(tx, work).await?;
        Ok(decisions)
    }

    fn committed(&self, changes: &[Change<'_>]) {
        for (order_id, tracking_number) in self.keep(BTreeMap::new()) {
            tracing::info!(%order_id, tracking_number, "Shipment dispatched.");
        }
        if changes.iter().any(|change| change.status.is_terminal()) {
            self.ended.send_replace(());
        }
    }
}
