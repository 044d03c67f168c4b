//! Jobs whose result moves the order on (rule R5).
//!
//! The result of a job, what the service makes of it and the event to append are written in one
//! transaction that holds the lock of the order's row, as a batch does. So of a result and an event
//! that ends the order one comes second, and sees the other. Locks are taken in the order of a batch:
//! the order's row, then the job's and the service's own.

use std::sync::Arc;

use base_domains::OrderId;

use super::Shared;
use super::append::AppendError;
use super::decider::{DecideError, Decider};
use super::locked::{LockedOrder, Settlement, StoredOutcome};
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
        let job = attempted.job;
        let order_id = job.order_id.parse::<OrderId>().map_err(bug)?;
        let appender = &self.shared.appender;
        let locked = appender.lock_row(order_id).await?;
        let mut locked = locked.ok_or_else(|| bug("the order has no row"))?;
        let dialect = appender.database.dialect();
        if !jobs::record(locked.tx(), dialect, attempted).await? {
            return Ok(None);
        }
        let order = locked.order();
        let result = attempted.result;
        let settlement = self
            .handler
            .settle(locked.tx(), &order, job, result)
            .await?;
        Ok(Some(locked.settle(settlement).await?))
    }
}

/// The outcome, if there is one.
type Settled = Option<StoredOutcome>;

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
        let (name, handler) = (self.shared.name, Arc::clone(&self.handler));
        let job = attempted.job.clone();
        Ok(Recorded::Committed(Box::pin(async move {
            handler.settled(&job);
            if let Some(outcome) = outcome
                && let Err(error) = outcome.publish().await
            {
                tracing::warn!(
                    participant = name, order_id = job.order_id, %error,
                    "The outcome of a job is stored but not acknowledged; the sweep will see to it."
                );
            }
        })))
    }
}

impl From<DecideError> for RecordError {
    fn from(error: DecideError) -> Self {
        AppendError::from(error).into()
    }
}

impl From<AppendError> for RecordError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Database(error) => Self::Database(error),
            other => Self::Bug(other.to_string()),
        }
    }
}

fn bug(error: impl std::fmt::Display) -> RecordError {
    RecordError::Bug(error.to_string())
}
