//! The deadline: an order that has not ended in time is cancelled.
//!
//! - The time is counted from the order's first record, and compared with the setting as it is now: a longer
//!   one saves the orders that are open, a shorter one applies to them as well.
//! - Nobody is cancelled on stale history (rule R11): the partition has to be read past the end that it has
//!   after the order was found overdue. Whoever has ended meanwhile is passed over under its lock.
//! - Every instance may look. The lock of the order's row lets one of them store CANCELLED.

use std::time::Duration;

use base_domains::{OrderId, reason};
use futures_util::future::join_all;
use service_runtime::database::{Database, ErrorClass};
use service_runtime::fault;
use service_runtime::jobs::{Backoff, GateError, HistoryGate};
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{AppendError, StoredOutcome};
use tokio::time::{sleep, timeout};

use super::canceller::{Canceller, Cancelling};
use super::store;
use crate::storage::{Storage, StorageError};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Most orders of one partition in one round.
const LIMIT: usize = 100;
/// Longest time for one round; what it has stored stays.
const ROUND_LIMIT: Duration = Duration::from_secs(60);
/// After a round that failed.
const OUTAGE: Backoff = Backoff {
    initial: Duration::from_secs(2),
    max: Duration::from_secs(30),
};

/// Cancels the orders that are overdue.
#[derive(Debug)]
pub struct Deadlines<G> {
    canceller: Canceller,
    gate: G,
    storage: Storage,
    deadline: Duration,
}

/// Why a round did not come to its end; the next one goes on.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The database, when it was asked for overdue orders.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The end of the log is not known.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// An order could not be cancelled.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// It took too long.
    #[error("not at its end within {0:?}")]
    TimedOut(Duration),
}

impl<G: HistoryGate> Deadlines<G> {
    /// Cancels what has not ended within `deadline`, as far as `gate` says that the log was read.
    #[must_use]
    pub const fn new(canceller: Canceller, gate: G, storage: Storage, deadline: Duration) -> Self {
        Self {
            canceller,
            gate,
            storage,
            deadline,
        }
    }

    /// Looks again and again until `shutdown`. A database or broker that is down is waited for.
    pub async fn run(self, shutdown: Shutdown) {
        let (mut failures, mut pause) = (0, INTERVAL);
        loop {
            let round = async {
                sleep(pause).await;
                timeout(ROUND_LIMIT, self.round()).await
            };
            let round = tokio::select! {
                () = shutdown.cancelled() => return,
                round = round => round.unwrap_or(Err(RoundError::TimedOut(ROUND_LIMIT))),
            };
            match round {
                Ok(stored) => {
                    failures = 0;
                    // There may be more; the gate lets them pass when these are read back.
                    pause = match stored < LIMIT {
                        true => INTERVAL,
                        false => Duration::ZERO,
                    };
                }
                Err(error) => {
                    failures += 1;
                    pause = INTERVAL + OUTAGE.wait(failures);
                    tracing::warn!(%error, failures, "Orders that are overdue wait to be cancelled.");
                }
            }
        }
    }

    /// Looks once at every partition, and returns for how many orders CANCELLED was stored.
    ///
    /// # Errors
    /// The first one; the other partitions were looked at all the same.
    pub async fn round(&self) -> Result<usize, RoundError> {
        let Ok(database) = self.storage.database() else {
            return Ok(0);
        };
        let partitions = self.canceller.appender().partitions();
        let (mut stored, mut failed) = (0, None);
        for partition in 0..partitions.unwrap_or(0) {
            match self.overdue(database, partition).await {
                Ok(overdue) => {
                    let (outcomes, error) = self.cancel(overdue).await;
                    stored += outcomes.len();
                    if !outcomes.is_empty() {
                        fault::point("deadline.publish.before");
                    }
                    publish(outcomes).await;
                    failed = failed.or_else(|| error.map(RoundError::from));
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(stored), Err)
    }

    /// The orders of a partition that may be cancelled now.
    async fn overdue(
        &self,
        database: &Database,
        partition: i32,
    ) -> Result<Vec<OrderId>, RoundError> {
        let overdue = store::overdue(database, partition, self.deadline, LIMIT);
        let overdue = overdue.await.map_err(StorageError::from)?;
        // The gate is asked after the orders were found.
        let current = fault::mutated("r11.deadlines-ask");
        if overdue.is_empty() || current || self.gate.read_past_now(partition).await? {
            return Ok(overdue);
        }
        Ok(Vec::new())
    }

    /// What is to be published, and the first error. A defect of one order does not hold the others back.
    async fn cancel(&self, overdue: Vec<OrderId>) -> (Vec<StoredOutcome>, Option<AppendError>) {
        let (mut outcomes, mut failed) = (Vec::new(), None);
        for order_id in overdue {
            let cancelled = self.canceller.cancel(order_id, reason::DEADLINE, None);
            match cancelled.await {
                Ok(Cancelling::Stored(outcome)) => {
                    tracing::info!(%order_id, "An order did not end in time and is cancelled.");
                    outcomes.push(*outcome);
                }
                Ok(_) => {}
                Err(error) => {
                    let defect = error.class() == ErrorClass::Bug;
                    if defect {
                        tracing::error!(%order_id, %error, "An overdue order cannot be cancelled.");
                    }
                    failed.get_or_insert(error);
                    if !defect {
                        break;
                    }
                }
            }
        }
        (outcomes, failed)
    }
}

/// All at once. What is not acknowledged the sweep of the participant sees to.
async fn publish(outcomes: Vec<StoredOutcome>) {
    metrics::counter!("order_deadlines_total").increment(outcomes.len() as u64);
    for published in join_all(outcomes.into_iter().map(StoredOutcome::publish)).await {
        if let Err(error) = published {
            tracing::warn!(%error, "A cancellation is stored but not acknowledged.");
        }
    }
}
