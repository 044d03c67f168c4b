//! Stock: the ledger, the levels, and what each order holds.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::OrderStatus;
use stock_service::reservation::lines_of;

use super::super::Invariant::{ReservationIsTheLogs, StockIsConserved, StockIsNotNegative};
use super::super::{Reservation, StockRow};
use super::story::Story;
use super::{Case, Findings};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let databases = &case.history.databases;
    let observed = case.history.observations.iter().map(|seen| &seen.row);
    for row in databases.stock.iter().chain(observed) {
        let pieces = [row.available, row.reserved, row.shipped];
        let kept = pieces.iter().all(|pieces| *pieces >= 0);
        found.unless(kept, StockIsNotNegative, || format!("{row:?}"));
    }
    let mut sums = BTreeMap::<&str, Vec<i64>>::new();
    for adjustment in &databases.adjustments {
        let sums = sums.entry(&adjustment.product).or_default();
        let before = sums.last().copied().unwrap_or(0);
        sums.push(before + adjustment.delta);
    }
    for row in &databases.stock {
        level(case, row, sums.get(row.product.as_str()), found);
    }
    for seen in &case.history.observations {
        let sums = sums.get(seen.row.product.as_str());
        let once = sums.is_some_and(|sums| sums.contains(&pieces(&seen.row)));
        found.unless(once, StockIsConserved, || {
            format!(
                "at {:?}: {:?}, and the ledger went through {sums:?}",
                seen.at, seen.row
            )
        });
    }
    for level in &case.history.stock {
        let row = databases
            .stock
            .iter()
            .find(|row| row.product == level.product);
        found.unless(
            row.map(pieces) == Some(level.pieces),
            StockIsConserved,
            || {
                format!(
                    "there were {} of {}, and there is {row:?}",
                    level.pieces, level.product
                )
            },
        );
    }
    reservations(case, found);
}

fn pieces(row: &StockRow) -> i64 {
    row.available + row.reserved + row.shipped
}

/// The ledger says how many there are, the reservations who has them.
fn level(case: &Case<'_>, row: &StockRow, sums: Option<&Vec<i64>>, found: &mut Findings) {
    let ledger = sums.and_then(|sums| sums.last()).copied().unwrap_or(0);
    let of = |state: &str| -> i64 {
        let reservations = case.history.databases.reservations.iter();
        let those = reservations.filter(|reservation| reservation.state == state);
        those
            .filter_map(|reservation| reservation.lines.get(&row.product))
            .sum()
    };
    let (held, shipped) = (of("held"), of("shipped"));
    let kept = pieces(row) == ledger && (row.reserved, row.shipped) == (held, shipped);
    found.unless(kept, StockIsConserved, || {
        format!("{row:?}; the ledger has {ledger}, orders hold {held} and took {shipped}")
    });
}

fn reservations(case: &Case<'_>, found: &mut Findings) {
    let all = &case.history.databases.reservations;
    let rows: BTreeMap<&str, &Reservation> = all.iter().map(|r| (r.order_id.as_str(), r)).collect();
    for (order_id, story) in case.ended() {
        let row = rows.get(order_id.to_string().as_str()).copied();
        found.unless(agrees(story, row), ReservationIsTheLogs, || {
            let history: Vec<&str> = story
                .steps()
                .map(|step| step.heading.status.as_str())
                .collect();
            format!("{order_id} went through {history:?}, and its reservation is {row:?}")
        });
    }
    let strangers: BTreeSet<&&str> = rows.keys().filter(|id| case.story(id).is_none()).collect();
    for order_id in strangers {
        found.add(
            ReservationIsTheLogs,
            format!("{order_id} has a reservation, and is not in the log"),
        );
    }
}

fn agrees(story: &Story<'_>, row: Option<&Reservation>) -> bool {
    let state = row.map(|row| row.state.as_str());
    let lines = story.order().map(|order| lines_of(&order));
    let as_asked = row.is_none_or(|row| Some(&row.lines) == lines.as_ref());
    as_asked
        && match state {
            Some("shipped") => story.has_shipped(),
            Some("released") => !story.has_shipped(),
            // It was held, or nobody knows: the stock service may have been overtaken by the end.
            None => !story.has_shipped() && !story.passed(OrderStatus::Reserved),
            _ => false,
        }
}
