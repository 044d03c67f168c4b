//! Every way to break a promise that the checker has to find.

mod answers;
mod effects;
mod ends;
mod log;
mod notifications;
mod rows;
mod stock;

use integration_tests::history::History;
use service_runtime::kafka::Record;

use crate::lives::id;
use crate::plant::Plant;

/// All of them.
pub(crate) fn all() -> Vec<Plant> {
    [
        answers::all(),
        ends::all(),
        log::all(),
        rows::all(),
        stock::all(),
        effects::all(),
        notifications::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The records of the `n`-th order with this type, such as `order.paid`.
fn records(history: &mut History, n: u128, ce_type: &str) -> Vec<usize> {
    let of = |record: &Record| {
        record.header("ce_subject") == Some(&id(n).to_string())
            && record.header("ce_type") == Some(ce_type)
    };
    let places = history.log.iter().enumerate();
    places
        .filter(|(_, record)| of(record))
        .map(|(place, _)| place)
        .collect()
}

/// The first of them.
fn record<'a>(history: &'a mut History, n: u128, ce_type: &str) -> &'a mut Record {
    let place = records(history, n, ce_type)[0];
    &mut history.log[place]
}

/// Replaces `old` in a value, which has it.
fn rewrite(record: &mut Record, old: &str, new: &str) {
    let value = String::from_utf8(record.value.take().unwrap()).unwrap();
    assert!(value.contains(old), "{old}");
    record.value = Some(value.replace(old, new).into_bytes());
}

/// Sets a header that is there.
fn set_header(record: &mut Record, name: &str, value: &str) {
    let header = record.headers.iter_mut().find(|(other, _)| other == name);
    header.unwrap().1 = value.as_bytes().to_vec();
}

/// Appends a copy of a record to its partition, with all that follows from it in the places of the groups.
fn append(history: &mut History, mut record: Record) {
    let partition = record.partition;
    let of = history
        .log
        .iter()
        .filter(|other| other.partition == partition);
    record.offset = of.map(|other| other.offset + 1).max().unwrap();
    let end = record.offset + 1;
    history.log.push(record);
    for lag in history
        .offsets
        .values_mut()
        .flatten()
        .filter(|lag| lag.partition == partition)
    {
        (lag.end, lag.committed) = (end, Some(end));
    }
    for participant in &mut history.databases.participants {
        participant.positions.insert(partition, end);
    }
}
