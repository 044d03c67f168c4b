//! One dead letter, as its headers tell it.

use base_domains::header;

use super::LetterId;
use super::redrive::REDRIVE_COUNT;
use crate::kafka::{PartitionId, Record, dlt};

/// Stands in for a cause that no header names.
const UNKNOWN: &str = "unknown";

/// Where the record had been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: PartitionId,
    /// The offset.
    pub offset: i64,
    /// When it was appended there, in epoch milliseconds.
    pub timestamp: Option<i64>,
}

/// A record that a group could not handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its place in the dead-letter topic.
    pub id: LetterId,
    /// Stable word for the cause.
    pub code: String,
    /// The cause in words.
    pub message: String,
    /// Where it came from; `None` when somebody else put it here.
    pub source: Option<Source>,
    /// How often the record had been redriven before it failed this time.
    pub redriven_before: u32,
    /// The record as it stands in the dead-letter topic.
    pub record: Record,
}

impl From<Record> for DeadLetter {
    fn from(record: Record) -> Self {
        let text = |name| record.header(name).map(str::to_owned);
        Self {
            id: LetterId::from(&record),
            code: text(dlt::EXCEPTION_FQCN).unwrap_or_else(|| UNKNOWN.to_owned()),
            message: text(dlt::EXCEPTION_MESSAGE).unwrap_or_default(),
            source: source(&record),
            redriven_before: count(&record),
            record,
        }
    }
}

impl DeadLetter {
    /// The record's own headers, without those that made it a letter.
    pub fn original_headers(&self) -> impl Iterator<Item = &(String, Vec<u8>)> {
        let headers = self.record.headers.iter();
        headers.filter(|(name, _)| !dlt::ALL.contains(&name.as_str()))
    }

    /// Whether the record could not be read at all. Then no group has folded it, since all of them
    /// read alike (rule R3), and there is no failed decision to be made again.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        match self.code.as_str() {
            "header_not_text" | "invalid_order_id" | "wrong_partition" => true,
            // With both headers the body is not needed to be read, only to be decided about.
            "no_value" | "invalid_body" => [header::CE_SUBJECT, header::CE_TYPE]
                .iter()
                .any(|name| self.record.header(name).is_none()),
            _ => false,
        }
    }
}

fn source(record: &Record) -> Option<Source> {
    let timestamp = number(record, dlt::ORIGINAL_TIMESTAMP).map(i64::from_be_bytes);
    Some(Source {
        topic: record.header(dlt::ORIGINAL_TOPIC)?.to_owned(),
        partition: number(record, dlt::ORIGINAL_PARTITION).map(i32::from_be_bytes)?,
        offset: number(record, dlt::ORIGINAL_OFFSET).map(i64::from_be_bytes)?,
        timestamp: timestamp.filter(|millis| *millis >= 0),
    })
}

/// The bytes of the last header of this name, if they are so many.
fn number<const BYTES: usize>(record: &Record, name: &str) -> Option<[u8; BYTES]> {
    let (_, value) = record.headers.iter().rfind(|(key, _)| key == name)?;
    value.as_slice().try_into().ok()
}

fn count(record: &Record) -> u32 {
    let text = record.header(REDRIVE_COUNT);
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}
