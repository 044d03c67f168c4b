//! Stock: the ledger, the levels, and what each order holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base_domains::OrderStatus::{Paid, Pending, Rejected, Reserved, Shipped};
use stock_service::reservation::lines_of;

use super::super::Invariant::{ReservationIsTheLogs, StockIsConserved, StockIsNotNegative};
use super::super::{Adjustment, CLOCKS, Observation, Reservation, StockRow};
use super::story::Story;
use super::{Case, Findings};

/// What was added to each product and taken from it, in the order of time.
pub(super) fn ledger<'a>(case: &Case<'a>) -> BTreeMap<&'a str, Vec<&'a Adjustment>> {
    let mut ledger = BTreeMap::<&str, Vec<&Adjustment>>::new();
    for adjustment in &case.history.databases.adjustments {
        let entries = ledger.entry(&adjustment.product).or_default();
        entries.push(adjustment);
    }
    ledger
        .values_mut()
        .for_each(|all| all.sort_by_key(|a| a.at));
    ledger
}

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let databases = &case.history.databases;
    let observed = case.history.observations.iter().map(|seen| &seen.row);
    for row in databases.stock.iter().chain(observed) {
        let pieces = [row.available, row.reserved, row.shipped];
        let kept = pieces.iter().all(|pieces| *pieces >= 0);
        found.unless(kept, StockIsNotNegative, || format!("{row:?}"));
    }
    let ledger = ledger(case);
    let none = Vec::new();
    let ledger = |row: &StockRow| ledger.get(&*row.product).unwrap_or(&none);
    for row in &databases.stock {
        level(case, row, ledger(row), found);
    }
    for seen in &case.history.observations {
        let sums = sums_at(case.history.started, seen, ledger(&seen.row));
        found.unless(sums.contains(&pieces(&seen.row)), StockIsConserved, || {
            let (at, row) = (seen.at, &seen.row);
            format!("at {at:?}: {row:?}, and the ledger had {sums:?} then")
        });
    }
    as_seeded(case, found);
    reservations(case, found);
}

/// What the ledger may have come to while somebody looked.
fn sums_at(started: i64, seen: &Observation, ledger: &[&Adjustment]) -> Vec<i64> {
    let time = |at: Duration| started + i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    let (before, after) = (time(seen.since) - CLOCKS, time(seen.at) + CLOCKS);
    let known: i64 = ledger
        .iter()
        .filter(|entry| entry.at <= before)
        .map(|entry| entry.delta)
        .sum();
    let mut sums = vec![known];
    let perhaps = ledger
        .iter()
        .filter(|entry| entry.at > before && entry.at <= after);
    for entry in perhaps {
        sums.push(sums.last().unwrap_or(&0) + entry.delta);
    }
    sums
}

/// Of each product, and of no other, there is what was seeded or set.
fn as_seeded(case: &Case<'_>, found: &mut Findings) {
    let levels = case.history.stock.iter();
    let levels: BTreeMap<&str, i64> = levels.map(|l| (l.product.as_str(), l.pieces)).collect();
    let rows = case.history.databases.stock.iter();
    let rows: BTreeMap<&str, i64> = rows.map(|r| (r.product.as_str(), pieces(r))).collect();
    for product in levels.keys().chain(rows.keys()).collect::<BTreeSet<_>>() {
        let (seeded, there) = (levels.get(product), rows.get(product));
        found.unless(seeded == there, StockIsConserved, || {
            format!("{seeded:?} of {product} were seeded or set, and there are {there:?}")
        });
    }
}

fn pieces(row: &StockRow) -> i64 {
    row.available + row.reserved + row.shipped
}

/// The ledger says how many there are, the reservations who has them.
fn level(case: &Case<'_>, row: &StockRow, ledger: &[&Adjustment], found: &mut Findings) {
    let ledger: i64 = ledger.iter().map(|entry| entry.delta).sum();
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
    for (order_id, story) in case.over() {
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
    let decided = |status| story.was_decided("stock-service", status);
    let told = [Pending, Reserved, Paid, Shipped].map(|status| story.was_told(status));
    let [pending, reserved, paid, shipped] = told;
    as_asked
        && match state {
            Some(_) if decided(Rejected) => false,
            Some("shipped") => story.has_shipped(),
            Some("released") => story.end().is_some() && !story.has_shipped(),
            Some("held") => story.is_stuck(),
            None if decided(Reserved) => false,
            // Who is told can hold the pieces; before an end it may have been too late for that.
            None => match story.end() {
                Some(Shipped) => !(pending || reserved || paid || shipped),
                Some(_) => !(reserved || paid),
                None => !(pending || reserved || paid),
            },
            _ => false,
        }
}
