//! History that is read quietly (rule R13).
//!
//! Who reads a part of the log with rows that do not know what was decided about it, because the database
//! is an older backup, or new, must not publish what it decides now: the log may hold another decision
//! already. So up to the end that the partition had when it was assigned, outcomes are stored only. Then
//! everything that this service ever published about that part was read back, and what is unconfirmed
//! still was never decided before: it is published at once, and only then do offsets move again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base_domains::OrderId;

use super::plan::Kind;
use super::positions::Stand;
use crate::kafka::{Assigned, PartitionId, Record, Start};

/// The partitions that are read quietly, each with the offset at which that ends. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Quiet(Arc<Mutex<BTreeMap<PartitionId, i64>>>);

impl Quiet {
    /// `partition` is history before `until`.
    pub(super) fn begin(&self, partition: PartitionId, until: i64) {
        self.lock().insert(partition, until);
    }

    /// Nothing of `partition` is held back any more.
    pub(super) fn end(&self, partition: PartitionId) {
        self.lock().remove(&partition);
    }

    pub(super) fn holds(&self, partition: PartitionId) -> bool {
        self.lock().contains_key(&partition)
    }

    /// Partitions that are read to their end once the records before these offsets are handled.
    pub(super) fn ending(&self, next: &BTreeMap<PartitionId, i64>) -> Vec<PartitionId> {
        let quiet = self.lock();
        let passed = next
            .iter()
            .filter(|(partition, next)| quiet.get(partition).is_some_and(|until| *next >= until));
        passed.map(|(partition, _)| *partition).collect()
    }

    /// Orders of a batch whose outcomes are stored only. Of a bare record, which may lie anywhere, both
    /// its partition and the home of its order are asked: the earlier decision would be in the latter.
    pub(super) fn held_back(
        &self,
        records: &[Record],
        kinds: &[Kind],
        homes: &BTreeMap<OrderId, PartitionId>,
    ) -> BTreeSet<OrderId> {
        let quiet = self.lock();
        if quiet.is_empty() {
            return BTreeSet::new();
        }
        let orders = records.iter().zip(kinds).filter_map(|(record, kind)| {
            let order_id = kind.heading()?.order_id;
            let home = homes.get(&order_id)?;
            let held = quiet.contains_key(&record.partition) || quiet.contains_key(home);
            held.then_some(order_id)
        });
        orders.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PartitionId, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Up to which offset a partition that starts there is history; `None`: it is not.
///
/// A database behind the committed offset is an older one, and a group without an offset is new or was
/// forgotten: the end of the partition, not the committed offset, since what was published need not have
/// been committed. `stand` tells of a replay that somebody else began and did not end.
pub(super) fn quiet_until(assigned: &Assigned, start: Start, stand: Stand) -> Option<i64> {
    let Assigned { begin, end, .. } = *assigned;
    let (from, rewound) = match (start, assigned.committed) {
        (Start::At(offset), _) => (offset, true),
        (Start::Committed, Some(committed)) => (committed, false),
        (Start::Committed, None) => (begin, true),
    };
    let until = if rewound {
        end
    } else {
        stand.quiet_until.min(end)
    };
    (from < until).then_some(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(committed: Option<i64>, start: Start, stand: (i64, i64)) -> Option<i64> {
        let assigned = Assigned {
            partition: 1,
            committed,
            begin: 0,
            end: 20,
        };
        let (next_offset, quiet_until) = stand;
        super::quiet_until(
            &assigned,
            start,
            Stand {
                next_offset,
                quiet_until,
            },
        )
    }

    /// What was decided after the last commit was published as well.
    #[test]
    fn an_older_database_is_quiet_up_to_the_end_and_not_only_to_the_committed_offset() {
        assert_eq!(until(Some(10), Start::At(4), (4, 0)), Some(20));
    }

    #[test]
    fn a_group_without_an_offset_is_quiet_up_to_the_end() {
        for known in [0, 7, 20] {
            assert_eq!(until(None, Start::Committed, (known, 0)), Some(20));
        }
    }

    #[test]
    fn a_database_that_knows_what_was_committed_is_not_quiet() {
        for known in [10, 15, 20] {
            assert_eq!(until(Some(10), Start::Committed, (known, 0)), None);
        }
    }

    #[test]
    fn a_replay_that_somebody_else_began_is_read_quietly_to_its_end() {
        // The database is past the committed offset, which stays until the replay is over.
        assert_eq!(until(Some(10), Start::Committed, (12, 18)), Some(18));
        assert_eq!(until(Some(18), Start::Committed, (18, 18)), None);
        assert_eq!(
            until(Some(10), Start::Committed, (12, 25)),
            Some(20),
            "a log that lost its end never gets there"
        );
    }

    #[test]
    fn nothing_to_read_is_nothing_to_be_quiet_about() {
        let empty = Assigned {
            partition: 1,
            committed: None,
            begin: 0,
            end: 0,
        };
        let quiet = super::quiet_until(&empty, Start::Committed, Stand::default());
        assert_eq!(quiet, None);
        assert_eq!(until(Some(20), Start::At(20), (20, 0)), None);
    }

    #[test]
    fn a_partition_ends_with_the_batch_that_reads_past_its_history() {
        let quiet = Quiet::default();
        quiet.begin(0, 10);
        quiet.begin(2, 10);
        assert_eq!(quiet.ending(&[(0, 9), (1, 50), (2, 10)].into()), [2]);
        quiet.end(2);
        assert_eq!((quiet.holds(0), quiet.holds(2)), (true, false));
    }
}
