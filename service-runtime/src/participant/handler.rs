//! How a participant answers its consumer loop: retries, bisection and the checks of an assignment.

use std::sync::Arc;

use super::Shared;
use super::allowance::{Allowance, Refusal};
use super::batch::{
    Batch, BatchError, Mode, Places, TRANSACTION_LIMIT, dead_letter, next_offsets, place_of,
    process, publish_held_back,
};
use super::decider::Decider;
use super::plan::{Kind, kind_of, pieces};
use super::positions::Stand;
use super::quiet::quiet_until;
use super::settle::Failure;
use super::start::start_of;
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
    /// cannot be decided keeps its fold (rule R2). Where there would be a letter too many, what comes
    /// before it gets its effect as well.
    async fn settle(&mut self, batch: Batch<'_>) -> Result<(), Interruption> {
        let mut work = Vec::from_iter((!batch.records.is_empty()).then_some(batch));
        let mut refused = None;
        while let Some(batch) = work.pop() {
            match self.process_again(&batch, &Mode::Decide).await {
                Ok(decided) => {
                    self.defects.worked(decided);
                    self.note_done(&batch);
                }
                Err(BatchError::Bug(reason)) if batch.records.len() > 1 => {
                    tracing::debug!(reason, records = batch.records.len(), "Bisecting a batch.");
                    let (first, second) = batch.split_at(batch.records.len() / 2);
                    work.push(second);
                    work.push(first);
                }
                Err(BatchError::Bug(reason)) => self.give_up(&batch, reason).await?,
                Err(BatchError::Refused(refusal)) => {
                    let before = |record: &&Record| place_of(record) != refusal.at;
                    let (first, _) =
                        batch.split_at(batch.records.iter().take_while(before).count());
                    work.clear();
                    work.extend((!first.records.is_empty()).then_some(first));
                    refused = Some(refusal);
                }
                Err(error) => return Err(error.into()),
            }
        }
        match refused {
            None => Ok(()),
            Some(refusal) => Err(BatchError::Refused(refusal).into()),
        }
    }

    /// The batch is durable and published, and counts.
    fn note_done(&mut self, batch: &Batch<'_>) {
        // Within the limit: a copy was asked before it was handled.
        self.unreadable.read(batch.records, batch.kinds).ok();
        self.done.extend(batch.records.iter().map(place_of));
    }

    /// How many of `records` are done: a batch is done from its beginning on.
    fn done_of(&self, records: &[Record]) -> usize {
        let is_done = |record: &&Record| self.done.contains(&place_of(record));
        records.iter().take_while(is_done).count()
    }

    /// Dead-letters the decision about a single record, unless defects come in a row.
    async fn give_up(&mut self, batch: &Batch<'_>, reason: String) -> Result<(), Interruption> {
        let mut defects = self.defects.clone();
        if !defects.spend() {
            let spent = defects.spent();
            let reason = format!("stopped dead-lettering after {spent} defects, last: {reason}");
            let at = place_of(&batch.records[0]);
            return Err(BatchError::Refused(Refusal { at, reason }).into());
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
                self.note_done(batch);
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
        fault::point("batch.read.after");
        let begin = self.done_of(records);
        let mut unreadable = self.unreadable.clone();
        let refused = unreadable.read(&records[begin..], &kinds[begin..]).err();
        let before = |record: &&Record| {
            refused
                .as_ref()
                .is_none_or(|one| one.at != place_of(record))
        };
        let end = begin + records[begin..].iter().take_while(before).count();
        self.dead_letter_bad(&records[..end], &kinds[..end]).await?;
        let settled = self.settle_in_pieces(&records[begin..end], &kinds[begin..end]);
        let refused = match settled.await {
            Ok(()) => refused.map(|refusal| refusal.reason),
            Err(Interruption::Refused { reason, .. }) => Some(reason),
            Err(other) => return Err(other),
        };
        let done = self.done_of(records);
        self.end_history(&next_offsets(&records[..done])).await?;
        if let Some(reason) = refused {
            return Err(Interruption::Refused { done, reason });
        }
        self.lettered.clear();
        self.done.clear();
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
