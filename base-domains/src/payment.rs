//! How an order was paid, as the event that brings PAID tells it.

use serde::{Deserialize, Serialize};

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
