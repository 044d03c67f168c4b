//! How an order is shipped, as the event that brings SHIPPED tells it.

use serde::{Deserialize, Serialize};

/// A shipment on the wire. Unknown fields are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shipment {
    /// By which the parcel can be followed. It is derived from the order id: an order has one.
    pub tracking_number: String,
}
