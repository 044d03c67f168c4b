//! Names of the metrics of jobs. All have the label `kind`.

use std::time::Duration;

/// Counter of jobs that a worker ended; label `state`: `done`, `dead`, `skipped`.
pub const JOBS_FINISHED: &str = "jobs_finished_total";
/// Counter of attempts; label `result`: `done`, `retry`, `dead`, `skipped`.
pub const JOB_ATTEMPTS: &str = "job_attempts_total";
/// Counter of attempts whose result was dropped, because the lease had passed to another worker.
pub const JOBS_LEASE_LOST: &str = "jobs_lease_lost_total";
/// Gauge of dead jobs: each waits for an operator.
pub const JOBS_DEAD: &str = "jobs_dead";
/// Gauge of jobs that are due and that nobody is at.
pub const JOBS_DUE: &str = "jobs_due";
/// Gauge: seconds since the oldest due job fell due.
pub const JOBS_OLDEST_DUE: &str = "jobs_oldest_due_seconds";
/// Gauge: 1 while the worker pauses after a run of failures, else 0.
pub const JOBS_PAUSED: &str = "jobs_paused";

/// An attempt ended with `result`; when it was the last one, the job ended in `state`.
pub(super) fn attempted(kind: &str, result: &'static str, state: Option<&'static str>) {
    metrics::counter!(JOB_ATTEMPTS, "kind" => kind.to_owned(), "result" => result).increment(1);
    if let Some(state) = state {
        metrics::counter!(JOBS_FINISHED, "kind" => kind.to_owned(), "state" => state).increment(1);
    }
}

pub(super) fn lease_lost(kind: &str) {
    metrics::counter!(JOBS_LEASE_LOST, "kind" => kind.to_owned()).increment(1);
}

pub(super) fn due(kind: &str, jobs: i64, oldest: Duration) {
    // Gauges are floating point; a count of jobs stays far below 2^53.
    metrics::gauge!(JOBS_DUE, "kind" => kind.to_owned()).set(jobs as f64);
    metrics::gauge!(JOBS_OLDEST_DUE, "kind" => kind.to_owned()).set(oldest.as_secs_f64());
}

pub(super) fn dead(kind: &str, jobs: i64) {
    metrics::gauge!(JOBS_DEAD, "kind" => kind.to_owned()).set(jobs as f64);
}

pub(super) fn paused(kind: &str, paused: bool) {
    metrics::gauge!(JOBS_PAUSED, "kind" => kind.to_owned()).set(f64::from(u8::from(paused)));
}

/// No worker takes this kind of job any more: its gauges go to zero. Counters stay as they are.
pub fn retired(kind: &str) {
    due(kind, 0, Duration::ZERO);
    dead(kind, 0);
    paused(kind, false);
}
