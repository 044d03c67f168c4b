//! What a service brings along: the effect, and what is known of the log.

use super::Job;

/// Does the effect of one kind of job.
pub trait JobHandler: Send + Sync + 'static {
    /// The kind of job it takes.
    fn kind(&self) -> &'static str;

    /// Tries the job once. It may run again with the same job (after a crash, or when the lease ran
    /// out), and its future is dropped shortly before its lease expires; a panic counts as
    /// [`JobResult::Retry`].
    fn run(&self, job: &Job) -> impl Future<Output = JobResult> + Send;
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
