//! The service's part in a batch: what the events of the log mean for payments and their jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base_domains::{OrderEvent, OrderId, OrderStatus, header, reason};
use service_runtime::database::{Dialect, Tx};
use service_runtime::jobs::{self, NewJob};
use service_runtime::participant::{Change, DecideError, Decider, Decision};
use tokio::sync::Notify;

use crate::gateway::Operation;
use crate::job;
use crate::payment::{Action, Payment};
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
    withdraw: BTreeSet<OrderId>,
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

    /// Writes what the changes came to. Whoever else writes these payments and jobs holds the lock of
    /// the order's row, except for leasing a job, which never waits: so whether a charge is taken back
    /// or begun is one update of its row.
    async fn write(&self, tx: &mut Tx, mut work: Work) -> Result<(), DecideError> {
        let dialect = self.store.dialect;
        jobs::insert(tx, dialect, &work.jobs).await?;
        let id = |order_id: &OrderId| job::job_id(Operation::Charge, *order_id);
        let charges: Vec<String> = work.withdraw.iter().map(id).collect();
        let withdrawn = jobs::withdraw(tx, dialect, &charges, ENDED).await?;
        for order_id in work.withdraw {
            if withdrawn.contains(&id(&order_id))
                && let Some(payment) = work.payments.get_mut(&order_id)
            {
                payment.withdrawn();
                work.changed.insert(order_id);
            }
        }
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
                    Action::Refund => {
                        let refund = job::refund(payment, change.home_partition, time(change))?;
                        self.jobs.push(refund);
                        self.changed.insert(order_id);
                    }
                    Action::Withdraw => {
                        self.withdraw.insert(order_id);
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
                self.withdraw.insert(order_id);
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
        self.write(tx, work).await?;
        Ok(decisions)
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
