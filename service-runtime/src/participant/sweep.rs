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
use super::batch::{BatchError, republish};
use super::decider::Decider;
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
struct PartitionSweep {
    next: Instant,
    backoff: Duration,
    round: Option<Round>,
}

/// Sweeps the partitions that this instance owns until `shutdown`.
pub(super) async fn run<D: Decider>(shared: Arc<Shared<D>>, shutdown: Shutdown) {
    let mut sweeps: BTreeMap<PartitionId, PartitionSweep> = BTreeMap::new();
    let mut ticks = tokio::time::interval(shared.settings.sweep.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let owned = shared.progress.positions();
        sweeps.retain(|partition, _| owned.contains_key(partition));
        for (partition, position) in owned {
            let sweep = sweeps.entry(partition).or_insert_with(|| PartitionSweep {
                next: Instant::now(),
                backoff: shared.settings.sweep.interval,
                round: None,
            });
            match turn(&shared, partition, position, sweep).await {
                Ok(()) => shared.log_health.set_ready(),
                Err(error) => shared.log_health.set_not_ready(&error.to_string()),
            }
        }
    }
}

async fn turn<D: Decider>(
    shared: &Shared<D>,
    partition: PartitionId,
    position: i64,
    sweep: &mut PartitionSweep,
) -> Result<(), BatchError> {
    if Instant::now() < sweep.next {
        return Ok(());
    }
    let unconfirmed: BTreeSet<OrderId> = shared
        .store
        .unconfirmed(&shared.database, partition, ROUND_LIMIT)
        .await?
        .into_iter()
        .collect();
    // Asked after the candidates are known: what they had published lies before this end.
    let end = match shared.log_ends.end(partition).await {
        Ok(end) => end,
        Err(error) => return Err(BatchError::Unavailable(error.to_string())),
    };
    shared.gauge(partition, end.saturating_sub(position), unconfirmed.len());
    match sweep.round.take() {
        _ if unconfirmed.is_empty() => sweep.backoff = shared.settings.sweep.interval,
        None => {
            sweep.round = Some(Round {
                barrier: end,
                candidates: unconfirmed,
            });
        }
        Some(round) if position < round.barrier => sweep.round = Some(round),
        Some(round) => {
            let lost: Vec<OrderId> = round.candidates.intersection(&unconfirmed).copied().collect();
            if !lost.is_empty() {
                tracing::warn!(
                    participant = shared.name,
                    partition,
                    outcomes = lost.len(),
                    "Outcomes were not read back and are published again."
                );
                shared.count_swept(lost.len());
                republish(shared, &lost).await?;
                sweep.next = Instant::now() + sweep.backoff;
                sweep.backoff = (sweep.backoff * 2).min(shared.settings.sweep.max_backoff);
            }
        }
    }
    Ok(())
}
