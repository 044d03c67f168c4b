//! Whether a participant's rows are up to date with the log (rule R11).

use super::store::Store;
use crate::database::Database;
use crate::jobs::{GateError, HistoryGate};
use crate::kafka::{LogEnds, PartitionId};

/// Compares the position in the database with the log's end, so that any instance may ask about
/// any partition.
#[derive(Debug, Clone)]
pub struct ReadPastEnd {
    database: Database,
    store: Store,
    log_ends: LogEnds,
}

impl ReadPastEnd {
    pub(super) fn new(database: Database, store: Store, log_ends: LogEnds) -> Self {
        Self {
            database,
            store,
            log_ends,
        }
    }
}

impl HistoryGate for ReadPastEnd {
    async fn read_past_now(&self, partition: PartitionId) -> Result<bool, GateError> {
        // The end first: a position read afterwards can only be more up to date.
        let end = self
            .log_ends
            .end(partition)
            .await
            .map_err(|error| GateError::new(format!("the broker does not answer: {error}")))?;
        let position = self
            .store
            .position(&self.database, partition)
            .await
            .map_err(|error| GateError::new(format!("database: {error}")))?;
        Ok(position >= end)
    }
}
