//! The record that a redrive appends: pure.

use base_domains::{BadRecord, Reading, RecordRef, header, read};

use super::{Case, DeadLetter, Source};
use crate::kafka::{NewRecord, PartitionId};

/// Header: how often the record was redriven, this time included, as decimal text. A letter of a
/// record that failed again carries it on.
pub const REDRIVE_COUNT: &str = "redrive-count";

/// For whom a record that nobody could read is appended again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// For the one group that failed to decide; a record that nobody could read is refused.
    OneGroup,
    /// The same, and a record that nobody could read becomes a new event for all groups.
    AsNewEvent,
}

/// Why a letter cannot be redriven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotRedrive {
    /// It does not say where it came from.
    #[error("it does not say where it came from")]
    NoSource,
    /// It came from another topic than the one whose dead letters these are.
    #[error("it came from topic {0}")]
    OtherTopic(String),
    /// The topic has no such partition.
    #[error("its partition {partition} is none of the {partitions} of the topic")]
    NoSuchPartition {
        /// That it came from.
        partition: PartitionId,
        /// How many the topic has.
        partitions: i32,
    },
    /// One group would see what the others do not (rule R2).
    #[error(
        "no group could read it, so it has to become a new event for all of them, and not for one"
    )]
    Unread,
    /// It would be a dead letter again, of every group.
    #[error("it still cannot be read: {0}")]
    StillUnreadable(#[from] BadRecord),
    /// Nobody would do anything about it.
    #[error("its status is one that has no effect")]
    UnknownStatus,
}

/// The record that redrives the letter of `case`, which `group` could not handle.
///
/// It goes to its origin under its key, and to the partition that it came from, which is the home
/// of its order. `log` is the topic of these dead letters, and `partitions` the number that it has.
///
/// # Errors
/// Why it cannot be redriven so.
pub fn redriven(
    case: &Case,
    group: &str,
    log: &str,
    partitions: i32,
    scope: Scope,
) -> Result<NewRecord, CannotRedrive> {
    let letter = &case.letter;
    let source = letter.source.as_ref().ok_or(CannotRedrive::NoSource)?;
    if source.topic != log {
        return Err(CannotRedrive::OtherTopic(source.topic.clone()));
    }
    if !(0..partitions).contains(&source.partition) {
        return Err(CannotRedrive::NoSuchPartition {
            partition: source.partition,
            partitions,
        });
    }
    let (partition, addressee) = match (letter.is_unread(), scope) {
        (false, _) => (source.partition, Some(group)),
        (true, Scope::OneGroup) => return Err(CannotRedrive::Unread),
        (true, Scope::AsNewEvent) => (readable_in(letter, source, partitions)?, None),
    };
    let count = case.redrives().saturating_add(1).to_string();
    let added = addressee.map(|group| (header::REDRIVE_GROUP, group));
    let added = added.into_iter().chain([(REDRIVE_COUNT, count.as_str())]);
    let kept = letter
        .original_headers()
        .filter(|(name, _)| ![header::REDRIVE_GROUP, REDRIVE_COUNT].contains(&name.as_str()))
        .cloned();
    Ok(NewRecord {
        topic: source.topic.clone(),
        partition: Some(partition),
        key: letter.record.key.clone(),
        headers: kept
            .chain(added.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())))
            .collect(),
        value: letter.record.value.clone(),
    })
}

/// The partition in which every group of this version can read the record.
fn readable_in(
    letter: &DeadLetter,
    source: &Source,
    partitions: i32,
) -> Result<PartitionId, CannotRedrive> {
    let record = &letter.record;
    let view = RecordRef {
        partition: source.partition,
        key: record.key.as_deref(),
        headers: &record.headers,
        value: record.value.as_deref(),
    };
    match read(&view, partitions) {
        Ok(Reading::Event(_)) => Ok(source.partition),
        Ok(Reading::UnknownStatus { .. }) => Err(CannotRedrive::UnknownStatus),
        Err(BadRecord::WrongPartition { home, .. }) => Ok(home),
        Err(bad) => Err(bad.into()),
    }
}
