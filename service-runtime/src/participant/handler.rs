//! How a participant answers its consumer loop: retries, bisection and the checks of an assignment.

use std::sync::Arc;

use super::Shared;
use super::allowance::Allowance;
use super::batch::{
    Batch, BatchError, Mode, Places, TRANSACTION_LIMIT, dead_letter, next_offsets, place_of,
    process, publish_held_back,
};
use super::decider::Decider;
use super::plan::{Kind, kind_of, pieces};
use super::positions::Stand;
use super::quiet::quiet_until;
use super::settle::Failure;
use crate::database::{DatabaseError, within};
use crate::fault;
use crate::health::Component;
use crate::kafka::{Assigned, BatchHandler, Interruption, Offsets, PartitionId, Record, Start};

/// Attempts at once for deadlocks and the like, before the loop backs off.
const AGAIN_LIMIT: u32 = 5;

/// Decisions that have to work for one defect to be forgiven. Records that need no decision, such
/// as those that were given up before, prove nothing.
const FORGIVING: usize = 50;

/// The handler of one participant.
pub(super) struct Handler<D> {
    shared: Arc<Shared<D>>,
    /// Of decisions given up for a defect.
    defects: Allowance,
    /// Of records that cannot be read.
    unreadable: Allowance,
    /// Of decisions that failed.
    failed: Allowance,
    /// Of the held batch: dead-lettered.
    lettered: Places,
    /// Of the held batch: durable and published, which one more attempt does not repeat.
    done: Places,
    /// Of the loop, which is silent while it waits for the batch.
    health: Component,
}

impl<D: Decider> Handler<D> {
    pub(super) fn new(shared: Arc<Shared<D>>, health: Component) -> Self {
        let settings = &shared.settings;
        let letters = Allowance::of_letters(settings.dead_letter_limit);
        Self {
            defects: Allowance::new(settings.max_defects, FORGIVING),
            unreadable: letters.clone(),
            failed: letters,
            shared,
            lettered: Places::new(),
            done: Places::new(),
            health,
        }
    }

    /// Bad records go to the dead-letter topic, acknowledged, before any offset moves.
    async fn dead_letter_bad(
        &mut self,
        records: &[Record],
        kinds: &[Kind],
    ) -> Result<(), Interruption> {
        let bad: Vec<Failure<'_>> = records
            .iter()
            .zip(kinds)
            .filter_map(|(record, kind)| match kind {
                Kind::Bad { code, reason } => Some(Failure {
                    record,
                    code,
                    reason: reason.clone(),
                }),
                _ => None,
            })
            .collect();
        if !fault::mutated("dead-letter.bad-records") {
            dead_letter(&self.shared, &bad, &mut self.lettered).await?;
        }
        Ok(())
    }

    async fn settle_in_pieces(
        &mut self,
        records: &[Record],
        kinds: &[Kind],
    ) -> Result<(), Interruption> {
        let mut begin = 0;
        for end in pieces(kinds) {
            self.settle(Batch {
                records: &records[begin..end],
                kinds: &kinds[begin..end],
            })
            .await?;
            begin = end;
        }
        Ok(())
    }

