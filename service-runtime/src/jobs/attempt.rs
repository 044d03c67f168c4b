//! One attempt at one job: run it, then record what became of it.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info, warn};

use super::{
    Attempted, Job, JobHandler, JobResult, JobState, RecordError, Recorded, WorkerConfig, metrics,
    pause::Failures,
};
use crate::database::{Database, DatabaseError, ErrorClass};
use crate::fault;

/// What every attempt of a worker shares.
#[derive(Debug)]
pub(super) struct Attempts<H> {
    pub(super) database: Database,
    pub(super) handler: H,
    pub(super) config: WorkerConfig,
    pub(super) failures: Failures,
}

impl<H: JobHandler> Attempts<H> {
    /// Runs the job and records the result, however long the database is away meanwhile.
    pub(super) async fn run(&self, job: Job) {
        let result = match self.refusal(&job) {
            Some(refused) => refused,
            None => self.tried(&job).await,
        };
        let mut failures = 0;
        loop {
            match self.record(&job, &result).await {
                Ok(Recorded::Committed(then)) => {
                    self.count(&job, &result);
                    return then.await;
                }
                Ok(Recorded::LeaseLost) => return self.lease_lost(&job),
                Err(error) if error.class() == ErrorClass::Bug => {
                    let (job_id, kind) = (&job.job_id, self.handler.kind());
                    error!(%job_id, kind, %error, "A job's result cannot be recorded; the job runs again when its lease expires.");
                    return;
                }
                Err(error) => {
                    failures += 1;
                    let (job_id, kind) = (&job.job_id, self.handler.kind());
                    warn!(%job_id, kind, failures, %error, "A job's result is not recorded yet.");
                    sleep(super::worker::OUTAGE.wait(failures)).await;
                }
            }
        }
    }

    /// Why the job is not even tried.
    fn refusal(&self, job: &Job) -> Option<JobResult> {
        let age = Duration::from_millis(job.leased_at.abs_diff(job.age_from));
        let aged = job.leased_at > job.age_from && !fault::mutated("r11.max-age");
        if let Some(max_age) = self.config.max_age.filter(|max| aged && age > *max) {
            let reason = format!("{}s old, more than {}s", age.as_secs(), max_age.as_secs());
            return Some(JobResult::Skipped { reason });
        }
        // Only when earlier attempts did not come as far as a record.
        let max = self.config.max_attempts?;
        (job.attempt > max).then(|| JobResult::Dead {
            error: format!("no result after {max} attempts"),
        })
    }

    /// Runs the handler; a tenth of the lease is left for recording the result.
    async fn result_of(&self, job: &Job) -> JobResult {
        let attempt = AssertUnwindSafe(self.handler.run(job)).catch_unwind();
        match timeout(self.config.lease.mul_f64(0.9), attempt).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => JobResult::Retry {
                error: format!("the handler panicked: {}", text_of(&*panic)),
            },
            Err(_) => JobResult::Retry {
                error: "the attempt took longer than its lease".into(),
            },
        }
    }

    /// The result of the attempt; the last one does not ask for another.
    async fn tried(&self, job: &Job) -> JobResult {
        fault::point("job.run.before");
        let result = self.result_of(job).await;
        fault::point("job.run.after");
        if let Some(pause) = &self.config.pause {
            let kind = self.handler.kind();
            self.failures.note(kind, pause, &result, Instant::now());
        }
        let max = self.config.max_attempts;
        match result {
            JobResult::Retry { error } if max.is_some_and(|max| job.attempt >= max) => {
                JobResult::Dead { error }
            }
            result => result,
        }
    }

    async fn record(&self, job: &Job, result: &JobResult) -> Result<Recorded, RecordError> {
        let attempted = Attempted {
            job,
            result,
            delay: self.config.backoff.wait(job.attempt),
        };
        let recording = AssertUnwindSafe(self.handler.record(&self.database, &attempted));
        fault::point("job.record.before");
        let recorded = timeout(self.config.lease, recording.catch_unwind()).await;
        fault::point("job.record.after");
        match recorded {
            Ok(Ok(recorded)) => recorded,
            Ok(Err(panic)) => {
                let text = format!("recording panicked: {}", text_of(&*panic));
                Err(RecordError::Bug(text))
            }
            Err(_) => Err(DatabaseError::NoAnswer(self.config.lease).into()),
        }
    }

    fn count(&self, job: &Job, result: &JobResult) {
        let kind = self.handler.kind();
        let (name, state) = match result {
            JobResult::Done { .. } => ("done", Some(JobState::Done)),
            JobResult::Retry { .. } => ("retry", None),
            JobResult::Dead { .. } => ("dead", Some(JobState::Dead)),
            JobResult::Skipped { .. } => ("skipped", Some(JobState::Skipped)),
        };
        metrics::attempted(kind, name, state.map(JobState::as_str));
        let (job_id, attempt) = (&job.job_id, job.attempt);
        match result {
            JobResult::Done { .. } => {}
            JobResult::Retry { .. } => {
                info!(%job_id, kind, attempt, "A job failed and will be retried.");
            }
            JobResult::Skipped { .. } => info!(%job_id, kind, "A job was skipped."),
            JobResult::Dead { .. } => {
                error!(%job_id, kind, attempt, "A job failed for good and waits for an operator.");
            }
        }
    }

    fn lease_lost(&self, job: &Job) {
        let (job_id, kind) = (&job.job_id, self.handler.kind());
        metrics::lease_lost(kind);
        warn!(%job_id, kind, "A job's result was dropped, because its lease had passed on.");
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
