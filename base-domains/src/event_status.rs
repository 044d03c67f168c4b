//! The status of an event as it is on the wire, where a newer writer may use one unknown here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::status::OrderStatus;

/// A status on the wire: a plain JSON string.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum EventStatus {
    /// One that this version knows.
    Known(OrderStatus),
    /// One of a later version. It has no effect (rule R3).
    Unknown(String),
}

impl EventStatus {
    /// The status that an event type stands for; `order.backordered` is the unknown `BACKORDERED`, as it
    /// would be in the body.
    pub(crate) fn from_ce_type(ce_type: &str) -> Self {
        match (
            OrderStatus::from_ce_type(ce_type),
            ce_type.strip_prefix("order."),
        ) {
            (Some(status), _) => Self::Known(status),
            (None, Some(name)) => Self::Unknown(name.to_ascii_uppercase()),
            (None, None) => Self::Unknown(ce_type.to_owned()),
        }
    }

    /// The text on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(status) => status.as_str(),
            Self::Unknown(text) => text,
        }
    }
}

impl fmt::Display for EventStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<OrderStatus> for EventStatus {
    fn from(status: OrderStatus) -> Self {
        Self::Known(status)
    }
}

impl From<String> for EventStatus {
    fn from(text: String) -> Self {
        text.parse().map_or(Self::Unknown(text), Self::Known)
    }
}

impl From<EventStatus> for String {
    fn from(status: EventStatus) -> Self {
        match status {
            EventStatus::Known(status) => status.as_str().to_owned(),
            EventStatus::Unknown(text) => text,
        }
    }
}
