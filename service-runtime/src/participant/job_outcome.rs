//! Jobs whose result moves the order on (rule R5).
//!
//! The result of a job, what the service makes of it and the event to append are written in one
//! transaction that holds the lock of the order's row, as a batch does. So of a result and an event
//! that ends the order one comes second, and sees the other. Locks are taken in the order of a batch:
//! the order's row, then the job's and the service's own.
//!
//! The outcome is published after the commit. Whoever dies in between leaves an unconfirmed outcome,
//! which the sweep publishes.

use std::collections::BTreeMap;
use std::sync::Arc;

use base_domains::{EncodedEvent, OrderEvent, OrderId, OrderStatus};

use super::Shared;
use super::batch::publish;
use super::decider::{DecideError, Decider};
use super::outcome::seal;
use super::plan::OrderRow;
use super::store::ChangedRow;
use crate::database::{Database, Tx};
use crate::jobs::{self, Attempted, Job, JobHandler, JobResult, RecordError, Recorded};

/// A job handler that decides what a result means for the order.
pub trait OutcomeHandler: JobHandler {
    /// Decides about a result, from what the order is by now.
    ///
    /// It runs in the transaction that records the result, with the order's row locked and the lease
    /// checked: whatever it writes through `tx` (its own rows, follow-up jobs) is kept together with
    /// the result or not at all. It may run again after a roll-back, so it touches nothing outside of
    /// the database. It is not asked about a [`JobResult::Retry`].
    fn settle(
        &self,
        tx: &mut Tx,
        order: &LockedOrder,
        job: &Job,
        result: &JobResult,
    ) -> impl Future<Output = Result<Settlement, DecideError>> + Send;

    /// Called after the commit, for what only has to be told, not kept.
    fn settled(&self, job: &Job) {
        let _ = job;
    }
}

/// The order of a job, its row locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockedOrder {
    /// The order.
    pub order_id: OrderId,
    /// Its folded status; `None` when nothing of it was read.
    pub status: Option<OrderStatus>,
    /// Its home partition.
    pub home_partition: i32,
}

/// What a result means for the order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settlement {
    append: Option<OrderEvent>,
    traceparent: Option<String>,
}

impl Settlement {
    /// Nothing to append.
    #[must_use]
    pub fn done() -> Self {
        Self::default()
    }

    /// Append this event, which must have an effect on the order as it is.
    #[must_use]
    pub fn append(event: OrderEvent) -> Self {
        Self {
            append: Some(event),
            traceparent: None,
        }
    }

    /// The same as part of the trace that the job's cause belonged to.
    #[must_use]
    pub fn in_trace(mut self, traceparent: Option<&str>) -> Self {
        self.traceparent = traceparent.map(str::to_owned);
        self
    }
}

/// A handler whose results are recorded under the order's lock, together with their outcome; made by
/// [`Participant::with_outcomes`](super::Participant::with_outcomes) and run by a
/// [`Worker`](crate::jobs::Worker).
#[derive(Debug)]
pub struct WithOutcomes<D, H> {
    shared: Arc<Shared<D>>,
    handler: Arc<H>,
}

impl<D: Decider, H: OutcomeHandler> WithOutcomes<D, H> {
    pub(super) fn new(shared: Arc<Shared<D>>, handler: H) -> Self {
        Self {
            shared,
            handler: Arc::new(handler),
        }
    }

