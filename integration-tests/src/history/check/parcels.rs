//! Parcels: those of the SHIPPED orders, and no other.

use std::collections::BTreeMap;

use base_domains::OrderStatus::{Paid, Shipped};

use super::super::Invariant::ShipmentIsTheLogs;
use super::story::Story;
use super::{Case, Findings};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let rows = case.history.databases.shipments.iter();
    let rows: BTreeMap<&str, &str> = rows
        .map(|r| (r.order_id.as_str(), r.state.as_str()))
        .collect();
    for (order_id, story) in case.over() {
        let state = rows.get(order_id.to_string().as_str()).copied();
        found.unless(state == expected(story), ShipmentIsTheLogs, || {
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

/// A parcel is prepared when the order is PAID, or SHIPPED by somebody else.
fn expected(story: &Story<'_>) -> Option<&'static str> {
    let (paid, shipped) = (story.was_told(Paid), story.was_told(Shipped));
    match story.end() {
        Some(Shipped) => (paid || shipped).then_some("dispatched"),
        Some(_) => paid.then_some("cancelled"),
        None => paid.then_some("prepared"),
    }
}
