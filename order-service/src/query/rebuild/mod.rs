//! Makes the read model anew from the log, beside the one in use, and switches to it by one row.
//!
//! - It reads the log from its beginning without the group, and folds and writes as the running participant does,
//!   only into another generation.
//! - It reads exactly as far as the running participant has read, by the positions in the database at the moment of
//!   the switch, whether or not an instance is running. From there that one goes on, in the new generation.
//! - Everything is compared before the switch, beside the running instances; under the lock only what they changed
//!   meanwhile. They are held up for no longer than [`Options::longest_hold`]: else the switch is put off.
//! - One rebuild at a time, by a lease that a rebuild which died loses. What it left, the next one deletes.

mod attempts;
mod comparison;
mod difference;
mod error;
mod progress;
mod report;
mod switch;
mod write;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use base_domains::OrderId;
use service_runtime::database::{Database, Dialect, ErrorClass};
use service_runtime::fault;
use service_runtime::kafka::{KafkaConfig, Offsets, Record, ReplaySource};
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{Replay, ReplayLog, open_log, read_positions};

use super::PARTICIPANT;
use super::projection::Projection;
use super::store::generation::{self, Claim};
use attempts::Attempts;
use comparison::Comparison;
pub use difference::Difference;
pub use error::RebuildError;
pub use progress::Progress;
pub use report::Report;
use switch::Switched;

/// A rebuild that does not renew its claim for so long is taken for dead.
const LEASE: Duration = Duration::from_secs(30);
/// Between two renewals while nothing is written.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Records of one transaction.
const BATCH: usize = 2_000;
/// Records that may be left to read, and orders to compare, under the lock.
const FEW: u64 = 500;
/// How long one wait for records takes, so that a shutdown is noticed soon.
const PATIENCE: Duration = Duration::from_millis(500);
/// A log that gives nothing for so long will not give what is missing.
const SILENCE: Duration = Duration::from_secs(60);
/// Events after which PostgreSQL's statistics are refreshed for the first time.
const FIRST_REFRESH: u64 = BATCH as u64;
/// Attempts to switch before the running instances are left alone.
const ATTEMPTS: u32 = 10;

/// What can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Compare, and switch nothing.
    pub dry_run: bool,
    /// How long running instances may be held up by the switch.
    pub longest_hold: Duration,
}

/// What a rebuild is made of.
#[derive(Debug)]
pub struct RebuildParts<S> {
    /// Holds the read model.
    pub database: Database,
    /// The log from its beginning.
    pub source: S,
    /// Where `source` begins.
    pub begin: Offsets,
    /// How many partitions the log has.
    pub partitions: i32,
    /// Group of the running participant, which redrives name.
    pub group: String,
    /// Where progress is shown.
    pub progress: Progress,
    /// Ends it, with nothing switched.
    pub shutdown: Shutdown,
}

/// Opens the log of the read model at its beginning. `truncated`: also if that was deleted.
///
/// # Errors
/// The database is not one of this version, it is of another log, the log's beginning was deleted, or something is
/// down.
pub async fn open(
    database: &Database,
    kafka: &KafkaConfig,
    truncated: bool,
) -> Result<ReplayLog, RebuildError> {
    match generation::read(database).await {
        Ok(_) => Ok(open_log(database, PARTICIPANT, kafka, truncated).await?),
        Err(error) if error.class() == ErrorClass::Bug => Err(RebuildError::NotUpToDate),
        Err(error) => Err(error.into()),
    }
}

/// Makes the read model anew, and tells what came of it before it deletes what is not needed any more.
///
/// # Errors
/// Nothing was switched, and the reason.
pub async fn rebuild<S: ReplaySource>(
    parts: RebuildParts<S>,
    options: &Options,
    tell: impl FnOnce(&Report),
) -> Result<Report, RebuildError> {
    let token = uuid::Uuid::new_v4().to_string();
    let database = parts.database.clone();
    let claim = generation::claim(&database, &token, LEASE).await?;
    let claim = claim.ok_or(RebuildError::Busy(LEASE))?;
    let mut work = Rebuild::new(parts, claim.clone());
    let made = work.make(options).await;
    if let Ok(report) = &made {
        tell(report);
        if let Err(error) = work.delete_leftovers().await {
            work.progress.say(&format!(
                "rows not in use are left to the next rebuild: {error}"
            ));
        }
    }
    // Else the next one waits until the lease is over.
    if let Err(error) = claim.release(&database).await {
        tracing::warn!(%error, "The claim to the rebuild could not be given back.");
    }
    made
}

/// A rebuild at work.
struct Rebuild<S> {
    database: Database,
    source: S,
    begin: Offsets,
    partitions: i32,
    replay: Replay,
    claim: Claim,
    projection: Projection,
    progress: Progress,
    shutdown: Shutdown,
    started: Instant,
    renewed: Instant,
    /// Read, and not yet written for good.
    pending: Vec<Record>,
    /// Orders whose last decision failed; everything else about an order is in its rows.
    failed: BTreeSet<OrderId>,
    events: u64,
    orders: u64,
    /// At how many events the planner's statistics are refreshed next.
    refresh_at: u64,
    comparison: Option<Comparison>,
    switched: bool,
}

impl<S: ReplaySource> Rebuild<S> {
    fn new(parts: RebuildParts<S>, claim: Claim) -> Self {
        Self {
            replay: Replay::new(parts.partitions, &parts.group),
            projection: Projection::apart(claim.generation),
            database: parts.database,
            source: parts.source,
            begin: parts.begin,
            partitions: parts.partitions,
            claim,
            progress: parts.progress,
            shutdown: parts.shutdown,
            started: Instant::now(),
            renewed: Instant::now(),
            pending: Vec::new(),
            failed: BTreeSet::new(),
            events: 0,
            orders: 0,
            refresh_at: FIRST_REFRESH,
            comparison: None,
            switched: false,
        }
    }

