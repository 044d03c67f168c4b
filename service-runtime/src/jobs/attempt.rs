//! One attempt at one job: run it, then record what became of it.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::{Job, JobHandler, JobResult, JobState, WorkerConfig, metrics, store};
use crate::database::{Database, DatabaseError, ErrorClass, within};

/// What every attempt of a worker shares.
#[derive(Debug)]
pub(super) struct Attempts<H> {
    pub(super) database: Database,
    pub(super) handler: H,
    pub(super) config: WorkerConfig,
}

/// What is written about an attempt.
enum Record {
    Done(Option<String>),
    Retry(String),
    Dead(String),
    Skipped(String),
}

impl<H: JobHandler> Attempts<H> {
    /// Runs the job and records the result, however long the database is away meanwhile.
    pub(super) async fn run(&self, job: Job) {
        let record = match self.refusal(&job) {
            Some(refused) => refused,
            None => self.record_of(&job, self.result_of(&job).await),
        };
        let mut failures = 0;
        loop {
            match within(self.config.lease, self.write(&job, &record)).await {
                Ok(true) => return self.count(&job, &record),
                Ok(false) => return self.lease_lost(&job),
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
    fn refusal(&self, job: &Job) -> Option<Record> {
        let age = Duration::from_millis(job.leased_at.abs_diff(job.age_from));
        let aged = job.leased_at > job.age_from;
        if let Some(max_age) = self.config.max_age.filter(|max| aged && age > *max) {
            let reason = format!("{}s old, more than {}s", age.as_secs(), max_age.as_secs());
            return Some(Record::Skipped(reason));
        }
        // Only when earlier attempts did not come as far as a record.
        let max = self.config.max_attempts?;
        (job.attempt > max).then(|| Record::Dead(format!("no result after {max} attempts")))
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

    fn record_of(&self, job: &Job, result: JobResult) -> Record {
        match result {
            JobResult::Done { result } => Record::Done(result),
            JobResult::Dead { error } => Record::Dead(error),
            JobResult::Skipped { reason } => Record::Skipped(reason),
            JobResult::Retry { error } => {
                let last = self
                    .config
                    .max_attempts
                    .is_some_and(|max| job.attempt >= max);
                if last {
                    Record::Dead(error)
                } else {
                    Record::Retry(error)
                }
            }
        }
    }

    async fn write(&self, job: &Job, record: &Record) -> Result<bool, DatabaseError> {
        let dialect = self.database.dialect();
        let mut tx = self.database.begin().await?;
        let held = match record {
            Record::Done(result) => store::finish(&mut tx, dialect, job, result.as_deref()).await,
            Record::Dead(error) => store::die(&mut tx, dialect, job, error).await,
            Record::Skipped(reason) => store::skip(&mut tx, dialect, job, reason).await,
            Record::Retry(error) => {
                let delay = self.config.backoff.wait(job.attempt);
                store::retry(&mut tx, dialect, job, delay, error).await
            }
        }?;
        tx.commit().await?;
        Ok(held)
    }

    fn count(&self, job: &Job, record: &Record) {
        let kind = self.handler.kind();
        let (result, state) = match record {
            Record::Done(_) => ("done", Some(JobState::Done)),
            Record::Retry(_) => ("retry", None),
            Record::Dead(_) => ("dead", Some(JobState::Dead)),
            Record::Skipped(_) => ("skipped", Some(JobState::Skipped)),
        };
        metrics::attempted(kind, result, state.map(JobState::as_str));
        let (job_id, attempt) = (&job.job_id, job.attempt);
        match record {
            Record::Done(_) => {}
            Record::Retry(_) => info!(%job_id, kind, attempt, "A job failed and will be retried."),
            Record::Skipped(_) => info!(%job_id, kind, "A job was skipped."),
            Record::Dead(_) => {
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
