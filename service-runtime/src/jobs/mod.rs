//! Jobs: work with effects outside of the database (mail, charges, webhooks), done at least once.
//!
//! Contract:
//! - The row is the job. It is inserted in the transaction that decides on it; its id is the
//!   de-duplication, so a repeated decision adds nothing.
//! - A [`Worker`] leases due jobs by the database's clock and gives them to its [`JobHandler`].
//!   What became of a job is recorded only while its lease is held; a worker that lost its lease
//!   overwrites nothing, so a job may run twice but has one recorded end.
//! - Nothing starts on stale history: see [`HistoryGate`].
//! - A result that moves the order on is recorded together with the event to append, under the lock of
//!   the order's row: see [`OutcomeHandler`](crate::participant::OutcomeHandler).
//! - A job that was never leased can be taken back ([`withdraw`]); one that was runs until its result
//!   is known.
//! - A job that fails for good is *dead*, never deleted: it is counted, listed with [`list`] and put
//!   back with [`retry_dead`]; over HTTP with [`routes`].
//! - What has to be kept apart (one receiver from the others) is a kind of its own, with a worker of its
//!   own; [`skip_due`] and [`retry_dead_of`] act on a whole kind.
//! - Payloads, results and errors may hold personal data and are never logged.

mod attempt;
mod backoff;
mod browse;
mod dead;
mod handler;
mod job;
mod kind;
pub mod metrics;
mod pause;
mod routes;
mod store;
mod worker;

pub use backoff::Backoff;
pub use browse::{JobCursor, UnknownCursor, find, list, page};
pub use dead::{retry_dead, retry_dead_of};
pub use handler::{
    Attempted, GateError, HistoryGate, JobHandler, JobResult, RecordError, Recorded,
};
pub use job::{Job, JobFilter, JobRow, JobState, NewJob, UnknownJobState};
pub use kind::skip_due;
pub use pause::Pause;
pub use routes::{JobPage, JobView, routes};
pub use store::{Claim, claim, die, expedite, finish, insert, record, retry, skip, withdraw};
pub use worker::{DRAIN_TIMEOUT, Worker, WorkerConfig};
