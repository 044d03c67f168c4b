//! From the log to the read model: the decision of the participant `orders-view`, which appends nothing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use base_domains::{BadRecord, OrderEvent, OrderId};
use jiff::Timestamp;
use service_runtime::database::Tx;
use service_runtime::kafka::Record;
use service_runtime::participant::{Change, DecideError, Decider, Decision};

use super::store::{HistoryRow, ViewRow, generation, write_history, write_views};
use super::view::Content;
use super::waiting::Waiters;

/// Writes the views and wakes those who wait for them.
#[derive(Debug, Clone)]
pub struct Projection {
    waiters: Waiters,
    /// Written to instead of the generation in use.
    generation: Option<i64>,
}

/// The rows of one batch.
#[derive(Debug, Default)]
struct Rows {
    views: BTreeMap<OrderId, ViewRow>,
    history: Vec<HistoryRow>,
}

impl Projection {
    pub(super) fn new(waiters: Waiters) -> Self {
        Self {
            waiters,
            generation: None,
        }
    }

    /// Writes to a generation that is not in use, so that nobody waits for it.
    pub(super) fn apart(generation: i64) -> Self {
        Self {
            waiters: Waiters::default(),
            generation: Some(generation),
        }
    }
}

impl Decider for Projection {
    async fn decide(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        let mut rows = Rows::default();
        let decisions = changes
            .iter()
            .map(|change| {
                let event = change.event();
                let decision = match &event {
                    Ok(_) => Decision::Done,
                    Err(error) => Decision::unreadable(error),
                };
                // The status is known without the body, and the view must not stay behind the fold.
                rows.add(change, event)?;
                Ok(decision)
            })
            .collect::<Result<_, DecideError>>()?;
        // After all that needs no database: a switch waits for this batch from here on, and it for a switch.
        let generation = match self.generation {
            Some(generation) => generation,
            None => generation::in_use(tx).await?,
        };
        write_views(tx, generation, &rows.views).await?;
        write_history(tx, generation, &rows.history).await?;
        Ok(decisions)
    }

    fn committed(&self, changes: &[Change<'_>]) {
        self.waiters.wake(changes.iter().map(Change::order_id));
    }
}

impl Rows {
    fn add(
        &mut self,
        change: &Change<'_>,
        event: Result<OrderEvent, BadRecord>,
    ) -> Result<(), DecideError> {
        let (content, reason) = match event {
            Ok(event) => (content_of(event.order)?, reason_of(event.reason.as_deref())),
            Err(_) => Default::default(),
        };
        let time = time_of(change.record);
        self.history.push(HistoryRow {
            order_id: change.order_id(),
            // A redriven event comes late: the order may have moved on since.
            status: change.heading.status,
            reason: reason.clone(),
            partition: change.record.partition,
            offset: change.record.offset,
            recorded_at: time,
        });
        let named = change.heading.status == change.status;
        let reason = if named { reason } else { String::new() };
        let row = match self.views.entry(change.order_id()) {
            Entry::Vacant(place) => place.insert(ViewRow {
                status: change.status,
                reason,
                content: String::new(),
                created_at: time,
                updated_at: time,
            }),
            Entry::Occupied(place) => {
                let row = place.into_mut();
                // As the statement does with the row of an earlier batch.
                if row.status != change.status {
                    (row.status, row.reason, row.updated_at) = (change.status, reason, time);
                } else if row.reason.is_empty() {
                    row.reason = reason;
                }
                row
            }
        };
        if row.content.is_empty() {
            row.content = content;
        }
        Ok(())
    }
}

fn content_of(order: base_domains::WireOrder) -> Result<String, DecideError> {
    serde_json::to_string(&Content::from(order))
        .map_err(|error| DecideError::Bug(error.to_string()))
}

/// A reason as it can be stored: PostgreSQL has no NUL in a text.
fn reason_of(reason: Option<&str>) -> String {
    reason.unwrap_or_default().replace('\0', "")
}

/// The broker's time of the record; only records of very old brokers have none.
fn time_of(record: &Record) -> i64 {
    let known = record
        .timestamp
        .filter(|time| Timestamp::from_millisecond(*time).is_ok());
    known.unwrap_or_else(|| Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use base_domains::{Heading, OrderStatus};
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_are_woken_by_the_commit() {
        let waiters = Waiters::default();
        let projection = Projection::new(waiters.clone());
        let order_id = OrderId::from_idempotency_key("test", "a");
        let mut waiter = waiters.subscribe(order_id);
        let heading = Heading {
            order_id,
            status: OrderStatus::Paid,
            event_id: String::new(),
            bare: false,
        };
        let record = Record {
            partition: 0,
            offset: 0,
            timestamp: None,
            key: None,
            headers: Vec::new(),
            value: None,
        };
        let change = Change {
            status: OrderStatus::Paid,
            before: None,
            heading: &heading,
            record: &record,
            home_partition: 0,
            redriven: false,
        };
        assert_eq!(waiter.changed().now_or_never(), None);
        projection.committed(&[change]);
        assert_eq!(waiter.changed().now_or_never(), Some(()));
    }
}
