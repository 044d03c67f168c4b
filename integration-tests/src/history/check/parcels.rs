//! Parcels: those of the SHIPPED orders, and no other.

use std::collections::BTreeMap;

use super::super::Invariant::ShipmentIsTheLogs;
use super::{Case, Findings};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let rows = case.history.databases.shipments.iter();
    let rows: BTreeMap<&str, &str> = rows
        .map(|r| (r.order_id.as_str(), r.state.as_str()))
        .collect();
    for (order_id, story) in case.ended() {
        let state = rows.get(order_id.to_string().as_str()).copied();
        let agrees = match state {
            Some("dispatched") => story.has_shipped(),
            None | Some("cancelled") => !story.has_shipped(),
            _ => false,
        };
        found.unless(agrees, ShipmentIsTheLogs, || {
            format!(
                "{order_id} is {:?}, and its shipment is {state:?}",
                story.end()
            )
        });
    }
    for order_id in rows.keys().filter(|id| case.story(id).is_none()) {
        found.add(
            ShipmentIsTheLogs,
            format!("{order_id} has a shipment, and is not in the log"),
        );
    }
}
