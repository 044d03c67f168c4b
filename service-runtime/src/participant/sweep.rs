//! The sweep: publishes again what was stored but never read back (rule R9).
//!
//! Only the owner of the home partition sweeps it, and only after the partition was read past the
//! end that the log had when the candidates were noted: until then the outcome may simply be on
//! its way, and publishing it again would make a lag longer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base_domains::OrderId;
use tokio::time::Instant;

use super::Shared;
use super::batch::{BatchError, TRANSACTION_LIMIT, republish};
use super::decider::Decider;
use crate::database::within;
use crate::fault;
use crate::kafka::PartitionId;
use crate::lifecycle::Shutdown;

/// Most outcomes of one partition in one round.
const ROUND_LIMIT: i64 = 500;

/// Bounds of the sweep.
#[derive(Debug, Clone)]
pub struct SweepSettings {
    /// How often a partition is looked at.
    pub interval: Duration,
    /// Longest wait between two attempts; it doubles from `interval`.
    pub max_backoff: Duration,
}

impl Default for SweepSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            max_backoff: Duration::from_secs(300),
        }
    }
}

/// Candidates that were unconfirmed when the log ended at `barrier`.
#[derive(Debug)]
struct Round {
    barrier: i64,
    candidates: BTreeSet<OrderId>,
}

/// Where the sweep of one partition stands.
#[derive(Debug)]
pub(super) struct PartitionSweep {
    next: Instant,
    backoff: Duration,
    round: Option<Round>,
}

/// Sweeps the partitions that this instance owns until `shutdown`.
///
/// # Errors
/// The producer failed for good. Where only jobs and requests append, nobody else would notice.
pub(super) async fn run<D: Decider>(
    shared: Arc<Shared<D>>,
    shutdown: Shutdown,
) -> Result<(), String> {
    let mut sweeps: BTreeMap<PartitionId, PartitionSweep> = BTreeMap::new();
    let mut ticks = tokio::time::interval(shared.settings.sweep.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let result = tick(&shared, &mut sweeps).await;
        match result {
            Ok(()) => shared.log_health.set_ready(),
            Err(BatchError::Fatal(reason)) => return Err(reason),
            Err(error) => shared.log_health.set_not_ready(error.to_string()),
        }
    }
}

/// Looks at every owned partition; the first failure is what is reported.
async fn tick<D: Decider>(
    shared: &Shared<D>,
    sweeps: &mut BTreeMap<PartitionId, PartitionSweep>,
) -> Result<(), BatchError> {
    let owned = shared.progress.positions();
    keep_owned(shared, sweeps, &owned);
    if owned.is_empty() {
        // More instances than partitions: nothing to sweep, but the log has to be there.
        end_of(shared, 0).await?;
    }
    let mut result = Ok(());
    for (partition, position) in owned {
        let sweep = sweeps
            .entry(partition)
            .or_insert_with(|| PartitionSweep::new(&shared.settings.sweep, Instant::now()));
        result = result.and(turn(shared, partition, position, sweep).await);
    }
    result
}

/// A partition that left has its lag at the instance that owns it now.
pub(super) fn keep_owned<D>(
    shared: &Shared<D>,
    sweeps: &mut BTreeMap<PartitionId, PartitionSweep>,
    owned: &BTreeMap<PartitionId, i64>,
) {
    sweeps.retain(|partition, _| {
        let kept = owned.contains_key(partition);
        if !kept {
            shared.gauge(*partition, 0, 0);
        }
        kept
    });
}

async fn end_of<D: Decider>(shared: &Shared<D>, partition: PartitionId) -> Result<i64, BatchError> {
    let end = shared.log_ends.end(partition).await;
    end.map_err(|error| BatchError::Unavailable(format!("the broker does not answer: {error}")))
}

