//! What is kept of an order until it has ended: all that its CANCELLED has to say.

use base_domains::{OrderEvent, OrderStatus, WireOrder};
use serde::{Deserialize, Serialize};
use service_runtime::participant::Settlement;

/// Largest one, in bytes: the event made of it has to stay below what brokers take, 1 MiB. Only a record
/// that did not come from this service can be so large.
pub(super) const MAX_BYTES: usize = 900_000;

/// The order as its first event had it, with its e-mail address: the mail about the cancellation needs it.
/// Personal data, so it is never logged and has no Debug.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) struct Kept {
    pub(super) order: WireOrder,
    /// The trace that the first event belonged to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<String>,
}

impl Kept {
    /// CANCELLED for this reason, as part of `traceparent` or else of the order's own trace.
    pub(super) fn cancelled(self, reason: &str, traceparent: Option<&str>) -> Settlement {
        let event = OrderEvent::new(OrderStatus::Cancelled, self.order).with_reason(reason);
        Settlement::append(event).in_trace(traceparent.or(self.traceparent.as_deref()))
    }
}
