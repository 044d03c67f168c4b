//! Looks for broken promises in a history: pure, and the same whatever the order of its attempts and mails.
//!
//! What an order is, is folded from the log by [`base_domains`] alone; every row, mail, answer and dead letter is
//! then held against that. An event whose heading can be read and whose body cannot has its effect on the fold, but
//! who needs the body cannot decide about it: of the order's effects that excuses those that come of this decision, and
//! nothing else.

mod accepted;
mod asked;
mod cancelled;
mod letters;
mod mails;
mod money;
mod notifications;
mod offsets;
mod parcels;
mod reasons;
mod records;
mod services;
mod shortage;
mod stock;
mod story;

use std::collections::BTreeMap;

use base_domains::OrderId;
use service_runtime::kafka::Record;

use self::story::Story;
use super::{History, Injected, Invariant, Place, Violation};

/// Every broken promise, by invariant; none where all are kept.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let case = Case::new(history);
    let mut found = Findings::default();
    accepted::check(&case, &mut found);
    asked::check(&case, &mut found);
    cancelled::check(&case, &mut found);
    reasons::check(&case, &mut found);
    records::check(&case, &mut found);
    services::check(&case, &mut found);
    stock::check(&case, &mut found);
    money::check(&case, &mut found);
    parcels::check(&case, &mut found);
    mails::check(&case, &mut found);
    notifications::check(&case, &mut found);
    letters::check(&case, &mut found);
    offsets::check(&case, &mut found);
    found.0.sort();
    found.0.dedup();
    found.0
}

/// A history with what its log says.
struct Case<'a> {
    history: &'a History,
    /// Every order of the log.
    orders: BTreeMap<OrderId, Story<'a>>,
    /// The end of each partition, by the records and by what the broker said.
    ends: BTreeMap<i32, i64>,
}

impl<'a> Case<'a> {
    fn new(history: &'a History) -> Self {
        let mut ends = BTreeMap::new();
        let records = history.log.iter().map(|r| (r.partition, r.offset + 1));
        let told = history.offsets.values().flatten();
        for (partition, end) in records.chain(told.map(|lag| (lag.partition, lag.end))) {
            let known = ends.entry(partition).or_insert(end);
            *known = end.max(*known);
        }
        Self {
            history,
            orders: story::tell(history),
            ends,
        }
    }

    /// Orders that are where they stay.
    fn over(&self) -> impl Iterator<Item = (&OrderId, &Story<'a>)> {
        self.orders.iter().filter(|(_, story)| story.is_over())
    }

    /// The story of the order of a row.
    fn story(&self, order_id: &str) -> Option<&Story<'a>> {
        self.orders.get(&order_id.parse().ok()?)
    }

    /// How often anything was interrupted.
    fn interruptions(&self) -> usize {
        self.history.interruptions.len()
    }
}

/// Whether `record` was appended by hand.
fn is_injected(history: &History, record: &Record) -> bool {
    history.injected.iter().any(|injected| injected.is(record)) || is_poison(history, record)
}

fn is_poison(history: &History, record: &Record) -> bool {
    history.poison.iter().any(|poison| poison.is(record))
}

fn place(record: &Record) -> Place {
    (record.partition, record.offset)
}

/// A place as people write it.
fn at(record: &Record) -> String {
    format!("{}@{}", record.partition, record.offset)
}

/// An injected record in words.
fn named(injected: &Injected) -> String {
    match injected.place {
        Some((partition, offset)) => format!("{partition}@{offset}"),
        None => "a place that is not known".to_owned(),
    }
}

#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, invariant: Invariant, evidence: impl Into<String>) {
        self.0.push(Violation {
            invariant,
            evidence: evidence.into(),
        });
    }

    /// Adds it unless `kept`.
    fn unless(&mut self, kept: bool, invariant: Invariant, evidence: impl FnOnce() -> String) {
        if !kept {
            self.add(invariant, evidence());
        }
    }
}
