//! One order as the read model shows it.

use base_domains::{OrderStatus, WireLine, WireOrder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

/// The state of an order, folded from its events.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Order, example = json!({
    "orderId": "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a",
    "status": "RESERVED",
    "order": {"name": "book order", "qty": 5, "price": 10000.0},
    "createdAt": "2026-11-21T10:15:30.123Z",
    "updatedAt": "2026-11-21T10:15:30.187Z",
}))]
pub(super) struct OrderView {
    /// The id.
    pub(super) order_id: Uuid,
    /// PENDING, RESERVED or PAID, or an end: SHIPPED, REJECTED, CANCELLED.
    #[schema(value_type = String)]
    pub(super) status: OrderStatus,
    /// Why the order was rejected or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// What was ordered; absent if no event that says so could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) order: Option<Content>,
    /// When its first event was appended to the log.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub(super) created_at: Timestamp,
    /// When the event that brought this state was appended to the log.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub(super) updated_at: Timestamp,
}

/// What was ordered. Without the e-mail address: nobody who may only read orders needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct Content {
    /// Product of the first line.
    name: String,
    /// Pieces of the first line.
    qty: i64,
    /// Unit price of the first line, in major units.
    price: f64,
    /// Every line, when there is more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    items: Option<Vec<Line>>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct Line {
    /// The product.
    name: String,
    /// Pieces.
    qty: i64,
    /// Unit price in major units.
    price: f64,
}

pub(super) fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

impl From<WireOrder> for Content {
    fn from(order: WireOrder) -> Self {
        let items = order.items;
        Self {
            name: order.name,
            qty: order.qty,
            price: order.price,
            items: items.map(|items| items.into_iter().map(Line::from).collect()),
        }
    }
}

impl From<WireLine> for Line {
    fn from(line: WireLine) -> Self {
        Self {
            name: line.name,
            qty: line.qty,
            price: line.price,
        }
    }
}
