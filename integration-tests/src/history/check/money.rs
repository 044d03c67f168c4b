//! Money by the gateway's books, and the payments that speak of it.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::OrderId;
use base_domains::OrderStatus::{Paid, Reserved, Shipped};

use super::super::Invariant::{ChargedOnce, MoneyIsConserved, PaymentIsTheLogs};
use super::super::{GatewayEntry, Payment};
use super::story::Story;
use super::{Case, Findings};

/// What the gateway did about one order.
#[derive(Default)]
struct Books {
    charges: Vec<i64>,
    refunds: Vec<i64>,
    declined: bool,
}

/// The last two digits of an amount that the sandbox declines to charge, by the table of its prices.
const DECLINED: i64 = 2;

/// Orders whose charge the gateway declined, and had to.
pub(super) fn declined<'a>(case: &Case<'a>) -> BTreeSet<&'a str> {
    let entries = case.history.databases.gateway.iter();
    let declined = entries.filter(|entry| entry.is_declined() && entry.amount % 100 == DECLINED);
    declined.map(|entry| entry.order_id.as_str()).collect()
}

impl GatewayEntry {
    fn is_declined(&self) -> bool {
        self.operation == "charge" && self.answer == "declined"
    }
}

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let databases = &case.history.databases;
    let mut books = BTreeMap::<&str, Books>::new();
    for entry in &databases.gateway {
        books.entry(&entry.order_id).or_default().add(entry);
        as_priced(entry, found);
    }
    let payments = databases.payments.iter();
    let payments: BTreeMap<&str, &Payment> = payments.map(|p| (p.order_id.as_str(), p)).collect();
    for (order_id, story) in case.over() {
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
        self.declined |= entry.is_declined();
        match (entry.operation.as_str(), entry.answer.as_str()) {
            ("charge", "accepted") => self.charges.push(entry.amount),
            (_, "accepted") => self.refunds.push(entry.amount),
            _ => {}
        }
    }
}

/// The gateway of every run is the sandbox, which answers by the amount.
fn as_priced(entry: &GatewayEntry, found: &mut Findings) {
    let has_to = entry.operation == "charge" && entry.amount % 100 == DECLINED;
    let expected = if has_to { "declined" } else { "accepted" };
    found.unless(entry.answer == expected, PaymentIsTheLogs, || {
        format!("the gateway answered {entry:?}, and had to answer {expected}")
    });
}

fn conserved(order_id: &OrderId, story: &Story<'_>, books: &Books, found: &mut Findings) {
    let (charges, refunds) = (books.charges.len(), books.refunds.len());
    let kept = match story.end() {
        // Nobody knows whether its payment was under way.
        Some(Shipped) if is_by_poison(story) => refunds == 0,
        Some(Shipped) => charges == refunds + 1,
        Some(_) => charges == refunds,
        // Its charge was asked for, whatever the poison came to.
        None => (charges, refunds) == (usize::from(story.was_told(Reserved)), 0),
    };
    found.unless(kept, MoneyIsConserved, || {
        format!(
            "{order_id} is {:?}: {charges} charges, {refunds} refunds",
            story.end()
        )
    });
    let total = story.order().map(|order| order.total().minor());
    let mut amounts = books.charges.iter().chain(&books.refunds);
    let whole = amounts.all(|amount| Some(*amount) == total);
    found.unless(whole, PaymentIsTheLogs, || {
        let Books {
            charges, refunds, ..
        } = books;
        format!("{order_id} costs {total:?}: charged {charges:?}, refunded {refunds:?}")
    });
}

fn is_by_poison(story: &Story<'_>) -> bool {
    story.ending().is_some_and(|end| end.poison)
}

fn agrees(story: &Story<'_>, books: &Books, payment: Option<&Payment>) -> bool {
    let total = story.order().map(|order| order.total().minor());
    if payment.is_some_and(|payment| Some(payment.amount) != total) {
        return false;
    }
    // RESERVED asks for it; who appends PAID was asked.
    let asked = story.was_told(Reserved);
    let paid = story.was_decided("payment-service", Paid);
    let [charged, refunded] = [&books.charges, &books.refunds].map(|moved| !moved.is_empty());
    let kept = story.has_shipped() && !is_by_poison(story);
    match payment.map(|payment| payment.state.as_str()) {
        Some("charged") => charged && !refunded && (story.has_shipped() || story.is_stuck()),
        Some("refunded") => charged && refunded && !story.has_shipped(),
        Some("declined") => books.declined && !charged && !paid && !kept,
        Some("skipped") => !books.declined && !charged && !paid && !kept,
        None => !asked && !charged && !paid && !kept,
        _ => false,
    }
}
