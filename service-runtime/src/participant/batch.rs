//! One batch: read, lock, fold, decide, commit, publish.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use base_domains::{EncodedEvent, OrderId, home_partition};
use futures_util::FutureExt;

use super::Shared;
use super::allowance::{Allowance, Refusal};
use super::decider::{Change, DecideError, Decider, Decision};
use super::plan::{Kind, Plan, fold};
use super::settle::{Failure, fresh, repeated, settle};
use crate::database::{DatabaseError, ErrorClass, Tx, within};
use crate::fault;
use crate::health::Component;
use crate::kafka::{Interruption, Letter, PartitionId, ProduceError, Record};

/// Why a batch was rolled back.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    /// Deadlock, serialization, busy: the same again, at once.
    #[error("{0}")]
    Again(String),
    /// Database or broker down: the same again, later.
    #[error("{0}")]
    Unavailable(String),
    /// A defect in code or data: bisect.
    #[error("{0}")]
    Bug(String),
    /// One of its decisions would be a dead letter too many: what comes before it, by itself.
    #[error("{}", .0.reason)]
    Refused(Refusal),
    /// This process cannot go on.
    #[error("{0}")]
    Fatal(String),
}

impl From<BatchError> for Interruption {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Fatal(reason) => Self::Stop(reason),
            BatchError::Refused(Refusal { reason, .. }) => Self::Refused { done: 0, reason },
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<DatabaseError> for BatchError {
    fn from(error: DatabaseError) -> Self {
        let text = format!("database: {error}");
        match error.class() {
            ErrorClass::Again => Self::Again(text),
            ErrorClass::Unavailable => Self::Unavailable(text),
            ErrorClass::Bug => Self::Bug(text),
        }
    }
}

impl From<sqlx::Error> for BatchError {
    fn from(error: sqlx::Error) -> Self {
        DatabaseError::from(error).into()
    }
}

impl From<DecideError> for BatchError {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Database(error) => error.into(),
            DecideError::Bug(text) => Self::Bug(text),
        }
    }
}

impl From<ProduceError> for BatchError {
    fn from(error: ProduceError) -> Self {
        // Never a dead letter, never skipped: whatever the broker says, the batch waits.
        match error {
            ProduceError::Fatal(_) => Self::Fatal(error.to_string()),
            _ => Self::Unavailable(format!("broker: {error}")),
        }
    }
}

/// Whether decisions are made, or (for the one record that a defect was bisected to) only folds.
#[derive(Debug, Clone)]
pub(super) enum Mode {
    Decide,
    /// The decision fails with this reason (rule R2).
    FoldOnly(String),
}

/// A slice of the polled batch with what each record is.
pub(super) struct Batch<'a> {
    pub(super) records: &'a [Record],
    pub(super) kinds: &'a [Kind],
}

impl<'a> Batch<'a> {
    /// The records before `middle`, and the others.
    pub(super) fn split_at(&self, middle: usize) -> (Self, Self) {
        let (records, later_records) = self.records.split_at(middle);
        let (kinds, later_kinds) = self.kinds.split_at(middle);
        let later = Self {
            records: later_records,
            kinds: later_kinds,
        };
        (Self { records, kinds }, later)
    }
}

/// Longest time for one transaction. A server that vanished from the network would otherwise hold
/// the poll loop until the operating system gives up.
pub(super) const TRANSACTION_LIMIT: Duration = Duration::from_secs(30);

/// Most outcomes of history that are read and published at a time.
const PAGE: i64 = 500;

/// Where a record is in the log.
pub(super) type Place = (PartitionId, i64);

/// Places of records, such as those that are dead-lettered already: a repeated transaction does not repeat them.
pub(super) type Places = BTreeSet<Place>;

