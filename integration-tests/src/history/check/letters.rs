//! Dead letters: the poison that was injected, byte for byte, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use service_runtime::kafka::letters::{DeadLetter, REDRIVE_COUNT};
use service_runtime::kafka::{Record, dlt};

use super::super::Invariant::{DeadLetterIsPoison, DeadLetterIsTheSame, PoisonIsDeadLettered};
use super::super::{Place, Poison};
use super::{Case, Findings, at};

/// Header of what an operator did about a letter, which stands in the same topic.
const RESOLUTION: &str = "dlt-resolution";

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let poison = in_the_log(case);
    let participants = case.history.databases.participants.iter();
    let mut groups: BTreeSet<&str> = participants.map(|p| p.group.as_str()).collect();
    groups.extend(case.history.dead_letters.keys().map(String::as_str));
    for group in groups {
        let mut copies = BTreeMap::<Place, usize>::new();
        for letter in case.history.dead_letters.get(group).into_iter().flatten() {
            if let Some(place) = judge(letter, group, &poison, found) {
                *copies.entry(place).or_default() += 1;
            }
        }
        for (place, (poison, _)) in &poison {
            let wanted = poison
                .groups
                .as_ref()
                .is_none_or(|groups| groups.contains(group));
            let copies = copies.get(place).copied().unwrap_or(0);
            found.unless(!wanted || copies > 0, PoisonIsDeadLettered, || {
                format!("the record at {place:?} is no dead letter of {group}")
            });
            let most = 1 + case.interruptions();
            found.unless(copies <= most, DeadLetterIsTheSame, || {
                format!("the record at {place:?} is {copies} dead letters of {group}, at most {most} are explained")
            });
        }
    }
}

/// The poison that is in the log, by its place there.
fn in_the_log<'a>(case: &Case<'a>) -> BTreeMap<Place, (&'a Poison, &'a Record)> {
    let mut all = BTreeMap::new();
    for record in &case.history.log {
        let mut poison = case.history.poison.iter();
        if let Some(poison) = poison.find(|poison| poison.record.is(record)) {
            all.insert(super::place(record), (poison, record));
        }
    }
    all
}

/// The place of the poison that a letter is a copy of.
fn judge(
    record: &Record,
    group: &str,
    poison: &BTreeMap<Place, (&Poison, &Record)>,
    found: &mut Findings,
) -> Option<Place> {
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
        let same = |(_, poison): &&(&Poison, &Record)| poison.value == record.value;
        poison.values().find(same)
    };
    let original = place.and_then(|place| poison.get(&place));
    let Some((poison, original)) = original.or_else(again) else {
        found.add(
            DeadLetterIsPoison,
            format!(
                "{group}: the dead letter {} comes from {place:?}, where no poison is",
                at(record)
            ),
        );
        return None;
    };
    let wanted = poison
        .groups
        .as_ref()
        .is_none_or(|groups| groups.contains(group));
    found.unless(wanted, DeadLetterIsPoison, || {
        format!(
            "{group} can use the record at {}, and dead-lettered it",
            at(original)
        )
    });
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
    Some(super::place(original))
}
