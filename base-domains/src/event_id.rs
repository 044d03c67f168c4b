//! The id of an event.

use uuid::Uuid;

use crate::name_based::name_based;
use crate::order_id::OrderId;
use crate::status::OrderStatus;

/// The id of the event by which `writer` brings `status` to `order`, for `reason`.
///
/// The same decision has the same id, so a retry or a replay never makes a new event.
#[must_use]
pub fn event_id(order: OrderId, status: OrderStatus, writer: &str, reason: Option<&str>) -> Uuid {
    let order = order.to_string();
    name_based(
        "event-id",
        &[Some(&order), Some(status.as_str()), Some(writer), reason],
    )
}
