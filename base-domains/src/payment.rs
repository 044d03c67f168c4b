//! How an order was paid, as the event that brings PAID tells it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::wire::finite;

/// A payment on the wire. Unknown fields are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// How the payment's gateway calls it.
    pub payment_id: String,
    /// What was charged, in major units, see [`Total::to_wire`](crate::Total::to_wire).
    #[serde(serialize_with = "finite")]
    pub amount: f64,
}

/// Reads what a step added. Whatever cannot be read as a `T` is none: an addition never makes the event
/// unreadable.
pub(crate) fn if_readable<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}
