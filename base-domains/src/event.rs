//! The body of a record of the topic `orders`: the tutorial's `OrderEvent`, its fields in that order.

use serde::{Deserialize, Serialize};

use crate::addition::if_readable;
use crate::encode::EncodeError;
use crate::event_status::EventStatus;
use crate::payment::Payment;
use crate::shipment::Shipment;
use crate::status::OrderStatus;
use crate::wire::{WireOrder, null_as_empty};

/// Something that happened to an order. Unknown fields are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderEvent {
    /// A sentence for people; nothing is decided by it.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub message: String,
    /// The state this event brings.
    pub status: EventStatus,
    /// The whole order, so that no reader has to ask for it.
    pub order: WireOrder,
    /// Why the order was REJECTED or CANCELLED, see [`reason`](crate::reason).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How the order was paid; with PAID. One of a shape that this version does not know reads as none.
    #[serde(
        default,
        deserialize_with = "if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub payment: Option<Payment>,
    /// How the order is shipped; with SHIPPED. One of a shape that this version does not know reads as none.
    #[serde(
        default,
        deserialize_with = "if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub shipment: Option<Shipment>,
}

/// A body is not an order event. It tells where, and never repeats a part of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an order event: {problem} at line {line} column {column}")]
pub struct DecodeError {
    problem: &'static str,
    line: usize,
    column: usize,
}

impl OrderEvent {
    /// The event that brings `status` to `order`.
    #[must_use]
    pub fn new(status: OrderStatus, order: WireOrder) -> Self {
        let message = format!(
            "order status is in {} state",
            status.as_str().to_lowercase()
        );
        Self {
            message,
            status: status.into(),
            order,
            reason: None,
            payment: None,
            shipment: None,
        }
    }

    /// The same event with the reason of its decision.
    #[must_use]
    pub fn with_reason(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// The same event with the payment that it tells of.
    #[must_use]
    pub fn with_payment(mut self, payment: Payment) -> Self {
        self.payment = Some(payment);
        self
    }

    /// The same event with the shipment that it tells of.
    #[must_use]
    pub fn with_shipment(mut self, shipment: Shipment) -> Self {
        self.shipment = Some(shipment);
        self
    }

    /// Decodes a body.
    ///
    /// # Errors
    /// When it is not JSON or a field is missing or of another type.
    pub fn from_json(body: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(body).map_err(|error| DecodeError::from(&error))
    }

    /// Encodes the body.
    ///
    /// # Errors
    /// When a price is not a finite number.
    pub fn to_json(&self) -> Result<String, EncodeError> {
        serde_json::to_string(self).map_err(|_| EncodeError::NotFinite)
    }
}

impl From<&serde_json::Error> for DecodeError {
    /// Keeps the place only: the text of the error may quote the body.
    fn from(error: &serde_json::Error) -> Self {
        let problem = match error.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            serde_json::error::Category::Data => "a field is missing or of another type",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
                "it is not JSON"
            }
        };
        Self {
            problem,
            line: error.line(),
            column: error.column(),
        }
    }
}
