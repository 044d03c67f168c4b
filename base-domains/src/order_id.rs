//! The identity of an order, which is also its key in the topic.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::name_based::name_based;

/// The id of an order. Its text is always hyphenated lower case, because that text is the record key
/// and so decides the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrderId(Uuid);

impl OrderId {
    /// The order id with this value.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The value of this id.
    #[must_use]
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }

    /// The id of the order that `caller` asked for under the idempotency key `key`: the same for each
    /// repetition of the request, and another one for each other caller.
    #[must_use]
    pub fn from_idempotency_key(caller: &str, key: &str) -> Self {
        Self(name_based("order-id", &[Some(caller), Some(key)]))
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// A text is not an order id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an order id is a hyphenated UUID")]
pub struct ParseOrderIdError;

impl FromStr for OrderId {
    type Err = ParseOrderIdError;

    /// Reads the hyphenated form in either case. The other spellings of a UUID (braces, `urn:uuid:`,
    /// no hyphens) are refused: one order has one spelling.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != uuid::fmt::Hyphenated::LENGTH {
            return Err(ParseOrderIdError);
        }
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| ParseOrderIdError)
    }
}

impl TryFrom<String> for OrderId {
    type Error = ParseOrderIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<OrderId> for String {
    fn from(id: OrderId) -> Self {
        id.to_string()
    }
}
