//! How far this instance has read each partition it owns.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::PartitionId;

/// Positions of the owned partitions; shared between the loop, the sweep and the metrics.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    positions: Arc<Mutex<BTreeMap<PartitionId, i64>>>,
}

impl Progress {
    /// Next offset to be handled, by owned partition.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<PartitionId, i64> {
        self.lock().clone()
    }

    /// `partition` is owned and everything before `next` was handled.
    pub fn advance(&self, partition: PartitionId, next: i64) {
        self.lock().insert(partition, next);
    }

    /// `partition` is not owned any more.
    pub fn forget(&self, partition: PartitionId) {
        self.lock().remove(&partition);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PartitionId, i64>> {
        self.positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
