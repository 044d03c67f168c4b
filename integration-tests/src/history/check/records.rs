//! The records of the topic among themselves.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{OrderId, OrderStatus, Reading, header, read};
use service_runtime::kafka::Record;

use super::super::Invariant::{
    DecidedOnce, LogIsWhole, RecordHasAWriter, RepeatIsTheSame, RepeatsAreBounded, StepHasItsCause,
};
use super::story::{Event, Story};
use super::{Case, Findings, at, is_injected, named};

/// The last part of `ce_source` of each writer, what it appends, and how many different events of one order at
/// most: order-service places, and it cancels once, on request or for the deadline.
const WRITERS: [(&str, &[OrderStatus], usize); 4] = [
    (
        "order-service",
        &[OrderStatus::Pending, OrderStatus::Cancelled],
        2,
    ),
    (
        "stock-service",
        &[OrderStatus::Reserved, OrderStatus::Rejected],
        1,
    ),
    (
        "payment-service",
        &[OrderStatus::Paid, OrderStatus::Rejected],
        1,
    ),
    (
        "shipping-service",
        &[OrderStatus::Shipped, OrderStatus::Rejected],
        1,
    ),
];

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    for record in &case.history.log {
        let redriven = record.header(header::REDRIVE_GROUP).is_some();
        if !redriven && !is_injected(case.history, record) {
            has_a_writer(case, record, found);
        }
    }
    let mut repeats = 0;
    for (order_id, story) in &case.orders {
        causes(order_id, story, found);
        decisions(order_id, story, found);
        repeats += repeated(order_id, story, found);
        copies(case, order_id, story, found);
    }
    if let Some(most) = case.history.bounds.appended_again {
        found.unless(repeats <= most, RepeatsAreBounded, || {
            format!("{repeats} records are there again, at most {most} are explained")
        });
    }
    whole(case, found);
}

fn writer(record: &Record) -> Option<&'static (&'static str, &'static [OrderStatus], usize)> {
    let source = record.header(header::CE_SOURCE)?.rsplit('/').next()?;
    WRITERS.iter().find(|(name, ..)| *name == source)
}

fn has_a_writer(case: &Case<'_>, record: &Record, found: &mut Findings) {
    let reading = read(&record.as_ref(), case.history.partitions);
    let wrong = match (reading, writer(record)) {
        (Err(bad), _) => bad.to_string(),
        (Ok(Reading::UnknownStatus { .. }), _) => "it has a status that nobody writes".to_owned(),
        (Ok(_), None) => "no service appended it, and nobody injected it".to_owned(),
        (Ok(Reading::Event(heading)), Some((name, statuses, _))) => {
            let readable = heading.decode(record.value.as_deref()).is_ok();
            match (statuses.contains(&heading.status), readable) {
                (true, true) => return,
                (true, false) => format!("{name} appended a body that cannot be read"),
                (false, _) => format!("{name} does not append {}", heading.status),
            }
        }
    };
    found.add(RecordHasAWriter, format!("{}: {wrong}", at(record)));
}

/// What a service appends on having read.
fn causes(order_id: &OrderId, story: &Story<'_>, found: &mut Findings) {
    let mut before = BTreeSet::new();
    for step in story.steps() {
        let status = step.heading.status;
        let cause = match status {
            OrderStatus::Pending => None,
            OrderStatus::Paid => Some(OrderStatus::Reserved),
            OrderStatus::Shipped => Some(OrderStatus::Paid),
            OrderStatus::Reserved | OrderStatus::Rejected | OrderStatus::Cancelled => {
                Some(OrderStatus::Pending)
            }
        };
        let there = cause.is_none_or(|cause| before.contains(cause.as_str()));
        found.unless(there || step.injected, StepHasItsCause, || {
            format!(
                "{order_id} became {status} at {} without {cause:?}",
                at(step.record)
            )
        });
        before.insert(status.as_str());
    }
}

