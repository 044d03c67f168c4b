//! The switch, in one transaction.
//!
//! Its locks are those of a batch in the same order: order rows, generation, positions. Once it has the second, no
//! batch that changes a view is under way, and the positions say how far the generation in use has come.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use base_domains::OrderId;
use service_runtime::database::{DatabaseError, Dialect, Tx};
use service_runtime::fault;
use service_runtime::kafka::{Offsets, ReplaySource};
use service_runtime::participant::{lock_folded, lock_positions, set_folded};

use super::difference::differences;
use super::error::RebuildError;
use super::report::{MOST_SHOWN, Report};
use super::{BATCH, Options, Rebuild};
use crate::query::PARTICIPANT;
use crate::query::store::{compare, generation};

/// What became of an attempt.
#[derive(Debug)]
pub(super) enum Switched {
    Done(Report),
    /// Nothing was changed; to be tried again after catching up.
    PutOff(&'static str),
}

const TOO_LONG: &str = "running instances would have been held up for too long";
const MISFOLDED: &str = "folded rows changed meanwhile";
const RACE: &str = "the database was busy";

impl<S: ReplaySource> Rebuild<S> {
    /// Tries to switch, or with a dry run to come to where it would.
    pub(super) async fn switch(&mut self, options: &Options) -> Result<Switched, RebuildError> {
        match self.try_switch(options).await {
            Err(error) if error.is_lost_race() => Ok(Switched::PutOff(RACE)),
            ended => ended,
        }
    }

    async fn try_switch(&mut self, options: &Options) -> Result<Switched, RebuildError> {
        let mut tx = self.database.begin().await?;
        let mut begun = Instant::now();
        self.renew(&mut tx).await?;
        generation::limit_waits(&mut tx, options.longest_hold).await?;
        let locked: BTreeSet<OrderId> = self.misfolded().copied().collect();
        lock_folded(
            &self.database,
            &mut tx,
            PARTICIPANT,
            self.partitions,
            &locked,
        )
        .await?;
        if generation::lock_in_use(&mut tx).await? != self.claim.in_use {
            return Err(RebuildError::Overtaken);
        }
        if self.database.dialect() == Dialect::Postgres {
            // While it waited itself, it held nobody up.
            begun = Instant::now();
        }
        let deadline = begun + options.longest_hold;
        // Else only a database that does not answer takes longer; then the log's reader is lost as well.
        let held = tokio::time::timeout(
            2 * options.longest_hold,
            self.come_to_the_end(&mut tx, &locked, deadline),
        );
        let mut report = match held.await.map_err(|_| RebuildError::PutOff(TOO_LONG))?? {
            Ok(report) => report,
            Err(why) => {
                tracing::debug!(why, "The switch is put off.");
                tx.rollback().await?;
                return Ok(Switched::PutOff(why));
            }
        };
        if options.dry_run {
            tx.rollback().await?;
        } else {
            if let Some(comparison) = &self.comparison {
                set_folded(&self.database, &mut tx, PARTICIPANT, &comparison.misfolded).await?;
            }
            generation::switch_to(&mut tx, self.claim.generation).await?;
            fault::point("rebuild.switch.before");
            let committed = tx.commit().await;
            fault::point("rebuild.switch.after");
            if let Err(error) = committed {
                self.look_what_became_of_it(error).await?;
            }
            report.switched = true;
        }
        report.held = begun.elapsed();
        Ok(Switched::Done(report))
    }

    /// A commit that failed may have been made all the same.
    async fn look_what_became_of_it(&self, error: DatabaseError) -> Result<(), RebuildError> {
        match generation::read(&self.database).await {
            Ok(in_use) if in_use == self.claim.generation => Ok(()),
            Ok(_) => Err(error.into()),
            Err(_) => Err(RebuildError::Unknown(error)),
        }
    }

    /// Reads, writes and compares what is left; or why the switch has to be put off.
    async fn come_to_the_end(
        &mut self,
        tx: &mut Tx,
        locked: &BTreeSet<OrderId>,
        deadline: Instant,
    ) -> Result<Result<Report, &'static str>, RebuildError> {
        let until = lock_positions(&self.database, tx, PARTICIPANT).await?;
        if !self.read_rest(&until, deadline).await? {
            return Ok(Err(TOO_LONG));
        }
        let counts = self.write_rest(tx).await?;
        let pair = self.pair();
        if let Some(comparison) = &mut self.comparison {
            comparison.look_again(tx, pair).await?;
        }
        if self.misfolded().any(|order_id| !locked.contains(order_id)) {
            return Ok(Err(MISFOLDED));
        }
        let report = self.report(tx, counts).await?;
        Ok(match Instant::now() < deadline {
            true => Ok(report),
            false => Err(TOO_LONG),
        })
    }

    fn misfolded(&self) -> impl Iterator<Item = &OrderId> {
        let comparison = self.comparison.iter();
        comparison.flat_map(|comparison| comparison.misfolded.keys())
    }

    /// Reads up to `until`; whether that was reached in time. What was read stays pending until it is committed.
    async fn read_rest(
        &mut self,
        until: &Offsets,
        deadline: Instant,
    ) -> Result<bool, RebuildError> {
        while self.source.remaining(until) > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Ok(false);
            }
            let more = self.source.next(until, BATCH, left).await?;
            self.pending.extend(more);
        }
        Ok(true)
    }

    async fn write_rest(&mut self, tx: &mut Tx) -> Result<(u64, u64), RebuildError> {
        let records = std::mem::take(&mut self.pending);
        let written = self.write(tx, &records).await;
        // Needed again unless `tx` is committed, and then not any more.
        self.pending = records;
        let written = written?;
        Ok((
            self.events + written.events(),
            self.orders + written.orders(),
        ))
    }

    async fn report(
        &self,
        tx: &mut Tx,
        (events, orders): (u64, u64),
    ) -> Result<Report, RebuildError> {
        let (different, shown) = match &self.comparison {
            Some(comparison) => (
                comparison.different.len(),
                comparison
                    .different
                    .keys()
                    .copied()
                    .take(MOST_SHOWN)
                    .collect(),
            ),
            None => (0, Vec::new()),
        };
        let pair = self.pair();
        let old = compare::stored(tx, pair.old, &shown).await?;
        let new = compare::stored(tx, pair.new, &shown).await?;
        Ok(Report {
            old: pair.old,
            new: pair.new,
            events,
            orders,
            old_orders: self
                .comparison
                .as_ref()
                .map_or(orders, |comparison| comparison.old_orders(orders)),
            different,
            differences: differences(&shown, &old, &new),
            refolded: self.misfolded().count(),
            took: self.started.elapsed(),
            held: Duration::ZERO,
            switched: false,
        })
    }
}
