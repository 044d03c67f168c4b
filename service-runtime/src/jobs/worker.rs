//! The loop that leases due jobs of one kind and has them run.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep},
};
use tracing::{error, warn};

use super::{
    Backoff, Claim, HistoryGate, Job, JobHandler, Pause,
    attempt::Attempts,
    metrics,
    pause::{Failures, Permit},
    store,
    store::DuePartition,
};
use crate::database::{Database, DatabaseError, ErrorClass, within};
use crate::fault;
use crate::lifecycle::Shutdown;

/// How a worker waits while the database is away.
pub(super) const OUTAGE: Backoff = Backoff {
    initial: Duration::from_millis(200),
    max: Duration::from_secs(10),
};

/// How long jobs under way may take to end after a shutdown: less than the process has for it.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// How a worker goes about its jobs.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Most jobs at a time.
    pub concurrency: usize,
    /// Most jobs leased by one statement.
    pub batch: usize,
    /// How long a job is this worker's own; an attempt is cut off at nine tenths of it.
    pub lease: Duration,
    /// The delay after a failed attempt.
    pub backoff: Backoff,
    /// A job is dead when so many attempts failed; `None` for jobs that must reach a known result.
    pub max_attempts: Option<u32>,
    /// A job older than this (see [`NewJob::age_from`](super::NewJob::age_from)) is not run but
    /// recorded as skipped.
    pub max_age: Option<Duration>,
    /// How often to look for due jobs when nobody wakes the worker.
    pub poll_interval: Duration,
    /// When to let the other side rest; `None`: never, each job has its own back-off.
    pub pause: Option<Pause>,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            concurrency: 4,
            batch: 16,
            lease: Duration::from_secs(60),
            backoff: Backoff {
                initial: Duration::from_secs(1),
                max: Duration::from_secs(300),
            },
            max_attempts: Some(20),
            max_age: None,
            poll_interval: Duration::from_secs(1),
            pause: None,
        }
    }
}

/// Runs the jobs of one kind.
#[derive(Debug)]
pub struct Worker<H, G> {
    attempts: Arc<Attempts<H>>,
    gate: G,
    wake: Arc<Notify>,
    window: Option<Window>,
}

/// What may be leased: jobs that were due at `until`, of partitions that the gate let pass after.
#[derive(Debug)]
struct Window {
    until: i64,
    partitions: Vec<i32>,
    opened: Instant,
}

/// What the loop does after a round.
enum Next {
    /// Another round at once: there may be more jobs.
    Again,
    /// As many jobs run as may: wait until one ends.
    Full,
    /// Nothing to do: wait to be woken.
    Idle,
    /// Nothing may be done for so long.
    Pause(Duration),
}

impl<H: JobHandler, G: HistoryGate> Worker<H, G> {
    /// A worker that looks for jobs when `wake` is notified (best after the commit that inserted
    /// one, with `notify_one`; each worker has a `Notify` of its own) and every poll interval.
    pub fn new(
        database: Database,
        handler: H,
        gate: G,
        config: WorkerConfig,
        wake: Arc<Notify>,
    ) -> Self {
        let attempts = Arc::new(Attempts {
            database,
            handler,
            config,
            failures: Failures::default(),
        });
        Self {
            attempts,
            gate,
            wake,
            window: None,
        }
    }

    /// Runs until `shutdown`, then lets the running jobs finish. What is under way after
    /// [`DRAIN_TIMEOUT`], or whose result the database does not take, is left to its lease.
    ///
    /// While the database is away it waits with back-off, without a limit.
    pub async fn run(self, shutdown: Shutdown) {
        let kind = self.attempts.handler.kind().to_owned();
        let out_of_time = async {
            shutdown.cancelled().await;
            sleep(DRAIN_TIMEOUT).await;
        };
        tokio::select! {
            () = self.work(&shutdown) => {}
            () = out_of_time => warn!(kind, "Jobs under way were left to their leases."),
        }
    }

