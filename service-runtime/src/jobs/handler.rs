//! What a service brings along: the effect, how its result is written, and what is known of the log.

use std::{fmt, time::Duration};

use futures_util::future::BoxFuture;

use super::{Job, store};
use crate::database::{Database, DatabaseError, ErrorClass};

/// Does the effect of one kind of job.
pub trait JobHandler: Send + Sync + 'static {
    /// The kind of job it takes; also a label of metrics, so of a bounded number of values.
    fn kind(&self) -> &str;

    /// Tries the job once. It may run again with the same job (after a crash, or when the lease ran
    /// out), and its future is dropped shortly before its lease expires; a panic counts as
    /// [`JobResult::Retry`].
    fn run(&self, job: &Job) -> impl Future<Output = JobResult> + Send;

    /// Writes what became of an attempt, in one transaction. As it is here, it writes the job alone;
    /// a service whose results move orders on has
    /// [`with_outcomes`](crate::participant::Participant::with_outcomes) write more, and leaves this
    /// method alone.
    ///
    /// # Errors
    /// Those of the database, after which it is called again, or a defect.
    fn record(
        &self,
        database: &Database,
        attempted: &Attempted<'_>,
    ) -> impl Future<Output = Result<Recorded, RecordError>> + Send {
        async move {
            let mut tx = database.begin().await?;
            let held = store::record(&mut tx, database.dialect(), attempted).await?;
            tx.commit().await?;
            Ok(match held {
                true => Recorded::Committed(Box::pin(std::future::ready(()))),
                false => Recorded::LeaseLost,
            })
        }
    }
}

/// An attempt that ended.
#[derive(Debug, Clone, Copy)]
pub struct Attempted<'a> {
    /// The job, whose lease has to be held still.
    pub job: &'a Job,
    /// What became of it; of the last attempt, not [`JobResult::Retry`].
    pub result: &'a JobResult,
    /// When it is tried again, if it is.
    pub delay: Duration,
}

/// What recording an attempt came to.
#[must_use]
pub enum Recorded {
    /// The lease had passed on: nothing was written.
    LeaseLost,
    /// It is written. What follows the commit is to be run, but may get lost: another way leads there.
    Committed(BoxFuture<'static, ()>),
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeaseLost => "LeaseLost",
            Self::Committed(_) => "Committed",
        })
    }
}

/// Why an attempt could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The database; its class says whether another try can help.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A defect: the job runs again when its lease expires.
    #[error("{0}")]
    Bug(String),
}

impl RecordError {
    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Database(error) => error.class(),
            Self::Bug(_) => ErrorClass::Bug,
        }
    }
}

impl From<sqlx::Error> for RecordError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What became of one attempt. The texts are for the operator and are not logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobResult {
    /// The effect happened.
    Done {
        /// What is worth keeping of it.
        result: Option<String>,
    },
    /// It may work later (the other side is down, or said so). Also for an unknown outcome.
    Retry {
        /// What happened.
        error: String,
    },
    /// It never works.
    Dead {
        /// Why.
        error: String,
    },
    /// The effect is not wanted any more.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// Knows how far a partition of the log has been read, so that nobody acts on stale history: after
/// a long stop, or while history is read again, the order of a due job may have been cancelled in
/// records that are not read yet.
pub trait HistoryGate: Send + Sync + 'static {
    /// Whether the partition has been read past the end offset it has *now*, when this is called.
    ///
    /// While records arrive, the reader is always a little behind the newest end. So an
    /// implementation asks for the end once and then waits a moment (up to a second, say) for the
    /// reader to pass it, before it answers `false`.
    ///
    /// # Errors
    /// When the end offset cannot be had; the jobs then wait.
    fn read_past_now(&self, partition: i32)
    -> impl Future<Output = Result<bool, GateError>> + Send;
}

/// The end of a partition is not known.
#[derive(Debug, thiserror::Error)]
#[error("the end of the partition cannot be determined: {0}")]
pub struct GateError(pub String);
