//! What several tests need.

pub(crate) mod parsed;
pub(crate) mod sink;

use base_domains::{OrderEvent, OrderId, OrderStatus, WireOrder};
use email_service::mail::Mail;
use email_service::message::Outgoing;
use email_service::message_id::MessageId;
use serde_json::json;

pub(crate) const ORDER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

pub(crate) fn order_id() -> OrderId {
    ORDER.parse().unwrap()
}

/// The tutorial's order, to `email`.
pub(crate) fn order(email: &str) -> WireOrder {
    let order =
        json!({"orderId": ORDER, "name": "book order", "qty": 5, "price": 10000.0, "email": email});
    serde_json::from_value(order).unwrap()
}

/// The mail about `order`; it happened on 1 January 2026.
pub(crate) fn mail(status: OrderStatus, order: WireOrder, reason: Option<&str>) -> Mail {
    let mut event = OrderEvent::new(status, order);
    event.reason = reason.map(str::to_owned);
    let message_id = MessageId::new(order_id(), status, "event-1", "example.com").unwrap();
    Mail::new(status, &event, message_id, None, Some(1_767_225_600_000))
}

/// A message to `email`.
pub(crate) fn message(status: OrderStatus, email: &str) -> Outgoing {
    let from = "Orders <orders@example.com>".parse().unwrap();
    Outgoing::compose(&from, &mail(status, order(email), None), email).unwrap()
}
