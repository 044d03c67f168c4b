//! Money by the gateway's books, and the payments that speak of it.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::OrderId;

use super::super::Invariant::{ChargedOnce, MoneyIsConserved, PaymentIsTheLogs};
use super::super::{GatewayEntry, Payment};
use super::story::Story;
use super::{Case, Findings};

/// What the gateway did about one order.
#[derive(Default)]
struct Books {
    charges: Vec<i64>,
    refunds: Vec<i64>,
}

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let databases = &case.history.databases;
    let mut books = BTreeMap::<&str, Books>::new();
    for entry in databases.gateway.iter().filter(|e| e.answer == "accepted") {
        books.entry(&entry.order_id).or_default().add(entry);
    }
    let payments = databases.payments.iter();
    let payments: BTreeMap<&str, &Payment> = payments.map(|p| (p.order_id.as_str(), p)).collect();
    for (order_id, story) in case.ended() {
        let id = order_id.to_string();
        let none = Books::default();
        let books = books.get(id.as_str()).unwrap_or(&none);
        conserved(order_id, story, books, found);
        let payment = payments.get(id.as_str()).copied();
        found.unless(agrees(story, books, payment), PaymentIsTheLogs, || {
            let end = story.end();
            format!("{order_id} is {end:?}, and its payment is {payment:?}")
        });
    }
    for (order_id, books) in &books {
        found.unless(books.charges.len() <= 1, ChargedOnce, || {
            format!("{order_id} was charged {} times", books.charges.len())
        });
    }
    let known: BTreeSet<&str> = books.keys().chain(payments.keys()).copied().collect();
    for order_id in known.into_iter().filter(|id| case.story(id).is_none()) {
        found.add(
            PaymentIsTheLogs,
            format!("{order_id} has a payment, and is not in the log"),
        );
    }
}

impl Books {
    fn add(&mut self, entry: &GatewayEntry) {
        match entry.operation.as_str() {
            "charge" => self.charges.push(entry.amount),
            _ => self.refunds.push(entry.amount),
        }
    }
}

fn conserved(order_id: &OrderId, story: &Story<'_>, books: &Books, found: &mut Findings) {
    let due = i64::from(story.has_shipped());
    let (charges, refunds) = (books.charges.len() as i64, books.refunds.len() as i64);
    found.unless(charges - refunds == due, MoneyIsConserved, || {
        format!(
            "{order_id} is {:?}: {charges} charges, {refunds} refunds",
            story.end()
        )
    });
    let total = story.order().map(|order| order.total().minor());
    let mut amounts = books.charges.iter().chain(&books.refunds);
    let whole = amounts.all(|amount| Some(*amount) == total);
    found.unless(whole, PaymentIsTheLogs, || {
        let Books { charges, refunds } = books;
        format!("{order_id} costs {total:?}: charged {charges:?}, refunded {refunds:?}")
    });
}

fn agrees(story: &Story<'_>, books: &Books, payment: Option<&Payment>) -> bool {
    let total = story.order().map(|order| order.total().minor());
    if payment.is_some_and(|payment| Some(payment.amount) != total) {
        return false;
    }
    match payment.map(|payment| payment.state.as_str()) {
        Some("charged") => story.has_shipped(),
        Some("refunded") => !story.has_shipped() && books.charges.len() == books.refunds.len(),
        None | Some("declined" | "skipped") => !story.has_shipped() && books.charges.is_empty(),
        _ => false,
    }
}
