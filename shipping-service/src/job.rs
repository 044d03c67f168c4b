//! The dispatch of a shipment, as a job: it waits for its time, or for somebody who asks.
//!
//! It has no effect of its own. When it runs, SHIPPED is appended under the lock of the order's row if
//! the order still is PAID. As a job it keeps its time over restarts, starts only when the log was read
//! to its end (rule R11), runs once among all instances, and leaves an outcome that the sweep publishes
//! again if it gets lost.

use std::time::Duration;

use base_domains::{OrderEvent, OrderId, OrderStatus, Shipment as WireShipment, WireOrder};
use serde::{Deserialize, Serialize};
use service_runtime::database::{Dialect, Tx};
use service_runtime::fault;
use service_runtime::jobs::{Job, JobHandler, JobResult, NewJob};
use service_runtime::participant::{DecideError, LockedOrder, OutcomeHandler, Settlement};

use crate::store::Store;

/// The kind of job.
pub const KIND: &str = "dispatch";

/// When a dispatch falls due that waits for somebody to ask: at the end of the year 9999.
pub const WHEN_ASKED: i64 = 253_402_300_799_000;

/// What a dispatch needs. It holds personal data: never log it.
#[derive(Serialize, Deserialize)]
struct Dispatch {
    /// As PAID had it, for the event to append.
    order: WireOrder,
    traceparent: Option<String>,
}

/// The id of an order's dispatch job.
#[must_use]
pub fn job_id(order_id: OrderId) -> String {
    format!("{KIND}/{order_id}")
}

/// The dispatch of `order`, `after` so long since it was `paid_at`, or when somebody asks.
pub(crate) fn dispatch(
    order: WireOrder,
    home_partition: i32,
    traceparent: Option<&str>,
    paid_at: i64,
    after: Option<Duration>,
) -> Result<NewJob, DecideError> {
    let order_id = order.order_id;
    let payload = Dispatch {
        order,
        traceparent: traceparent.map(str::to_owned),
    };
    Ok(NewJob {
        job_id: job_id(order_id),
        kind: KIND.to_owned(),
        order_id: order_id.to_string(),
        partition: home_partition,
        payload: serde_json::to_string(&payload).map_err(bug)?,
        age_from: Some(paid_at),
        due_at: Some(due_at(paid_at, after)),
    })
}

fn due_at(paid_at: i64, after: Option<Duration>) -> i64 {
    let after = after.and_then(|after| i64::try_from(after.as_millis()).ok());
    after.map_or(WHEN_ASKED, |after| paid_at.saturating_add(after))
}

/// Runs dispatches.
#[derive(Debug, Clone, Copy)]
pub struct DispatchHandler {
    store: Store,
}

impl DispatchHandler {
    /// A handler for a database of this kind.
    #[must_use]
    pub const fn new(dialect: Dialect) -> Self {
        Self {
            store: Store { dialect },
        }
    }
}

impl JobHandler for DispatchHandler {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn run(&self, job: &Job) -> JobResult {
        match job.payload_as::<Dispatch>() {
            Ok(_) => JobResult::Done { result: None },
            // Without its text, which may quote the payload.
            Err(error) => JobResult::Dead {
                error: format!(
                    "the payload is not a dispatch: see its column {}",
                    error.column()
                ),
            },
        }
    }
}

impl OutcomeHandler for DispatchHandler {
    async fn settle(
        &self,
        tx: &mut Tx,
        order: &LockedOrder,
        job: &Job,
        result: &JobResult,
    ) -> Result<Settlement, DecideError> {
        if !matches!(result, JobResult::Done { .. }) {
            return Ok(Settlement::done());
        }
        let found = self.store.lock(tx, [order.order_id]).await?;
        let shipment = found.into_values().next();
        let shipment = shipment.ok_or_else(|| bug("a dispatch without a shipment"))?;
        if !shipment.ships(order.status) {
            return Ok(Settlement::done());
        }
        fault::point("dispatch.decided");
        let dispatch: Dispatch = job.payload_as().map_err(bug)?;
        let shipped =
            OrderEvent::new(OrderStatus::Shipped, dispatch.order).with_shipment(WireShipment {
                tracking_number: shipment.tracking_number,
            });
        Ok(Settlement::append(shipped).in_trace(dispatch.traceparent.as_deref()))
    }
}

fn bug(error: impl std::fmt::Display) -> DecideError {
    DecideError::Bug(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dispatch_falls_due_after_its_delay_or_when_somebody_asks() {
        let paid_at = 1_767_323_045_000;
        for (after, expected) in [
            (Some(Duration::ZERO), paid_at),
            (Some(Duration::from_secs(5)), paid_at + 5_000),
            (Some(Duration::MAX), WHEN_ASKED),
            (None, WHEN_ASKED),
        ] {
            assert_eq!(due_at(paid_at, after), expected, "{after:?}");
        }
    }
}
