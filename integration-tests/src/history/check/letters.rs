//! Dead letters: the poison that was injected, byte for byte, and nothing else.
//!
//! What nobody can read is a dead letter of every group. Of an order's event whose body alone is broken it depends on
//! who needs the body: see [`Want`].

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{OrderStatus, Reading, read};
use service_runtime::kafka::letters::{DeadLetter, REDRIVE_COUNT};
use service_runtime::kafka::{Record, dlt};

use super::super::Invariant::{DeadLetterIsPoison, DeadLetterIsTheSame, PoisonIsDeadLettered};
use super::super::{Participant, Place};
use super::story::{Event, Story};
use super::{Case, Findings, at};

/// Header of what an operator did about a letter, which stands in the same topic.
const RESOLUTION: &str = "dlt-resolution";

/// Whether a group has to dead-letter a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Yes,
    /// It depends on what it had done before, or on what it read first.
    Perhaps,
    No,
}

/// Copies of one letter that anything explains, however often somebody was interrupted.
const LETTERS: usize = 10;

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let poison = in_the_log(case);
    let participants = case.history.databases.participants.iter();
    let mut groups: BTreeSet<&str> = participants.map(|p| p.group.as_str()).collect();
    groups.extend(case.history.dead_letters.keys().map(String::as_str));
    for group in groups {
        let participants = &case.history.databases.participants;
        let participant = participants.iter().find(|one| one.group == group);
        let wants: BTreeMap<Place, Want> = poison
            .iter()
            .map(|(place, record)| (*place, want(case, participant, record)))
            .collect();
        let mut copies = BTreeMap::<Place, usize>::new();
        for letter in case.history.dead_letters.get(group).into_iter().flatten() {
            if let Some(original) = judge(letter, group, &poison, found) {
                *copies.entry(super::place(original)).or_default() += 1;
            }
        }
        for (place, want) in &wants {
            let copies = copies.get(place).copied().unwrap_or(0);
            found.unless(
                *want != Want::Yes || copies > 0,
                PoisonIsDeadLettered,
                || format!("the record at {place:?} is no dead letter of {group}"),
            );
            found.unless(*want != Want::No || copies == 0, DeadLetterIsPoison, || {
                format!("{group} can use the record at {place:?}, and dead-lettered it")
            });
            // By whoever was interrupted between the letter and its offset, or lost a broker's answer.
            let most = (1 + case.interruptions()).min(LETTERS);
            found.unless(copies <= most, DeadLetterIsTheSame, || {
                format!("the record at {place:?} is {copies} dead letters of {group}, at most {most} are explained")
            });
        }
        if let Some(participant) = participant {
            given_up(case, participant, &wants, found);
        }
    }
}

/// The poison that is in the log, by its place there.
fn in_the_log<'a>(case: &Case<'a>) -> BTreeMap<Place, &'a Record> {
    let log = case.history.log.iter();
    let poison = log.filter(|record| super::is_poison(case.history, record));
    poison
        .map(|record| (super::place(record), record))
        .collect()
}

fn want(case: &Case<'_>, participant: Option<&Participant>, record: &Record) -> Want {
    let heading = match read(&record.as_ref(), case.history.partitions) {
        Err(_) => return Want::Yes,
        Ok(Reading::UnknownStatus { .. }) => return Want::No,
        Ok(Reading::Event(heading)) => heading,
    };
    let story = case.orders.get(&heading.order_id);
    let event = story.and_then(|story| {
        let mut events = story.events.iter();
        Some((
            story,
            events.find(|event| event.place() == super::place(record))?,
        ))
    });
    match (participant, event) {
        (Some(participant), Some((story, event))) => {
            let mailed = &case.history.bounds.mailed;
            of_event(&participant.name, story, event, mailed)
        }
        _ => Want::Perhaps,
    }
}

/// Only an event that moves its order on is decided about, and only by those who need its body.
fn of_event(name: &str, story: &Story<'_>, event: &Event<'_>, mailed: &[OrderStatus]) -> Want {
    use OrderStatus::{Paid, Pending, Reserved, Shipped};
    let status = event.heading.status;
    if story.loose {
        return Want::Perhaps;
    }
    if !event.effective || !event.poison {
        return Want::No;
    }
    let mut steps = story.steps();
    let is_first = steps
        .next()
        .is_some_and(|first| first.place() == event.place());
    let needs = match (name, status) {
        // These know the pieces, or the parcel, from an event before, if there was one.
        ("stock", Reserved | Paid | Shipped) | ("shipping", Shipped) => return Want::Perhaps,
        ("stock", Pending) | ("payment", Reserved | Paid) | ("shipping", Paid) => true,
        ("orders", _) => is_first && !status.is_terminal(),
        ("orders-view", _) => true,
        ("email", _) => mailed.contains(&status),
        _ => false,
    };
    if needs { Want::Yes } else { Want::No }
}

/// Who gave up a decision knows it: until its redrive the order's row says so, and no other row does.
fn given_up(
    case: &Case<'_>,
    participant: &Participant,
    wants: &BTreeMap<Place, Want>,
    found: &mut Findings,
) {
    let name = &participant.name;
    for row in &participant.orders {
        let Some(story) = case.story(&row.order_id) else {
            continue;
        };
        let wants = story.events.iter().filter_map(|e| wants.get(&e.place()));
        let wants: Vec<Want> = wants.copied().collect();
        let has = |want| wants.contains(&want);
        let explained = !row.failed || has(Want::Yes) || has(Want::Perhaps);
        found.unless(explained, DeadLetterIsPoison, || {
            format!(
                "{name} gave up a decision about {}, and has no reason",
                row.order_id
            )
        });
        found.unless(row.failed || !has(Want::Yes), PoisonIsDeadLettered, || {
            format!(
                "{name} cannot decide about {}, and its row says nothing of it",
                row.order_id
            )
        });
    }
}

/// The poison that a letter is a copy of.
fn judge<'a>(
    record: &Record,
    group: &str,
    poison: &BTreeMap<Place, &'a Record>,
    found: &mut Findings,
) -> Option<&'a Record> {
    let letter = DeadLetter::from(record.clone());
    if letter.source.is_none() && record.header(RESOLUTION).is_some() {
        return None;
    }
    let place = letter
        .source
        .as_ref()
        .map(|source| (source.partition, source.offset));
    // A letter that was redriven and failed again comes from its second place.
    let again = || {
        record.header(REDRIVE_COUNT)?;
        poison.values().find(|poison| poison.value == record.value)
    };
    let original = place.and_then(|place| poison.get(&place));
    let Some(original) = original.or_else(again).copied() else {
        found.add(
            DeadLetterIsPoison,
            format!(
                "{group}: the dead letter {} comes from {place:?}, where no poison is",
                at(record)
            ),
        );
        return None;
    };
    let headers = letter
        .original_headers()
        .filter(|(name, _)| !name.starts_with("redrive-"));
    let same = record.key == original.key
        && record.value == original.value
        && headers.eq(original.headers.iter())
        && record.header(dlt::ORIGINAL_CONSUMER_GROUP) == Some(group);
    found.unless(same, DeadLetterIsTheSame, || {
        format!(
            "{group}: the dead letter {} differs from the record at {}",
            at(record),
            at(original)
        )
    });
    Some(original)
}
