//! From the log to the rows of the command side: the decision of the participant `orders`, which appends
//! nothing by itself.
//!
//! Of each order that has not ended it keeps what ending it needs; when the order ends, that is deleted.

use std::collections::BTreeMap;

use base_domains::{OrderEvent, OrderId, header};
use service_runtime::database::Tx;
use service_runtime::participant::{Change, DecideError, Decider, Decision};

use super::content::fingerprint;
use super::kept::{Kept, MAX_BYTES};
use super::store::{self, Ending, Opening};
use crate::waiting::Waiters;

/// Keeps what ending an order needs, and wakes those who wait for an order to move on. Clones wake the same.
#[derive(Debug, Clone, Default)]
pub struct Keeper {
    pub(super) waiters: Waiters,
}

/// The rows of one batch.
#[derive(Default)]
struct Rows {
    openings: BTreeMap<OrderId, Opening>,
    endings: BTreeMap<OrderId, Ending>,
}

impl Decider for Keeper {
    async fn decide(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        let mut rows = Rows::default();
        let now = tx.now_ms().await?;
        let decisions = changes
            .iter()
            .map(|change| rows.add(change, now))
            .collect::<Result<Vec<_>, _>>()?;
        // Also of what ends in the same batch: what was ordered has to be known to those who repeat it.
        store::open(tx, &rows.openings).await?;
        store::end(tx, &rows.endings).await?;
        Ok(decisions)
    }

    fn committed(&self, changes: &[Change<'_>]) {
        self.waiters.wake(changes.iter().map(Change::order_id));
    }
}

impl Rows {
    fn add(&mut self, change: &Change<'_>, now: i64) -> Result<Decision, DecideError> {
        if change.status.is_terminal() {
            // The status is known without the body, and nothing else is needed.
            let ending = self
                .endings
                .entry(change.order_id())
                .or_insert_with(|| Ending {
                    partition: change.home_partition,
                    placed_at: placed_at(change, now),
                    reason: String::new(),
                });
            // A redriven event of an earlier status says nothing about the end.
            if change.heading.status == change.status {
                ending.reason = change.event().map(reason_of).unwrap_or_default();
            }
            return Ok(Decision::Done);
        }
        // The first event says what was ordered, whatever its status; later ones change nothing.
        if change.before.is_some() && !change.redriven {
            return Ok(Decision::Done);
        }
        let mut opening = Opening {
            partition: change.home_partition,
            placed_at: placed_at(change, now),
            content: String::new(),
            fingerprint: String::new(),
        };
        let decision = match change.event() {
            Ok(event) => describe(&mut opening, change, event)?,
            Err(error) => Decision::unreadable(&error),
        };
        self.openings.insert(change.order_id(), opening);
        Ok(decision)
    }
}

fn describe(
    opening: &mut Opening,
    change: &Change<'_>,
    event: OrderEvent,
) -> Result<Decision, DecideError> {
    if let Ok(order) = event.order.validate() {
        opening.fingerprint = fingerprint(&order);
    }
    let kept = Kept {
        order: event.order,
        traceparent: change.record.header(header::TRACEPARENT).map(str::to_owned),
    };
    let content = serde_json::to_string(&kept);
    let content = content.map_err(|error| DecideError::Bug(error.to_string()))?;
    if content.len() > MAX_BYTES {
        return Ok(Decision::Failed {
            code: "too_large",
            reason: format!("the order has more than {MAX_BYTES} bytes"),
        });
    }
    opening.content = content;
    Ok(Decision::Done)
}

/// A reason as it can be stored: PostgreSQL has no NUL in a text.
fn reason_of(event: OrderEvent) -> String {
    event.reason.unwrap_or_default().replace('\0', "")
}

/// The time of the record, in epoch milliseconds. It may be the clock of a producer: one without a clock
/// writes zero, and one that is ahead of `now`, the database's time, would put the deadline off.
fn placed_at(change: &Change<'_>, now: i64) -> i64 {
    let time = change.record.timestamp.filter(|time| *time > 0);
    time.unwrap_or(now).min(now)
}