    /// Bisects on a defect: the good records all get their effect, in order, and the one that
    /// cannot be decided keeps its fold (rule R2).
    async fn settle(&mut self, batch: Batch<'_>) -> Result<(), Interruption> {
        let mut work = Vec::from_iter((!batch.records.is_empty()).then_some(batch));
        while let Some(batch) = work.pop() {
            match self.process_again(&batch, &Mode::Decide).await {
                Ok(decided) => {
                    self.defects.worked(decided);
                    self.done.extend(batch.records.iter().map(place_of));
                }
                Err(BatchError::Bug(reason)) if batch.records.len() > 1 => {
                    tracing::debug!(reason, records = batch.records.len(), "Bisecting a batch.");
                    let middle = batch.records.len() / 2;
                    let (first, second) = batch.records.split_at(middle);
                    let (first_kinds, second_kinds) = batch.kinds.split_at(middle);
                    work.push(Batch {
                        records: second,
                        kinds: second_kinds,
                    });
                    work.push(Batch {
                        records: first,
                        kinds: first_kinds,
                    });
                }
                Err(BatchError::Bug(reason)) => self.give_up(&batch, reason).await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Dead-letters the decision about a single record, unless defects come in a row.
    async fn give_up(&mut self, batch: &Batch<'_>, reason: String) -> Result<(), Interruption> {
        let mut defects = self.defects.clone();
        if !defects.spend() {
            let limit = defects.limit();
            return Err(Interruption::Unavailable(format!(
                "stopped dead-lettering after {limit} defects, last: {reason}"
            )));
        }
        tracing::error!(
            participant = self.shared.name,
            partition = batch.records[0].partition,
            offset = batch.records[0].offset,
            reason,
            "A decision failed for good."
        );
        match self.process_again(batch, &Mode::FoldOnly(reason)).await {
            Ok(_) => {
                self.defects = defects;
                self.done.extend(batch.records.iter().map(place_of));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Has a partition that was just assigned read quietly as far as it is history (rule R13).
    async fn be_quiet(
        &self,
        assigned: &Assigned,
        start: Start,
        stand: Stand,
    ) -> Result<(), Interruption> {
        let (shared, partition) = (&self.shared, assigned.partition);
        let history = quiet_until(assigned, start, stand);
        let Some(until) = history.filter(|_| !fault::mutated("r13.hold-back")) else {
            shared.quiet.end(partition);
            return Ok(());
        };
        if until != stand.quiet_until {
            let begun = shared.store.begin_quiet(&shared.database, partition, until);
            within(TRANSACTION_LIMIT, begun)
                .await
                .map_err(database_down)?;
            fault::point("history.begin.after");
        }
        shared.quiet.begin(partition, until);
        tracing::info!(
            participant = shared.name,
            partition,
            until,
            "History is read: nothing of it is published before its end."
        );
        Ok(())
    }

    async fn process_again(&mut self, batch: &Batch<'_>, mode: &Mode) -> Result<usize, BatchError> {
        for attempt in 1..=AGAIN_LIMIT {
            // Each transaction is bounded, their number is not: a defect is bisected to.
            self.health.heartbeat();
            let (lettered, failed) = (&mut self.lettered, &mut self.failed);
            match process(&self.shared, batch, mode, lettered, failed).await {
                Err(BatchError::Again(reason)) => {
                    tracing::debug!(attempt, reason, "Transaction to be repeated.");
                    tokio::time::sleep(self.shared.settings.again.wait(attempt)).await;
                }
                other => return other,
            }
        }
        Err(BatchError::Unavailable(format!(
            "the database was busy {AGAIN_LIMIT} times in a row"
        )))
    }
}

impl<D: Decider> Handler<D> {
    /// Publishes what was held back, if a partition was read to the end of its history.
    async fn end_history(&self, next: &Offsets) -> Result<(), Interruption> {
        let (shared, ending) = (&self.shared, self.shared.quiet.ending(next));
        if ending.is_empty() || fault::mutated("r13.publish-at-the-end") {
            return Ok(());
        }
        fault::point("history.end.before");
        let mut published = 0;
        // Of a bare record the order's home may be any partition, and its history may be over before.
        for home in 0..shared.partitions() {
            let stand = shared.store.stand(&shared.database, home);
            let stand = within(TRANSACTION_LIMIT, stand)
                .await
                .map_err(database_down)?;
            if stand.next_offset >= stand.quiet_until {
                published += publish_held_back(shared, home, &self.health).await?;
            }
        }
        fault::point("history.end.after");
        for partition in &ending {
            shared.quiet.end(*partition);
        }
        tracing::info!(
            participant = shared.name,
            partitions = ?ending,
            published,
            "History was read to its end."
        );
        Ok(())
    }
}

impl<D: Decider> BatchHandler for Handler<D> {
    async fn check(&mut self, assigned: &Assigned) -> Result<Start, Interruption> {
        let (partition, partitions) = (assigned.partition, self.shared.partitions());
        if partition >= partitions && !fault::mutated("r4.added-partition") {
            return Err(Interruption::Stop(format!(
                "the topic has a partition {partition}, but this log began with {partitions} partitions; \
                 more partitions need a new topic"
            )));
        }
        let (store, database) = (&self.shared.store, &self.shared.database);
        let stand = within(TRANSACTION_LIMIT, store.stand(database, partition));
        let stand = stand.await.map_err(database_down)?;
        let known = stand.next_offset;
        let start = start_of(assigned, known, self.shared.settings.allow_truncated_log)
            .map_err(Interruption::Stop)?;
        self.be_quiet(assigned, start, stand).await?;
        Ok(start)
    }

    async fn handle(&mut self, records: &[Record]) -> Result<(), Interruption> {
        let (partitions, group) = (self.shared.partitions(), &self.shared.group);
        let kinds: Vec<Kind> = records
            .iter()
            .map(|record| kind_of(record, partitions, group))
            .collect();
        let unreadable = self.unreadable.clone().read(records, &kinds);
        let unreadable = unreadable.map_err(Interruption::Unavailable)?;
        fault::point("batch.read.after");
        self.dead_letter_bad(records, &kinds).await?;
        // A batch is done from its beginning on.
        let is_done = |record: &&Record| self.done.contains(&place_of(record));
        let done = records.iter().take_while(is_done).count();
        self.settle_in_pieces(&records[done..], &kinds[done..])
            .await?;
        self.end_history(&next_offsets(records)).await?;
        self.lettered.clear();
        self.done.clear();
        self.unreadable = unreadable;
        Ok(())
    }

    fn may_commit(&self, partition: PartitionId) -> bool {
        !self.shared.quiet.holds(partition) || fault::mutated("r13.keep-committed")
    }

    fn revoked(&mut self, partition: PartitionId) {
        self.shared.quiet.end(partition);
        self.done.retain(|(of, _)| *of != partition);
    }
}

fn database_down(error: DatabaseError) -> Interruption {
    Interruption::Unavailable(format!("database: {error}"))
}

/// Compares where the group, the database and the log stand (rule R6).
fn start_of(assigned: &Assigned, known: i64, allow_truncated: bool) -> Result<Start, String> {
    let Assigned {
        partition,
        committed,
        begin,
        end,
    } = *assigned;
    if known > end && !fault::mutated("r6.shorter-log") {
        return Err(format!(
            "the log ends at offset {end} of partition {partition}, but the database has read up to {known}: \
             another cluster or a wiped volume; restore the log or start with an empty database"
        ));
    }
    let from = committed.map_or(known, |committed| committed.min(known));
    if from < begin && !allow_truncated && !fault::mutated("r6.truncated-log") {
        return Err(format!(
            "partition {partition} begins at offset {begin}, but records from {from} on were not read yet: \
             orders would be missing; set ALLOW_TRUNCATED_LOG=true to go on without them"
        ));
    }
    Ok(match committed {
        Some(committed) if known < committed && !fault::mutated("r6.read-again") => {
            Start::At(known.max(begin))
        }
        _ => Start::Committed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(committed: Option<i64>, begin: i64, end: i64) -> Assigned {
        Assigned {
            partition: 1,
            committed,
            begin,
            end,
        }
    }

    #[test]
    fn a_database_at_or_past_the_committed_offset_changes_nothing() {
        for known in [10, 15, 20] {
            let start = start_of(&assigned(Some(10), 0, 20), known, false);
            assert_eq!(start, Ok(Start::Committed));
        }
    }

    #[test]
    fn a_restored_database_is_read_again_from_its_own_offset() {
        assert_eq!(
            start_of(&assigned(Some(10), 0, 20), 4, false),
            Ok(Start::At(4))
        );
        assert_eq!(
            start_of(&assigned(Some(10), 0, 20), 0, false),
            Ok(Start::At(0))
        );
    }

    #[test]
    fn a_log_shorter_than_the_database_stops_with_both_offsets() {
        let stop = start_of(&assigned(Some(10), 0, 12), 13, false).unwrap_err();
        assert!(stop.contains("offset 12 of partition 1"), "{stop}");
        assert!(stop.contains("up to 13"), "{stop}");
    }

    #[test]
    fn a_log_without_its_beginning_refuses_a_new_group_unless_forced() {
        let new_group = assigned(None, 5, 20);
        assert!(start_of(&new_group, 0, false).is_err());
        assert_eq!(start_of(&new_group, 0, true), Ok(Start::Committed));
    }

    #[test]
    fn a_log_that_lost_unread_records_refuses_unless_forced() {
        let restored = assigned(Some(10), 5, 20);
        assert!(start_of(&restored, 3, false).is_err());
        assert_eq!(start_of(&restored, 3, true), Ok(Start::At(5)));
    }

    #[test]
    fn lost_group_offsets_refuse_when_unread_records_are_gone() {
        assert!(start_of(&assigned(None, 5, 20), 3, false).is_err());
        assert_eq!(
            start_of(&assigned(None, 5, 20), 7, false),
            Ok(Start::Committed)
        );
    }

    #[test]
    fn lost_group_offsets_replay_from_the_beginning() {
        assert_eq!(
            start_of(&assigned(None, 0, 20), 20, false),
            Ok(Start::Committed)
        );
    }
}
