//! What the consumer loop asks of those whose records it polls.

use std::future::Future;
use std::time::Duration;

use rdkafka::error::KafkaError;

use super::{PartitionId, Record};
use crate::jobs::Backoff;

/// A partition that was just assigned, and where its group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    /// Its number.
    pub partition: PartitionId,
    /// The group's committed offset, if it has one.
    pub committed: Option<i64>,
    /// First offset that the log still has.
    pub begin: i64,
    /// Offset of the next record to be written.
    pub end: i64,
}

/// Where to read a partition from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From the group's committed offset, or the beginning if it has none.
    Committed,
    /// From this offset.
    At(i64),
}

/// Why a batch could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum Interruption {
    /// A dependency is down: the same batch is tried again, with back-off and without limit.
    #[error("{0}")]
    Unavailable(String),
    /// As [`Unavailable`](Self::Unavailable), behind records that have their effect: the loop moves past
    /// these, so that they are not repeated however long the rest waits.
    #[error("{reason}")]
    Refused {
        /// How many of the batch, from its beginning on.
        done: usize,
        /// Why the next one waits.
        reason: String,
    },
    /// It must not go on: the loop ends with this reason.
    #[error("{0}")]
    Stop(String),
}

/// What is done with the records.
pub trait BatchHandler: Send {
    /// Says where a newly assigned partition starts. Called again after `Unavailable`.
    fn check(
        &mut self,
        assigned: &Assigned,
    ) -> impl Future<Output = Result<Start, Interruption>> + Send;

    /// Gives every record of `batch` its effect, durably and published. Records of one partition
    /// are in offset order. After an error the same batch comes again, perhaps longer, perhaps
    /// without partitions that were revoked; after [`Interruption::Refused`] without what was done.
    fn handle(&mut self, batch: &[Record])
    -> impl Future<Output = Result<(), Interruption>> + Send;

    /// Whether the group may commit what was handled of `partition`; asked after each batch. As long
    /// as it may not, its committed offset stays where it was.
    fn may_commit(&self, partition: PartitionId) -> bool {
        let _ = partition;
        true
    }

    /// `partition` is not this instance's any more.
    fn revoked(&mut self, partition: PartitionId) {
        let _ = partition;
    }
}

/// Why the loop ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum LoopError {
    /// The client cannot be made or subscribed.
    #[error("the consumer cannot start: {0}")]
    Start(#[source] KafkaError),
    /// The client is unusable from now on.
    #[error("the consumer failed for good: {0}")]
    Fatal(String),
    /// The handler refused to go on.
    #[error("{0}")]
    Stopped(String),
}

/// Bounds of the loop.
#[derive(Debug, Clone)]
pub struct LoopSettings {
    /// Most records in one batch.
    pub max_batch: usize,
    /// Waits between attempts while a dependency is down.
    pub backoff: Backoff,
    /// How long after an error of reading the owned partitions are fetched afresh, and how long
    /// these fetches then have to stay without one; longer than librdkafka's own wait, which is
    /// ten times `fetch.error.backoff.ms`.
    pub read_again_after: Duration,
    /// How long a batch that was begun may take to end after a shutdown.
    pub drain_timeout: Duration,
    /// How long leaving the group may take at the end.
    pub close_timeout: Duration,
}

impl Default for LoopSettings {
    fn default() -> Self {
        Self {
            max_batch: 500,
            backoff: Backoff {
                initial: Duration::from_millis(200),
                max: Duration::from_secs(5),
            },
            read_again_after: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(4),
            close_timeout: Duration::from_secs(5),
        }
    }
}
