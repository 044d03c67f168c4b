//! The body of a notification: type, timestamp and data, as Standard Webhooks advises, and thin.
//!
//! ```json
//! {"type":"order.shipped","timestamp":"2026-01-01T00:00:00Z",
//!  "data":{"orderId":"…","status":"SHIPPED","link":"https://shop.example.com/api/v1/orders/…"}}
//! ```
//!
//! The timestamp is when the event happened; the data is all that leaves: no names, no addresses, no
//! amounts. Fields may be added, so receivers ignore those they do not know.

use base_domains::{OrderId, OrderStatus};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is told of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Such as `order.shipped`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened (RFC 3339).
    pub timestamp: String,
    /// What happened.
    pub data: Data,
}

/// The order, and where to ask for more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// The order.
    pub order_id: OrderId,
    /// The state that it came to.
    pub status: OrderStatus,
    /// Where the order is shown.
    pub link: String,
}

impl Notification {
    /// That the order came to a state; `public_url` is where order-service is reached, without a slash at
    /// its end.
    #[must_use]
    pub fn new(order_id: OrderId, status: OrderStatus, at: Timestamp, public_url: &str) -> Self {
        Self {
            kind: status.ce_type().to_owned(),
            timestamp: at.to_string(),
            data: Data {
                order_id,
                status,
                link: format!("{public_url}/api/v1/orders/{order_id}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_type_timestamp_and_thin_data() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let at = Timestamp::from_millisecond(1_767_225_600_001).unwrap();
        let shop = "https://shop.example.com";
        let notification = Notification::new(id, OrderStatus::Shipped, at, shop);
        assert_eq!(
            serde_json::to_string(&notification).unwrap(),
            r#"{"type":"order.shipped","timestamp":"2026-01-01T00:00:00.001Z","data":{"orderId":"01890a5d-ac96-774b-bcce-b302099a8057","status":"SHIPPED","link":"https://shop.example.com/api/v1/orders/01890a5d-ac96-774b-bcce-b302099a8057"}}"#
        );
    }
}
