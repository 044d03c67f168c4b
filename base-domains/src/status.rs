//! The states an order can be in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A state of an order. The set is closed for the topic `orders`: a new terminal state needs a new topic,
/// because a reader that does not know it would see another end of the order than the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OrderStatus {
    /// Placed, and nothing decided yet.
    Pending,
    /// Stock is set aside for every line.
    Reserved,
    /// Charged.
    Paid,
    /// Handed over; the good end.
    Shipped,
    /// Refused by the system; an end.
    Rejected,
    /// Withdrawn before it was shipped; an end.
    Cancelled,
}

impl OrderStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Reserved,
        Self::Paid,
        Self::Shipped,
        Self::Rejected,
        Self::Cancelled,
    ];

    /// The status as the body of an event has it, such as `PENDING`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Reserved => "RESERVED",
            Self::Paid => "PAID",
            Self::Shipped => "SHIPPED",
            Self::Rejected => "REJECTED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The type of the event that brings this status, such as `order.pending`.
    #[must_use]
    pub const fn ce_type(self) -> &'static str {
        match self {
            Self::Pending => "order.pending",
            Self::Reserved => "order.reserved",
            Self::Paid => "order.paid",
            Self::Shipped => "order.shipped",
            Self::Rejected => "order.rejected",
            Self::Cancelled => "order.cancelled",
        }
    }

    /// The status whose event has this type, if there is one.
    #[must_use]
    pub fn from_ce_type(ce_type: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.ce_type() == ce_type)
    }

    /// How far the order has come. Terminal states share the highest rank, so that "a higher rank wins"
    /// is the whole transition rule (see [`OrderState`](crate::OrderState)), in SQL as well.
    #[must_use]
    pub const fn rank(self) -> i64 {
        match self {
            Self::Pending => 1,
            Self::Reserved => 2,
            Self::Paid => 3,
            Self::Shipped | Self::Rejected | Self::Cancelled => 100,
        }
    }

    /// Whether the order has ended.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Shipped | Self::Rejected | Self::Cancelled)
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text is not the name of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an order status")]
pub struct ParseStatusError;

impl FromStr for OrderStatus {
    type Err = ParseStatusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(ParseStatusError)
    }
}
