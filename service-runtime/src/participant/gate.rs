//! Whether a participant's rows are up to date with the log (rule R11).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use super::store::{LogIdentity, Store};
use crate::database::{Database, within};
use crate::fault;
use crate::jobs::{GateError, HistoryGate};
use crate::kafka::{LogEnds, PartitionId};

/// How long the reader, which is always a little behind, may take to pass the end.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at the position.
const POLL: Duration = Duration::from_millis(20);

/// Longest time for one look.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Compares the position in the database with the log's end, so that any instance may ask about
/// any partition. Shut until the participant knows that the log is the database's own, and for a
/// partition that the log has less of than the database: positions of another log say nothing.
#[derive(Debug, Clone)]
pub struct ReadPastEnd {
    database: Database,
    store: Store,
    log_ends: LogEnds,
    identity: Arc<OnceLock<LogIdentity>>,
}

impl ReadPastEnd {
    pub(super) fn new(
        database: Database,
        store: Store,
        log_ends: LogEnds,
        identity: Arc<OnceLock<LogIdentity>>,
    ) -> Self {
        Self {
            database,
            store,
            log_ends,
            identity,
        }
    }

    async fn end(&self, partition: PartitionId) -> Result<i64, GateError> {
        let end = self.log_ends.end(partition).await;
        end.map_err(|error| GateError(format!("the broker does not answer: {error}")))
    }

    async fn position(&self, partition: PartitionId) -> Result<i64, GateError> {
        let position = self.store.position(&self.database, partition);
        let position = within(ANSWER_LIMIT, position).await;
        position.map_err(|error| GateError(format!("database: {error}")))
    }
}

impl HistoryGate for ReadPastEnd {
    async fn read_past_now(&self, partition: PartitionId) -> Result<bool, GateError> {
        if fault::mutated("r11.read-past-the-end") {
            return Ok(true);
        }
        if self.identity.get().is_none() {
            return Ok(false);
        }
        // The end once: later records have no say, or a busy log would keep the gate shut.
        let end = self.end(partition).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let position = self.position(partition).await?;
            if position > end {
                // What was appended and read since is there by now; more than that cannot be.
                return Ok(position <= self.end(partition).await?);
            }
            if position == end || Instant::now() >= deadline {
                return Ok(position == end);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
