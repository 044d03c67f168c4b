//! The service's part in a batch: what the events of the log mean for payments and their jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base_domains::{OrderEvent, OrderId, OrderStatus, header, reason};
use service_runtime::database::{Dialect, Tx};
use service_runtime::fault;
use service_runtime::jobs::{self, NewJob};
use service_runtime::participant::{Change, DecideError, Decider, Decision};
use tokio::sync::Notify;

use crate::gateway::Operation;
use crate::job;
use crate::payment::{Action, Payment, State};
use crate::store::Store;

/// Why a charge that nobody began is not wanted any more.
const ENDED: &str = "the order ended, or was paid already";

/// Orders charges and refunds.
#[derive(Debug)]
pub struct PaymentDecider {
    store: Store,
    charges: Arc<Notify>,
    refunds: Arc<Notify>,
}

/// The payments of a batch, and the jobs to order and to take back.
#[derive(Default)]
struct Work {
    payments: BTreeMap<OrderId, Payment>,
    changed: BTreeSet<OrderId>,
    jobs: Vec<NewJob>,
    withdraw: BTreeMap<OrderId, Ending>,
}

/// Why a charge is taken back: home partition and time of the event.
struct Ending {
    home_partition: i32,
    at: Option<i64>,
}

impl Ending {
    fn new(change: &Change<'_>) -> Self {
        Self {
            home_partition: change.home_partition,
            at: time(change),
        }
    }
}

impl PaymentDecider {
    /// A decider for a database of this kind; the workers of charges and refunds are notified when
    /// there may be something for them.
    #[must_use]
    pub const fn new(dialect: Dialect, charges: Arc<Notify>, refunds: Arc<Notify>) -> Self {
        Self {
            store: Store { dialect },
            charges,
            refunds,
        }
    }

    /// Brings payments and jobs in line with `changes`; `history`: see [`Decider::decide_history`].
    async fn answer(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
        history: bool,
    ) -> Result<Vec<Decision>, DecideError> {
        let orders: BTreeSet<OrderId> = changes
            .iter()
            .filter(|change| change.status != OrderStatus::Pending)
            .map(Change::order_id)
            .collect();
        if orders.is_empty() {
            return Ok(vec![Decision::Done; changes.len()]);
        }
        let mut work = Work {
            payments: self.store.lock(tx, orders).await?,
            ..Work::default()
        };
        let decisions = changes.iter().map(|change| work.fold(change));
        let decisions = decisions.collect::<Result<Vec<_>, _>>()?;
        self.write(tx, work, history).await?;
        Ok(decisions)
    }

    /// Writes what the changes came to. Whoever else writes these payments and jobs holds the lock of
    /// the order's row, except for leasing a job, which never waits: so whether a charge is taken back
    /// or begun is one update of its row.
    ///
    /// Of history, that nobody began a charge is only what these rows know: the gateway is asked.
    async fn write(&self, tx: &mut Tx, mut work: Work, history: bool) -> Result<(), DecideError> {
        let dialect = self.store.dialect;
        jobs::insert(tx, dialect, &work.jobs).await?;
        let id = |order_id: &OrderId| job::job_id(Operation::Charge, *order_id);
        let charges: Vec<String> = work.withdraw.keys().map(id).collect();
        let withdrawn = jobs::withdraw(tx, dialect, &charges, ENDED).await?;
        let mut look_ups = Vec::new();
        for (order_id, ending) in work.withdraw {
            let Some(payment) = work.payments.get_mut(&order_id) else {
                continue;
            };
            if !withdrawn.contains(&id(&order_id)) {
                continue;
            }
            if history && payment.state == State::Pending && !fault::mutated("r13.ask-gateway") {
                let Ending { home_partition, at } = ending;
                look_ups.push(job::look_up(payment, home_partition, at)?);
            } else {
                payment.withdrawn();
            }
            work.changed.insert(order_id);
        }
        jobs::insert(tx, dialect, &look_ups).await?;
        let changed = work
            .changed
            .iter()
            .filter_map(|id| work.payments.remove(id));
        let changed: Vec<Payment> = changed.collect();
        Ok(self.store.write(tx, &changed).await?)
    }
}

impl Work {
    /// One change, by the rule book.
    fn fold(&mut self, change: &Change<'_>) -> Result<Decision, DecideError> {
        let order_id = change.order_id();
        match change.status {
            OrderStatus::Reserved | OrderStatus::Paid => {
                let event = match change.event() {
                    Ok(event) => event,
                    Err(error) => return Ok(Decision::unreadable(&error)),
                };
                self.charge_or_adopt(change, event)
            }
            OrderStatus::Rejected | OrderStatus::Cancelled => {
                let Some(payment) = self.payments.get_mut(&order_id) else {
                    return Ok(Decision::Done);
                };
                match payment.ended() {
                    Action::Refund if !fault::mutated("r5.refund-at-the-end") => {
                        let refund = job::refund(payment, change.home_partition, time(change))?;
                        self.jobs.push(refund);
                        self.changed.insert(order_id);
                    }
                    Action::Withdraw => {
                        self.withdraw.insert(order_id, Ending::new(change));
                    }
                    _ => {}
                }
                Ok(Decision::Done)
            }
            OrderStatus::Pending | OrderStatus::Shipped => Ok(Decision::Done),
        }
    }

    /// RESERVED orders the charge, unless there is a payment. PAID tells of one that was made.
    fn charge_or_adopt(
        &mut self,
        change: &Change<'_>,
        event: OrderEvent,
    ) -> Result<Decision, DecideError> {
        let order_id = change.order_id();
        let adopted = event.payment.filter(|_| change.status == OrderStatus::Paid);
        if adopted.is_none()
            && (change.status == OrderStatus::Paid || self.payments.contains_key(&order_id))
        {
            return Ok(Decision::Done);
        }
        let Ok(order) = event.order.validate() else {
            if adopted.is_some() {
                return Ok(Decision::Done);
            }
            // Nobody can say what it costs. Somebody else appended it: stock-service rejects such.
            let rejected = OrderEvent::new(OrderStatus::Rejected, event.order);
            return Ok(Decision::Append(
                rejected.with_reason(reason::INVALID_ORDER),
            ));
        };
        let pending = || Payment::pending(order_id, order.total());
        let payment = self.payments.entry(order_id).or_insert_with(pending);
        if let Some(adopted) = adopted {
            // Nothing changes if it is what this service appended.
            if payment.paid(&adopted.payment_id) == Action::Withdraw {
                self.changed.insert(order_id);
                self.withdraw.insert(order_id, Ending::new(change));
            }
            return Ok(Decision::Done);
        }
        self.changed.insert(order_id);
        let traceparent = change.record.header(header::TRACEPARENT);
        let partition = change.home_partition;
        let charge = job::charge(payment, event.order, partition, traceparent, time(change))?;
        self.jobs.push(charge);
        Ok(Decision::Done)
    }
}

/// When it happened; a producer without a clock writes zero or less.
fn time(change: &Change<'_>) -> Option<i64> {
    change.record.timestamp.filter(|at| *at > 0)
}

impl Decider for PaymentDecider {
    async fn decide(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        self.answer(tx, changes, false).await
    }

    async fn decide_history(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        self.answer(tx, changes, true).await
    }

    fn committed(&self, changes: &[Change<'_>]) {
        let any =
            |wanted: fn(OrderStatus) -> bool| changes.iter().any(|change| wanted(change.status));
        if any(|status| status == OrderStatus::Reserved) {
            self.charges.notify_one();
        }
        if any(OrderStatus::is_terminal) {
            self.refunds.notify_one();
        }
    }
}
