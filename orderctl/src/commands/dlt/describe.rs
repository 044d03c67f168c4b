//! Letters as they are printed.

use jiff::Timestamp;
use serde::Serialize;
use service_runtime::kafka::letters::{Case, Resolution};

use crate::output::Table;
use crate::output::printable;

/// A letter without its payload.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) group: String,
    pub(super) id: String,
    pub(super) state: &'static str,
    /// When it became a letter.
    pub(super) at: Option<String>,
    pub(super) cause: Cause,
    pub(super) source: Option<Source>,
    pub(super) key: Option<String>,
    /// How often its record was redriven so far.
    pub(super) redrives: u32,
    /// Whether it could not be read at all, by no group.
    pub(super) unread: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cause {
    pub(super) code: String,
    pub(super) message: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Source {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) at: Option<String>,
}

/// One audit line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    pub(super) action: &'static str,
    pub(super) by: String,
    pub(super) at: String,
    pub(super) reason: Option<String>,
    pub(super) to: Option<String>,
}

impl Summary {
    pub(super) fn new(group: &str, case: &Case) -> Self {
        let letter = &case.letter;
        Self {
            group: group.to_owned(),
            id: letter.id.to_string(),
            state: case.state().as_str(),
            at: letter.record.timestamp.and_then(time),
            cause: Cause {
                code: letter.code.clone(),
                message: letter.message.clone(),
            },
            source: letter.source.as_ref().map(|source| Source {
                topic: source.topic.clone(),
                partition: source.partition,
                offset: source.offset,
                at: source.timestamp.and_then(time),
            }),
            key: letter.record.key.as_deref().map(escaped),
            redrives: case.redrives(),
            unread: letter.is_unread(),
        }
    }

    /// Where it came from, such as `orders/1@55`.
    pub(super) fn from(&self) -> String {
        let source = self.source.as_ref();
        source.map_or_else(
            String::new,
            |Source {
                 topic,
                 partition,
                 offset,
                 ..
             }| { place(topic, *partition, *offset) },
        )
    }
}

impl Line {
    pub(super) fn new(resolution: &Resolution) -> Self {
        Self {
            action: resolution.action.as_str(),
            by: resolution.by.clone(),
            at: resolution.at.clone(),
            reason: resolution.reason.clone(),
            to: resolution.to.clone(),
        }
    }

    /// In words, such as `redriven by ann at … to orders/1@55: the decoder is fixed`.
    pub(super) fn text(&self) -> String {
        let to = self.to.as_ref().map(|to| format!(" to {to}"));
        let reason = self.reason.as_ref().map(|reason| format!(": {reason}"));
        let (to, reason) = (to.unwrap_or_default(), reason.unwrap_or_default());
        let Self { action, by, at, .. } = self;
        printable(&format!("{action} by {by} at {at}{to}{reason}"))
    }
}

pub(super) fn table(letters: &[Summary]) -> String {
    let mut table = Table::new(&[
        "GROUP", "ID", "STATE", "AT", "CAUSE", "FROM", "KEY", "REDRIVES",
    ]);
    for letter in letters {
        table.row([
            printable(&letter.group),
            letter.id.clone(),
            letter.state.to_owned(),
            letter.at.clone().unwrap_or_default(),
            printable(&letter.cause.code),
            printable(&letter.from()),
            letter.key.clone().unwrap_or_default(),
            letter.redrives.to_string(),
        ]);
    }
    table.text()
}

pub(super) fn place(topic: &str, partition: i32, offset: i64) -> String {
    format!("{topic}/{partition}@{offset}")
}

fn time(millis: i64) -> Option<String> {
    let time = Timestamp::from_millisecond(millis).ok()?;
    Some(time.to_string())
}

/// Text as it is, with its control characters escaped; of other bytes each that is no text as `\xff`.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(&printable(chunk.valid()));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_escaped_and_text_stays() {
        assert_eq!(escaped("ü{\"a\":1}".as_bytes()), "ü{\"a\":1}");
        assert_eq!(escaped(b"\xff garbage \0"), "\\xff garbage \\u{0}");
    }
}