/// Runs the batch's transaction and publishes its outcomes; on success everything is durable and
/// published, and the offsets may be stored. Returns how many decisions were made and did not fail.
pub(super) async fn process<D: Decider>(
    shared: &Shared<D>,
    batch: &Batch<'_>,
    mode: &Mode,
    lettered: &mut Places,
    failed: &mut Allowance,
) -> Result<usize, BatchError> {
    let transaction = transact(shared, batch, mode, lettered, failed);
    let committed = tokio::time::timeout(TRANSACTION_LIMIT, transaction)
        .await
        .unwrap_or_else(|_| {
            let text = format!("database: no answer within {TRANSACTION_LIMIT:?}");
            Err(BatchError::Unavailable(text))
        })?;
    let mut events = stored(shared, &committed.repeated).await?;
    events.extend(committed.fresh);
    match shared.appender.publish(&events).await {
        Err(_) if fault::mutated("offsets.after-publish") => {}
        published => published?,
    }
    Ok(committed.decided)
}

/// A transaction in the place of `tx`, when whoever waited for its locks has them (a mutation).
#[cold]
async fn without_locks<D>(shared: &Shared<D>, tx: Tx) -> Result<Tx, DatabaseError> {
    tx.commit().await?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    shared.database.begin().await
}

/// What is durable and what is still to do.
struct Committed {
    /// Outcomes that this transaction stored.
    fresh: Vec<EncodedEvent>,
    /// Orders whose cause was repeated; their outcomes were stored before.
    repeated: Vec<OrderId>,
    decided: usize,
}

async fn transact<D: Decider>(
    shared: &Shared<D>,
    batch: &Batch<'_>,
    mode: &Mode,
    lettered: &mut Places,
    failed: &mut Allowance,
) -> Result<Committed, BatchError> {
    let mut tx = shared.database.begin().await?;
    let orders = order_ids(batch.kinds, shared.partitions());
    let mut rows = shared.store.lock_orders(&mut tx, &orders).await?;
    if fault::mutated("r1.lock-before-fold") {
        tx = without_locks(shared, tx).await?;
    }
    fault::point("batch.lock.after");
    let before = rows.clone();
    let plan = fold(batch.kinds, &mut rows);
    fault::point("batch.fold.after");
    let changes = changes(batch, &plan, &orders);
    let held = shared.quiet.held_back(batch.records, batch.kinds, &orders);
    let decisions = decide(shared, &mut tx, &changes, mode, !held.is_empty()).await?;
    fault::point("batch.decide.after");
    let settled = settle(shared, &changes, decisions, &mut rows, &held);
    let counted = match mode {
        Mode::Decide => failed.clone().decided(shared, &changes, &settled),
        Mode::FoldOnly(_) => Ok(failed.clone()), // a defect, which is counted as one
    };
    let counted = counted.map_err(BatchError::Refused)?;
    let changed = settled.changed_rows(&before, &rows);
    shared.store.write_orders(&mut tx, &changed).await?;
    let next = next_offsets(batch.records);
    shared.store.write_positions(&mut tx, &next).await?;
    // After all that can fail by itself, and before the commit: afterwards the records would
    // already count as done.
    let too_late = fault::mutated("dead-letter.before-commit");
    if !too_late {
        dead_letter(shared, &settled.failures, lettered).await?;
    }
    fault::point("batch.commit.before");
    tx.commit().await?;
    fault::point("batch.commit.after");
    if too_late {
        dead_letter(shared, &settled.failures, lettered).await?;
    }
    *failed = counted;
    let committed = Committed {
        decided: changes.len() - settled.failures.len(),
        repeated: repeated(&rows, &plan, &settled.outcomes, &held),
        fresh: fresh(&rows, settled.outcomes, &held),
    };
    let published = committed.fresh.len() + committed.repeated.len();
    shared.count(&plan, batch.kinds, published);
    shared.tell(&changes);
    Ok(committed)
}

pub(super) fn place_of(record: &Record) -> Place {
    (record.partition, record.offset)
}