    /// Writes everything; `None`: the lease is lost, and nothing was written.
    async fn write(&self, attempted: &Attempted<'_>) -> Result<Option<Settled>, RecordError> {
        let (shared, job) = (&self.shared, attempted.job);
        let order_id = job.order_id.parse::<OrderId>().map_err(bug)?;
        let mut tx = shared.database.begin().await?;
        let orders = BTreeMap::from([(order_id, job.partition)]);
        let mut rows = shared.store.lock_orders(&mut tx, &orders).await?;
        let row = rows.get_mut(&order_id);
        let row = row.ok_or_else(|| RecordError::Bug("the order has no row".to_owned()))?;
        if !jobs::record(&mut tx, shared.database.dialect(), attempted).await? {
            return Ok(None);
        }
        let order = LockedOrder {
            order_id,
            status: row.state.status(),
            home_partition: job.partition,
        };
        let settling = self.handler.settle(&mut tx, &order, job, attempted.result);
        let settled = match settling.await? {
            Settlement { append: None, .. } => None,
            Settlement {
                append: Some(event),
                traceparent,
            } => {
                if event.order.order_id != order_id {
                    return Err(bug("the outcome is about another order"));
                }
                let event = self.store(&mut tx, row, &event, traceparent.as_deref());
                event.await?
            }
        };
        tx.commit().await?;
        Ok(Some(settled))
    }

    /// Stores the outcome in the order's row, unless one is stored there that is not read back yet and
    /// goes as far: its bytes may be in the log already, and it is kept until it is. The fold will tell
    /// the service of it.
    async fn store(
        &self,
        tx: &mut Tx,
        row: &mut OrderRow,
        event: &OrderEvent,
        traceparent: Option<&str>,
    ) -> Result<Settled, RecordError> {
        let shared = &self.shared;
        let partitions = shared.partitions();
        let outcome =
            seal(&shared.encoder, event, row.state, partitions, traceparent).map_err(bug)?;
        let rank = outcome.status.rank();
        if row.unconfirmed() && row.outcome_rank >= rank {
            let (order_id, status) = (event.order.order_id, outcome.status.as_str());
            tracing::warn!(
                participant = shared.name, %order_id, status,
                "The outcome of a job is not appended: an unconfirmed one goes as far."
            );
            return Ok(None);
        }
        row.outcome_rank = rank;
        let text = serde_json::to_string(&outcome.encoded).map_err(bug)?;
        let changed = ChangedRow {
            order_id: event.order.order_id,
            row,
            outcome: Some((rank, text)),
        };
        shared.store.write_orders(tx, &[changed]).await?;
        Ok(Some(outcome.encoded))
    }
}

/// The outcome, if there is one.
type Settled = Option<EncodedEvent>;

impl<D: Decider, H: OutcomeHandler> JobHandler for WithOutcomes<D, H> {
    fn kind(&self) -> &str {
        self.handler.kind()
    }

    async fn run(&self, job: &Job) -> JobResult {
        self.handler.run(job).await
    }

    async fn record(
        &self,
        database: &Database,
        attempted: &Attempted<'_>,
    ) -> Result<Recorded, RecordError> {
        if matches!(attempted.result, JobResult::Retry { .. }) {
            return self.handler.record(database, attempted).await;
        }
        let Some(outcome) = self.write(attempted).await? else {
            return Ok(Recorded::LeaseLost);
        };
        let (shared, handler) = (Arc::clone(&self.shared), Arc::clone(&self.handler));
        let job = attempted.job.clone();
        Ok(Recorded::Committed(Box::pin(async move {
            handler.settled(&job);
            if let Some(event) = outcome {
                tell(&shared, event).await;
            }
        })))
    }
}

/// Publishes an outcome that is stored. A failure is no harm: the sweep tries again.
async fn tell<D: Decider>(shared: &Shared<D>, event: EncodedEvent) {
    let order_id = event.key.clone();
    match publish(shared, &[event]).await {
        Ok(()) => {
            metrics::counter!("outcomes_published_total", "participant" => shared.name).increment(1)
        }
        Err(error) => tracing::warn!(
            participant = shared.name, order_id, %error,
            "The outcome of a job is stored but not acknowledged; the sweep will see to it."
        ),
    }
}

impl From<DecideError> for RecordError {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Database(error) => Self::Database(error),
            DecideError::Bug(text) => Self::Bug(text),
        }
    }
}

fn bug(error: impl std::fmt::Display) -> RecordError {
    RecordError::Bug(error.to_string())
}