    /// Reads, compares and switches.
    async fn make(&mut self, options: &Options) -> Result<Report, RebuildError> {
        self.delete_leftovers().await?;
        self.started = Instant::now();
        for attempt in 1.. {
            self.catch_up().await?;
            fault::point("rebuild.fill.after");
            if self.comparison.is_none() {
                self.compare_all().await?;
            }
            // What the running instances read meanwhile, until little is left to do under the lock.
            while self.lag().await? > FEW || self.touched() > FEW {
                self.catch_up().await?;
                self.compare_touched().await?;
            }
            match self.switch(options).await? {
                Switched::Done(report) => {
                    self.switched = report.switched;
                    self.progress.end();
                    return Ok(report);
                }
                Switched::PutOff(_) if attempt < ATTEMPTS => {}
                Switched::PutOff(why) => return Err(RebuildError::PutOff(why)),
            }
        }
        Err(RebuildError::Interrupted)
    }

    /// Reads as far as the running participant has read by now.
    async fn catch_up(&mut self) -> Result<(), RebuildError> {
        let until = self.positions().await?;
        let mut heard = Instant::now();
        loop {
            self.go_on().await?;
            if self.pending.is_empty() {
                self.pending = self.source.next(&until, BATCH, PATIENCE).await?;
            }
            if !self.pending.is_empty() {
                heard = Instant::now();
                self.write_pending().await?;
                self.refresh_statistics().await?;
            } else if self.source.remaining(&until) == 0 {
                return Ok(());
            } else if heard.elapsed() > SILENCE {
                return Err(RebuildError::Silent(SILENCE));
            }
            let all = until.iter().map(|(id, end)| self.length(*id, *end)).sum();
            self.progress.show(self.events, all, self.orders);
        }
    }

    /// Each time the new generation has doubled.
    async fn refresh_statistics(&mut self) -> Result<(), RebuildError> {
        if self.events >= self.refresh_at {
            let mut connection = self.database.pool().acquire().await?;
            let dialect = self.database.dialect();
            generation::refresh_statistics(&mut connection, dialect).await?;
            self.refresh_at = 2 * self.events;
        }
        Ok(())
    }

    /// Records of a partition before `end`.
    fn length(&self, partition: i32, end: i64) -> u64 {
        let begin = self.begin.get(&partition).copied().unwrap_or(0);
        u64::try_from(end - begin).unwrap_or(0)
    }

    async fn positions(&self) -> Result<Offsets, RebuildError> {
        Ok(read_positions(&self.database, PARTICIPANT).await?)
    }

    /// How many records the running participant is ahead.
    async fn lag(&self) -> Result<u64, RebuildError> {
        let until = self.positions().await?;
        let unread = self.source.remaining(&until);
        Ok(unread.saturating_add(self.pending.len() as u64))
    }

    /// Fails once it should end or the claim is lost; to be called about every second.
    async fn go_on(&mut self) -> Result<(), RebuildError> {
        let mut attempts = Attempts::default();
        loop {
            if self.shutdown.is_cancelled() {
                return Err(RebuildError::Interrupted);
            }
            if self.renewed.elapsed() < RENEW_EVERY {
                return Ok(());
            }
            match self.renew_once().await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.another(error).await?,
            }
        }
    }

    async fn renew_once(&mut self) -> Result<(), RebuildError> {
        let before = self.renewed;
        let mut tx = self.database.begin().await?;
        self.renew(&mut tx).await?;
        if let Err(error) = tx.commit().await {
            // It is still to be done.
            self.renewed = before;
            return Err(error.into());
        }
        Ok(())
    }

    /// Deletes every generation that is neither in use nor being made, in small transactions.
    async fn delete_leftovers(&mut self) -> Result<(), RebuildError> {
        loop {
            let mut connection = self.database.pool().acquire().await?;
            let (made, in_use) = (self.claim.generation, self.claim.in_use);
            let kept = match self.comparison {
                // At the beginning nothing is made yet.
                None => (made, in_use),
                Some(_) if self.switched => (made, made),
                Some(_) => (in_use, in_use),
            };
            let found = generation::leftover(&mut connection, kept.0, kept.1).await?;
            drop(connection);
            let Some(unused) = found else {
                return Ok(());
            };
            for table in generation::TABLES {
                self.delete(table, unused).await?;
            }
        }
    }

    async fn delete(&mut self, table: &'static str, unused: i64) -> Result<(), RebuildError> {
        let mut after = String::new();
        let mut attempts = Attempts::default();
        loop {
            self.go_on().await?;
            let begun = Instant::now();
            match self.delete_once(table, unused, &after).await {
                Err(error) => attempts.another(error).await?,
                Ok(last) => {
                    self.give_way(begun).await;
                    let Some(last) = last else {
                        return Ok(());
                    };
                    after = last;
                    attempts = Attempts::default();
                }
            }
        }
    }

    async fn delete_once(
        &mut self,
        table: &'static str,
        unused: i64,
        after: &str,
    ) -> Result<Option<String>, RebuildError> {
        let mut tx = self.database.begin().await?;
        self.renew(&mut tx).await?;
        let last = generation::delete_some(&mut tx, table, unused, after).await?;
        tx.commit().await?;
        Ok(last)
    }

    /// Lets the others write. SQLite has one writer at a time, and who waits for it looks only now and then.
    async fn give_way(&self, begun: Instant) {
        if self.database.dialect() == Dialect::Sqlite {
            let pause = begun.elapsed() / 4;
            tokio::time::sleep(pause.clamp(Duration::from_millis(2), Duration::from_millis(50)))
                .await;
        }
    }
}