async fn turn<D: Decider>(
    shared: &Shared<D>,
    partition: PartitionId,
    position: i64,
    sweep: &mut PartitionSweep,
) -> Result<(), BatchError> {
    let candidates = shared
        .store
        .unconfirmed(&shared.database, partition, None, ROUND_LIMIT);
    let unconfirmed: BTreeSet<OrderId> = within(TRANSACTION_LIMIT, candidates)
        .await?
        .into_iter()
        .collect();
    // Asked after the candidates are known: what was acknowledged of them lies before this end. One
    // whose first publish is still under way may be published twice, which the fold ignores.
    let end = end_of(shared, partition).await?;
    shared.gauge(partition, end.saturating_sub(position), unconfirmed.len());
    if shared.quiet.holds(partition) {
        // The log may say otherwise (rule R13).
        *sweep = PartitionSweep::new(&shared.settings.sweep, Instant::now());
        return Ok(());
    }
    let lost = sweep.judge(
        &shared.settings.sweep,
        Instant::now(),
        position,
        end,
        unconfirmed,
    );
    if !lost.is_empty() {
        tracing::warn!(
            participant = shared.name,
            partition,
            outcomes = lost.len(),
            "Outcomes were not read back and are published again."
        );
        shared.count_swept(lost.len());
        fault::point("sweep.publish.before");
        republish(shared, &lost).await?;
        fault::point("sweep.publish.after");
    }
    Ok(())
}

impl PartitionSweep {
    pub(super) fn new(settings: &SweepSettings, now: Instant) -> Self {
        Self {
            next: now,
            backoff: settings.interval,
            round: None,
        }
    }

    /// Which of `unconfirmed` are lost: those that were candidates already when the log ended
    /// before `position`.
    fn judge(
        &mut self,
        settings: &SweepSettings,
        now: Instant,
        position: i64,
        end: i64,
        unconfirmed: BTreeSet<OrderId>,
    ) -> Vec<OrderId> {
        if unconfirmed.is_empty() || fault::mutated("r9.sweep") {
            *self = Self::new(settings, now);
            return Vec::new();
        }
        if now < self.next {
            return Vec::new();
        }
        match self.round.take() {
            None => {
                self.round = Some(Round {
                    barrier: end,
                    candidates: unconfirmed,
                });
                Vec::new()
            }
            Some(round) if position < round.barrier && !fault::mutated("r9.read-past-the-end") => {
                self.round = Some(round);
                Vec::new()
            }
            Some(round) => {
                let lost: Vec<OrderId> = round
                    .candidates
                    .intersection(&unconfirmed)
                    .copied()
                    .collect();
                if lost.is_empty() {
                    self.backoff = settings.interval;
                } else {
                    if !fault::mutated("r9.back-off") {
                        self.next = now + self.backoff;
                    }
                    self.backoff = (self.backoff * 2).min(settings.max_backoff);
                }
                lost
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn orders(keys: &[&str]) -> BTreeSet<OrderId> {
        keys.iter()
            .map(|key| OrderId::from_idempotency_key("test", key))
            .collect()
    }

    fn sweep() -> (PartitionSweep, SweepSettings, Instant) {
        let (settings, now) = (SweepSettings::default(), Instant::now());
        (PartitionSweep::new(&settings, now), settings, now)
    }

    /// Rule R9: however often it is looked at.
    #[test]
    fn a_lag_is_never_swept() {
        let (mut sweep, settings, now) = sweep();
        for second in 0..1000 {
            let lost = sweep.judge(&settings, now + SECOND * second, 99, 100, orders(&["a"]));
            assert_eq!(lost, vec![]);
        }
    }

    #[test]
    fn an_outcome_that_is_not_before_the_end_of_its_time_is_lost() {
        let (mut sweep, settings, now) = sweep();
        assert_eq!(
            sweep.judge(&settings, now, 90, 100, orders(&["a", "b"])),
            vec![]
        );
        // `b` was read back on the way and `c` came later: its own record may lie ahead.
        let lost = sweep.judge(&settings, now + SECOND, 100, 150, orders(&["a", "c"]));
        assert_eq!(lost, orders(&["a"]).into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn attempts_back_off_doubling_until_it_is_confirmed() {
        let (mut sweep, settings, start) = sweep();
        let attempts: Vec<u32> = (0..40)
            .filter(|second| {
                let now = start + SECOND * *second;
                !sweep
                    .judge(&settings, now, 100, 100, orders(&["a"]))
                    .is_empty()
            })
            .collect();
        // Each wait is followed by one turn that samples a new end.
        assert_eq!(attempts, vec![1, 3, 6, 11, 20, 37]);
        assert_eq!(
            sweep.judge(&settings, start + SECOND * 41, 100, 100, orders(&[])),
            vec![]
        );
        assert_eq!(sweep.backoff, settings.interval);
    }
}