    async fn work(mut self, shutdown: &Shutdown) {
        let mut running = JoinSet::new();
        let mut failures = 0;
        while !shutdown.is_cancelled() {
            while running.try_join_next().is_some() {}
            let round = self.round(&mut running, shutdown).await;
            failures = if round.is_ok() { 0 } else { failures + 1 };
            let mut wakeable = failures == 0;
            let pause = match round {
                Ok(Next::Again) => continue,
                Ok(Next::Full) => {
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        _ = running.join_next() => {}
                    }
                    continue;
                }
                Ok(Next::Idle) => self.config().poll_interval,
                Ok(Next::Pause(rest)) => {
                    wakeable = false;
                    rest.min(self.config().poll_interval)
                }
                Err(error) => {
                    self.report(&error, failures);
                    OUTAGE.wait(failures)
                }
            };
            // A wake-up cuts neither a back-off nor a pause short.
            let wake = self.wake.notified();
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = sleep(pause) => {}
                () = wake, if wakeable => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    fn config(&self) -> &WorkerConfig {
        &self.attempts.config
    }

    fn report(&self, error: &DatabaseError, failures: u32) {
        let kind = self.attempts.handler.kind();
        if error.class() == ErrorClass::Bug {
            error!(kind, failures, %error, "Jobs cannot be leased.");
        } else {
            warn!(kind, failures, %error, "Jobs wait for the database.");
        }
    }

    /// Leases as many jobs as may run now, and starts them.
    async fn round(
        &mut self,
        running: &mut JoinSet<()>,
        shutdown: &Shutdown,
    ) -> Result<Next, DatabaseError> {
        let most = match self.attempts.failures.permit(Instant::now()) {
            Permit::All => self.config().concurrency.max(1),
            Permit::One => 1,
            Permit::Wait(rest) => {
                // What falls due meanwhile is counted.
                within(self.config().lease, self.look()).await?;
                return Ok(Next::Pause(rest));
            }
        };
        let free = most.saturating_sub(running.len());
        if free == 0 {
            return Ok(Next::Full);
        }
        let window = match self.window.take() {
            Some(window) if window.opened.elapsed() < self.config().poll_interval => window,
            _ => tokio::select! {
                () = shutdown.cancelled() => return Ok(Next::Idle),
                window = self.open_window() => window?,
            },
        };
        let limit = self.config().batch.max(1).min(free);
        let jobs = within(self.config().lease, self.claim(&window, limit)).await?;
        let exhausted = jobs.len() < limit;
        for job in jobs {
            let attempts = Arc::clone(&self.attempts);
            running.spawn(async move { attempts.run(job).await });
        }
        if exhausted {
            return Ok(Next::Idle);
        }
        self.window = Some(window);
        Ok(Next::Again)
    }

    /// Looks which partitions have due jobs, and asks the gate about each of them.
    async fn open_window(&self) -> Result<Window, DatabaseError> {
        let opened = Instant::now();
        let due = within(self.config().lease, self.look()).await?;
        let asked = due.iter().map(|due| self.passes(due.partition));
        let passed = join_all(asked).await;
        let partitions = due.iter().zip(passed).filter(|(_, passed)| *passed);
        Ok(Window {
            // The gate was asked after this moment: what fell due later is not in the window.
            until: due.first().map_or(i64::MIN, |due| due.now),
            partitions: partitions.map(|(due, _)| due.partition).collect(),
            opened,
        })
    }

    async fn look(&self) -> Result<Vec<DuePartition>, DatabaseError> {
        let (database, kind) = (&self.attempts.database, self.attempts.handler.kind());
        let due = store::due(database, kind).await?;
        let oldest = due.iter().map(|due| due.now - due.oldest).max();
        let oldest = Duration::from_millis(oldest.unwrap_or_default().unsigned_abs());
        metrics::due(kind, due.iter().map(|due| due.jobs).sum(), oldest);
        metrics::dead(kind, store::dead(database, kind).await?);
        Ok(due)
    }

    async fn passes(&self, partition: i32) -> bool {
        match self.gate.read_past_now(partition).await {
            _ if fault::mutated("r11.jobs-ask") => true,
            Ok(passed) => passed,
            Err(error) => {
                let kind = self.attempts.handler.kind();
                warn!(kind, partition, %error, "Jobs wait, because the end of the log is unknown.");
                false
            }
        }
    }

    async fn claim(&self, window: &Window, limit: usize) -> Result<Vec<Job>, DatabaseError> {
        if window.partitions.is_empty() {
            return Ok(Vec::new());
        }
        let database = &self.attempts.database;
        let mut tx = database.begin().await?;
        let claim = Claim {
            kind: self.attempts.handler.kind(),
            partitions: &window.partitions,
            due_until: window.until,
            limit,
            lease: self.config().lease,
        };
        let jobs = store::claim(&mut tx, database.dialect(), claim).await?;
        if !jobs.is_empty() {
            fault::point("job.lease.before");
        }
        tx.commit().await?;
        if !jobs.is_empty() {
            fault::point("job.lease.after");
        }
        Ok(jobs)
    }
}
