//! Cancelling by request: CANCELLED is stored and published, and the answer is what the log made of it.
//!
//! - Nothing is answered by what was stored, only by what was read back: an end that came first in the log
//!   counts, whatever this service wanted.
//! - Whatever goes wrong in between, repeating is harmless: it finds the outcome that is stored, or the end.
//! - The partition may be read by another instance, which nobody hears of here: those who wait also look by
//!   themselves.

use std::sync::Arc;
use std::time::Duration;

use base_domains::{OrderId, OrderStatus, reason};
use futures_util::future::join_all;
use service_runtime::jobs::HistoryGate as _;
use service_runtime::kafka::ProduceError;
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{AppendError, ReadPastEnd};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::canceller::{Canceller, Cancelling};
use super::store;
use crate::storage::{Storage, StorageError};
use crate::waiting::{Waiter, Waiters};

/// How long an order that was not read yet is waited for: it was perhaps placed a moment ago.
const PATIENCE: Duration = Duration::from_secs(1);
/// Before the first look when nobody wakes us; then twice as long each time.
const FIRST_LOOK: Duration = Duration::from_millis(20);
/// Longest time between two looks.
const REREAD: Duration = Duration::from_millis(250);

/// Cancels orders for requests. Clones share their waiters and seats.
#[derive(Clone)]
pub(super) struct Cancellations {
    pub(super) canceller: Canceller,
    pub(super) gate: ReadPastEnd,
    pub(super) storage: Storage,
    pub(super) waiters: Waiters,
    /// One for each request under way.
    pub(super) seats: Arc<Semaphore>,
    /// Ends every wait.
    pub(super) shutdown: Shutdown,
}

/// What became of an order that somebody wanted to cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has ended, cancelled or otherwise, for this reason.
    Ended(OrderStatus, Option<String>),
    /// It is in this state, and nobody knows what was ordered.
    Unreadable(OrderStatus),
    /// There is none.
    Unknown,
}

/// Why nothing is known of what became of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum CancelError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Append(AppendError),
    /// CANCELLED is stored and will be published.
    #[error("broker: {0}")]
    Produce(#[from] ProduceError),
    /// The log is not read far enough to say that there is no such order.
    #[error("the log is not read to its end")]
    Behind,
    /// The time for an answer is over, or the service ends.
    #[error("not read back in time")]
    OutOfTime,
    #[error("too many requests are waiting")]
    Crowded,
}

impl From<AppendError> for CancelError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Database(error) => Self::Storage(error.into()),
            other => Self::Append(other),
        }
    }
}

impl Cancellations {
    /// Cancels an order, with a result at `deadline` at the latest.
    pub(super) async fn cancel(
        &self,
        order_id: OrderId,
        traceparent: Option<&str>,
        deadline: Instant,
    ) -> Result<Outcome, CancelError> {
        let cancelled = self.cancel_and_wait(order_id, traceparent);
        let result = timeout_at(deadline, cancelled).await;
        let result = result.unwrap_or(Err(CancelError::OutOfTime));
        let name = match &result {
            Ok(Outcome::Ended(OrderStatus::Cancelled, _)) => "cancelled",
            Ok(Outcome::Ended(..)) => "too_late",
            Ok(Outcome::Unreadable(_)) => "unreadable",
            Ok(Outcome::Unknown) => "unknown_order",
            Err(_) => "unavailable",
        };
        metrics::counter!("order_cancellations_total", "result" => name).increment(1);
        result
    }

    async fn cancel_and_wait(
        &self,
        order_id: OrderId,
        traceparent: Option<&str>,
    ) -> Result<Outcome, CancelError> {
        // Before its tables are there, every question would look like a defect.
        self.storage.database()?;
        let _seat = self.seats.try_acquire().map_err(|_| CancelError::Crowded)?;
        let mut waiter = self.waiters.subscribe(order_id);
        if !self.becomes_known(order_id, &mut waiter).await? {
            return Ok(Outcome::Unknown);
        }
        if let Some(ended) = self.ended(order_id).await? {
            return Ok(ended);
        }
        let (canceller, reason) = (&self.canceller, reason::CANCELLED_ON_REQUEST);
        match canceller.cancel(order_id, reason, traceparent).await? {
            Cancelling::Unknown => return Ok(Outcome::Unknown),
            Cancelling::Unreadable(status) => return Ok(Outcome::Unreadable(status)),
            Cancelling::Stored(outcome) => outcome.publish().await?,
            Cancelling::Ended(_) | Cancelling::UnderWay => {}
        }
        let mut pause = FIRST_LOOK;
        loop {
            if let Some(ended) = self.ended(order_id).await? {
                return Ok(ended);
            }
            self.changed(&mut waiter, Instant::now() + pause).await?;
            pause = REREAD.min(2 * pause);
        }
    }

    /// Whether something of the order was read, or is within a moment. That there is no such order is only
    /// known where the log was read to its end.
    async fn becomes_known(
        &self,
        order_id: OrderId,
        waiter: &mut Waiter,
    ) -> Result<bool, CancelError> {
        let (patience, mut pause) = (Instant::now() + PATIENCE, FIRST_LOOK);
        while self.status(order_id).await?.is_none() {
            let now = Instant::now();
            if now < patience {
                self.changed(waiter, patience.min(now + pause)).await?;
                pause = REREAD.min(2 * pause);
                continue;
            }
            let partitions = self.canceller.appender().partitions();
            let partitions = partitions.ok_or(CancelError::Append(AppendError::LogUnknown))?;
            // A bare order may have begun in any partition (rule R4).
            let looks = (0..partitions).map(|partition| self.gate.read_past_now(partition));
            let read_past = join_all(looks).await;
            if !read_past.into_iter().all(|past| past.unwrap_or(false)) {
                return Err(CancelError::Behind);
            }
            // It may have been read meanwhile.
            return Ok(self.status(order_id).await?.is_some());
        }
        Ok(true)
    }

    async fn status(&self, order_id: OrderId) -> Result<Option<OrderStatus>, StorageError> {
        Ok(self.canceller.appender().status(order_id).await?)
    }

    /// How the order ended, if it did.
    async fn ended(&self, order_id: OrderId) -> Result<Option<Outcome>, StorageError> {
        let status = self.status(order_id).await?;
        let Some(status) = status.filter(|status| status.is_terminal()) else {
            return Ok(None);
        };
        let reason = store::reason(self.storage.database()?, order_id).await?;
        Ok(Some(Outcome::Ended(status, reason)))
    }

    /// Waits until the order may have moved on.
    async fn changed(&self, waiter: &mut Waiter, until: Instant) -> Result<(), CancelError> {
        tokio::select! {
            () = waiter.changed() => Ok(()),
            () = sleep_until(until) => Ok(()),
            () = self.shutdown.cancelled() => Err(CancelError::OutOfTime),
        }
    }
}