/// Appends the letters that are not there yet and remembers them.
pub(super) async fn dead_letter<D: Decider>(
    shared: &Shared<D>,
    failures: &[Failure<'_>],
    lettered: &mut Places,
) -> Result<(), BatchError> {
    let missing: Vec<Letter<'_>> = failures
        .iter()
        .filter(|failure| !lettered.contains(&place_of(failure.record)))
        .map(|failure| Letter {
            record: failure.record,
            code: failure.code,
            reason: &failure.reason,
        })
        .collect();
    shared.dead_letters.publish(&missing).await?;
    lettered.extend(missing.iter().map(|letter| place_of(letter.record)));
    Ok(())
}

pub(super) fn order_ids(kinds: &[Kind], partitions: i32) -> BTreeMap<OrderId, PartitionId> {
    kinds
        .iter()
        .filter_map(Kind::heading)
        .map(|heading| {
            (
                heading.order_id,
                home_partition(heading.order_id, partitions),
            )
        })
        .collect()
}

pub(super) fn changes<'a>(
    batch: &Batch<'a>,
    plan: &Plan,
    orders: &BTreeMap<OrderId, PartitionId>,
) -> Vec<Change<'a>> {
    plan.steps
        .iter()
        .filter_map(|step| {
            let heading = batch.kinds[step.index].heading()?;
            Some(Change {
                status: step.status,
                before: step.before,
                heading,
                record: &batch.records[step.index],
                home_partition: *orders.get(&heading.order_id)?,
                redriven: step.redriven,
            })
        })
        .collect()
}

async fn decide<D: Decider>(
    shared: &Shared<D>,
    tx: &mut Tx,
    changes: &[Change<'_>],
    mode: &Mode,
    history: bool,
) -> Result<Vec<Decision>, BatchError> {
    if let Mode::FoldOnly(reason) = mode {
        let failed = Decision::Failed {
            code: "decision_failed",
            reason: reason.clone(),
        };
        return Ok(vec![failed; changes.len()]);
    }
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let decider = &shared.decider;
    let decided = async {
        if history {
            decider.decide_history(tx, changes).await
        } else {
            decider.decide(tx, changes).await
        }
    };
    let decisions = AssertUnwindSafe(decided)
        .catch_unwind()
        .await
        .map_err(|_| BatchError::Bug("the decision panicked".to_owned()))??;
    if decisions.len() != changes.len() {
        return Err(BatchError::Bug(format!(
            "{} decisions about {} changes",
            decisions.len(),
            changes.len()
        )));
    }
    Ok(decisions)
}

/// Where each partition of `records` goes on.
pub(super) fn next_offsets(records: &[Record]) -> BTreeMap<PartitionId, i64> {
    let mut next = BTreeMap::new();
    for record in records {
        let offset = next.entry(record.partition).or_insert(0);
        *offset = (record.offset + 1).max(*offset);
    }
    next
}

/// Publishes every outcome of `partition` that was not read back (rule R13), and says how many.
pub(super) async fn publish_held_back<D: Decider>(
    shared: &Shared<D>,
    partition: PartitionId,
    health: &Component,
) -> Result<usize, BatchError> {
    let (mut after, mut published) = (None, 0);
    loop {
        // There may be any number of them.
        health.heartbeat();
        let page = shared
            .store
            .unconfirmed(&shared.database, partition, after, PAGE);
        let page = within(TRANSACTION_LIMIT, page).await?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        published += page.len();
        republish(shared, &page).await?;
    }
    shared.count_held_back(published);
    Ok(published)
}

/// Publishes the stored bytes of these orders' outcomes and awaits every acknowledgement.
pub(super) async fn republish<D: Decider>(
    shared: &Shared<D>,
    orders: &[OrderId],
) -> Result<(), BatchError> {
    let events = stored(shared, orders).await?;
    Ok(shared.appender.publish(&events).await?)
}

async fn stored<D: Decider>(
    shared: &Shared<D>,
    orders: &[OrderId],
) -> Result<Vec<EncodedEvent>, BatchError> {
    let stored = shared.store.outcomes(&shared.database, orders);
    Ok(within(TRANSACTION_LIMIT, stored).await?)
}