fn decisions(order_id: &OrderId, story: &Story<'_>, found: &mut Findings) {
    for (name, _, most) in WRITERS {
        let own = story.events.iter().filter(|event| {
            !event.injected && writer(event.record).is_some_and(|(writer, ..)| *writer == name)
        });
        let decided: BTreeSet<String> = own
            .map(|event| format!("{} {}", event.heading.status, event.heading.event_id))
            .collect();
        found.unless(decided.len() <= most, DecidedOnce, || {
            format!("{name} decided about {order_id}: {decided:?}")
        });
    }
}

/// How many events of the order are there again.
fn repeated(order_id: &OrderId, story: &Story<'_>, found: &mut Findings) -> usize {
    let mut first = BTreeMap::<&str, &Event<'_>>::new();
    let mut repeats = 0;
    for event in story.events.iter().filter(|event| !event.injected) {
        let Some(before) = first.get(event.heading.event_id.as_str()) else {
            first.insert(&event.heading.event_id, event);
            continue;
        };
        repeats += 1;
        let (one, other) = (before.record, event.record);
        let same = one.key == other.key && one.value == other.value && kept(before) == kept(event);
        found.unless(same, RepeatIsTheSame, || {
            format!(
                "{order_id}: {} repeats {} with other bytes",
                at(other),
                at(one)
            )
        });
    }
    repeats
}

/// Nothing is appended again and again (rule R9): a lag would feed itself.
fn copies(case: &Case<'_>, order_id: &OrderId, story: &Story<'_>, found: &mut Findings) {
    let mut copies = BTreeMap::<&str, usize>::new();
    let mut placed = 0_usize;
    for event in story.events.iter().filter(|event| !event.injected) {
        match event.heading.status {
            OrderStatus::Pending => placed += 1,
            _ => *copies.entry(&event.heading.event_id).or_default() += 1,
        }
    }
    // Whoever reads PENDING again publishes what it decided again, until it has read that back.
    let most = case.history.bounds.copies + placed.saturating_sub(1);
    for (event_id, copies) in copies {
        found.unless(copies <= most, RepeatsAreBounded, || {
            format!("{order_id}: {event_id} is there {copies} times, at most {most} are explained")
        });
    }
}

/// The headers that a repetition has too. A placement is made anew for each request under its id: at another
/// time, in another trace.
fn kept<'a>(event: &Event<'a>) -> Vec<&'a (String, Vec<u8>)> {
    let anew: &[&str] = match event.heading.status {
        OrderStatus::Pending => &[header::CE_TIME, header::TRACEPARENT],
        _ => &[],
    };
    let headers = event.record.headers.iter();
    headers
        .filter(|(name, _)| !anew.contains(&name.as_str()))
        .collect()
}

/// No offset is missing, and what was injected is where it was acknowledged.
fn whole(case: &Case<'_>, found: &mut Findings) {
    let there: BTreeMap<(i32, i64), &Record> = case
        .history
        .log
        .iter()
        .map(|r| (super::place(r), r))
        .collect();
    for (partition, end) in &case.ends {
        let told = case.history.offsets.values().flatten();
        let begin = told
            .filter(|lag| lag.partition == *partition)
            .map(|lag| lag.begin);
        let begin = begin.max().unwrap_or(0);
        let missing: Vec<String> = (begin..*end)
            .filter(|offset| !there.contains_key(&(*partition, *offset)))
            .map(|offset| format!("{partition}@{offset}"))
            .collect();
        found.unless(missing.is_empty(), LogIsWhole, || {
            format!("there is no {}", missing.join(", "))
        });
    }
    for injected in case.history.injected.iter().chain(&case.history.poison) {
        let Some(place) = injected.place else {
            continue;
        };
        let same = there
            .get(&place)
            .is_some_and(|record| injected.has_bytes_of(record));
        found.unless(same, LogIsWhole, || {
            format!("what was injected at {} is not there", named(injected))
        });
    }
}
