//! The orders of the log, against what was asked for.
//!
//! An order belongs to the attempts that name its id. The client whose connection broke knows no id: its orders
//! are told apart by their content only, so they are counted.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{Order, OrderId};
use uuid::Uuid;

use super::super::Invariant::{
    AcceptedIsInTheLog, ContentIsAsAsked, FailedNeverAppears, OrderWasAskedFor,
};
use super::super::{Attempt, Operation, Outcome};
use super::story::Story;
use super::{Case, Findings};

/// Lines (product, pieces, minor units) and address.
type Wish = (Vec<(String, u32, i64)>, Option<String>);

/// Attempts with one content of which nobody knows the order.
#[derive(Default)]
struct Nameless {
    accepted: usize,
    unknown: usize,
    failed: usize,
    /// The keys that they had: one of them is one order.
    keys: BTreeSet<String>,
    /// Orders of the log that nobody named.
    orders: Vec<String>,
}

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let named = by_order(case);
    let mut nameless = nameless(case, &named);
    for (order_id, story) in &case.orders {
        let none = Vec::new();
        let attempts = named.get(order_id).unwrap_or(&none);
        if attempts.is_empty() {
            unnamed(*order_id, story, &mut nameless, found);
        } else {
            compare(*order_id, story, attempts, found);
        }
    }
    for (wish, nameless) in nameless {
        nameless.judge(wish.is_some(), found);
    }
}

/// The attempts that place an order whose id is known, by it.
fn by_order<'a>(case: &Case<'a>) -> BTreeMap<OrderId, Vec<&'a Attempt>> {
    let mut named = BTreeMap::<_, Vec<_>>::new();
    for attempt in case.history.attempts.iter().filter(|a| a.places()) {
        if let Some(order_id) = attempt.order_id {
            named.entry(order_id).or_default().push(attempt);
        }
    }
    named
}

fn nameless<'a>(
    case: &Case<'a>,
    named: &BTreeMap<OrderId, Vec<&'a Attempt>>,
) -> BTreeMap<Option<Wish>, Nameless> {
    let known: BTreeSet<&str> = named.values().flatten().filter_map(|a| key(a)).collect();
    let mut all = BTreeMap::<_, Nameless>::new();
    for attempt in case.history.attempts.iter().filter(|a| a.places()) {
        let key = key(attempt);
        if attempt.order_id.is_some() || key.is_some_and(|key| known.contains(key)) {
            continue;
        }
        let wish = attempt.content.order(OrderId::new(Uuid::nil()));
        let nameless = all.entry(wish.as_ref().map(wished)).or_default();
        if key.is_some_and(|key| !nameless.keys.insert(key.to_owned())) {
            continue;
        }
        match attempt.outcome {
            Outcome::Ok => nameless.accepted += 1,
            Outcome::Unknown => nameless.unknown += 1,
            Outcome::Failed => nameless.failed += 1,
        }
    }
    all
}

fn key(attempt: &Attempt) -> Option<&str> {
    match &attempt.operation {
        Operation::PlaceKeyed(key) => Some(key),
        _ => None,
    }
}

fn wished(order: &Order) -> Wish {
    let line =
        |line: &base_domains::OrderLine| (line.name().to_owned(), line.qty(), line.price().minor());
    let lines = order.lines().iter().map(line).collect();
    (lines, order.email().map(str::to_owned))
}

/// Nobody who asked for it knows its id, or it was injected.
fn unnamed(
    order_id: OrderId,
    story: &Story<'_>,
    nameless: &mut BTreeMap<Option<Wish>, Nameless>,
    found: &mut Findings,
) {
    let Some(placement) = story.placements().next() else {
        let injected = story.events.iter().any(|event| event.injected);
        return found.unless(injected, OrderWasAskedFor, || {
            format!("{order_id} is in the log without a PENDING, and nobody asked for it")
        });
    };
    let wish = placement.order().as_ref().map(wished);
    let nameless = nameless.entry(wish).or_default();
    nameless.orders.push(order_id.to_string());
}

/// What the log has of an order is what somebody asked for who was not refused.
fn compare(order_id: OrderId, story: &Story<'_>, attempts: &[&Attempt], found: &mut Findings) {
    let (failed, open): (Vec<&Attempt>, Vec<&Attempt>) =
        attempts.iter().partition(|a| a.outcome == Outcome::Failed);
    for placement in story.placements() {
        let order = placement.order();
        let has = |attempts: &[&Attempt]| {
            let mut orders = attempts.iter().map(|a| a.content.order(order_id));
            order.is_some() && orders.any(|wish| wish == order)
        };
        if has(&open) {
            continue;
        }
        if open.is_empty() || has(&failed) {
            let evidence = format!("{order_id} was refused, and its PENDING is in the log");
            found.add(FailedNeverAppears, evidence);
        } else {
            let evidence = format!("{order_id} is in the log with a content nobody asked for");
            found.add(ContentIsAsAsked, evidence);
        }
    }
}

impl Nameless {
    fn judge(&self, is_order: bool, found: &mut Findings) {
        let (orders, there) = (self.orders.join(", "), self.orders.len());
        if there < self.accepted && is_order {
            let evidence = format!(
                "of {} accepted orders without id and with one content the log has {there}: {orders}",
                self.accepted
            );
            found.add(AcceptedIsInTheLog, evidence);
        }
        let most = if is_order {
            self.accepted + self.unknown
        } else {
            0
        };
        if there > most && self.failed > 0 {
            let evidence = format!("{} requests for {orders} were refused", self.failed);
            found.add(FailedNeverAppears, evidence);
        } else if there > most {
            let evidence = format!("of {orders} at most {most} were asked for");
            found.add(OrderWasAskedFor, evidence);
        }
    }
}
