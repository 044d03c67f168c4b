//! Folding a participant's log again from its beginning, apart from its group: for rows that are made anew beside
//! those in use.
//!
//! Reading, fold and decision are those of the running participant. Nothing is appended or dead-lettered: what the
//! log told then, it told.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{OrderId, OrderState, OrderStatus};

use super::batch::{Batch, changes, order_ids};
use super::decider::{DecideError, Decider, Decision};
use super::plan::{Kind, OrderRow, fold, kind_of, pieces};
use crate::database::Tx;
use crate::kafka::Record;

/// Reads and folds records as the participant of `group` does.
#[derive(Debug, Clone)]
pub struct Replay {
    partitions: i32,
    group: String,
}

/// What is known of an order before a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Folded {
    /// Its status; `None` when nothing was read.
    pub status: Option<OrderStatus>,
    /// Its last decision failed, so that it can be redriven.
    pub failed: bool,
}

/// Records and what they are.
#[derive(Debug)]
pub struct ReplayBatch<'a> {
    records: &'a [Record],
    kinds: Vec<Kind>,
    orders: BTreeMap<OrderId, i32>,
}

impl Replay {
    /// For a log of so many partitions.
    #[must_use]
    pub fn new(partitions: i32, group: &str) -> Self {
        Self {
            partitions,
            group: group.to_owned(),
        }
    }

    /// Reads id and status of each record. The batches are to be folded one after the other.
    pub fn read<'a>(&self, records: &'a [Record]) -> Vec<ReplayBatch<'a>> {
        let mut kinds: Vec<Kind> = records
            .iter()
            .map(|record| kind_of(record, self.partitions, &self.group))
            .collect();
        let mut batches = Vec::new();
        let mut begin = 0;
        for end in pieces(&kinds) {
            let later = kinds.split_off(end - begin);
            batches.push(ReplayBatch {
                orders: order_ids(&kinds, self.partitions),
                records: &records[begin..end],
                kinds: std::mem::replace(&mut kinds, later),
            });
            begin = end;
        }
        batches
    }
}

impl ReplayBatch<'_> {
    /// The orders that the records are about.
    pub fn orders(&self) -> BTreeSet<OrderId> {
        self.orders.keys().copied().collect()
    }

    /// Folds the records into `rows` and lets `decider` decide about those that had an effect.
    ///
    /// # Errors
    /// Those of the decider. Then `rows` is of no use any more.
    pub async fn decide<D: Decider>(
        &self,
        tx: &mut Tx,
        decider: &D,
        rows: &mut BTreeMap<OrderId, Folded>,
    ) -> Result<(), DecideError> {
        let mut states: BTreeMap<OrderId, OrderRow> = self
            .orders
            .keys()
            .map(|id| (*id, row(rows.get(id).copied().unwrap_or_default())))
            .collect();
        let plan = fold(&self.kinds, &mut states);
        let batch = Batch {
            records: self.records,
            kinds: &self.kinds,
        };
        let changes = changes(&batch, &plan, &self.orders);
        let decisions = match changes.is_empty() {
            true => Vec::new(),
            false => decider.decide(tx, &changes).await?,
        };
        for (change, decision) in changes.iter().zip(decisions) {
            if let Some(row) = states.get_mut(&change.order_id()) {
                let failed = matches!(decision, Decision::Failed { .. });
                row.failed = failed || (row.failed && !change.redriven);
            }
        }
        rows.extend(states.into_iter().map(|(id, row)| (id, folded(&row))));
        Ok(())
    }
}

fn row(folded: Folded) -> OrderRow {
    OrderRow {
        state: OrderState::from(folded.status),
        outcome_rank: 0,
        failed: folded.failed,
    }
}

fn folded(row: &OrderRow) -> Folded {
    Folded {
        status: row.state.status(),
        failed: row.failed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{PARTITIONS, named, order};
    use super::*;
    use crate::database::{Database, DatabaseConfig};
    use crate::participant::Change;

    /// Fails for an order without a readable body, as the read model does.
    struct Reading;

    impl Decider for Reading {
        async fn decide(
            &self,
            _: &mut Tx,
            changes: &[Change<'_>],
        ) -> Result<Vec<Decision>, DecideError> {
            let decision = |change: &Change<'_>| match change.event() {
                Ok(_) => Decision::Done,
                Err(error) => Decision::unreadable(&error),
            };
            Ok(changes.iter().map(decision).collect())
        }
    }

    async fn folded_in(records: &[Record], mut rows: BTreeMap<OrderId, Folded>) -> Folded {
        let folder = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite://{}/a.db", folder.path().display());
        let database = Database::open(&DatabaseConfig::new(url)).unwrap();
        let mut tx = database.begin().await.unwrap();
        let replay = Replay::new(PARTITIONS, "view");
        for batch in replay.read(records) {
            batch.decide(&mut tx, &Reading, &mut rows).await.unwrap();
        }
        rows[&order("a")]
    }

    fn unreadable(status: OrderStatus) -> Record {
        let mut record = named(order("a"), "book order", status, 0);
        record.value = Some(b"{".to_vec());
        record
    }

    #[tokio::test]
    async fn what_was_known_before_is_folded_on() {
        let known = Folded {
            status: Some(OrderStatus::Reserved),
            failed: false,
        };
        let rows = BTreeMap::from([(order("a"), known)]);
        let late = named(order("a"), "book order", OrderStatus::Pending, 0);
        assert_eq!(
            folded_in(std::slice::from_ref(&late), rows.clone()).await,
            known
        );
        let paid = named(order("a"), "book order", OrderStatus::Paid, 1);
        let folded = folded_in(&[paid, late], rows).await;
        assert_eq!(folded.status, Some(OrderStatus::Paid));
    }

    #[tokio::test]
    async fn a_failed_decision_stays_failed_until_it_is_redriven() {
        let record = unreadable(OrderStatus::Pending);
        let paid = named(order("a"), "book order", OrderStatus::Paid, 1);
        let failed = folded_in(&[record, paid], BTreeMap::new()).await;
        let expected = Folded {
            status: Some(OrderStatus::Paid),
            failed: true,
        };
        assert_eq!(failed, expected);
        let mut redrive = named(order("a"), "book order", OrderStatus::Pending, 2);
        let header = base_domains::header::REDRIVE_GROUP.to_owned();
        redrive.headers.push((header, b"view".to_vec()));
        let rows = BTreeMap::from([(order("a"), failed)]);
        let redriven = folded_in(std::slice::from_ref(&redrive), rows).await;
        assert!(!redriven.failed);
        let together = [unreadable(OrderStatus::Pending), redrive];
        assert!(!folded_in(&together, BTreeMap::new()).await.failed);
    }
}
