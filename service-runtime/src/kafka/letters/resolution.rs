//! What somebody did about a letter: an audit line in the same topic, without a value.

use std::fmt;
use std::str::FromStr;

use super::{DeadLetter, LetterId};
use crate::kafka::{NewRecord, Record, dead_letter_topic, dlt};

/// What was done. Its presence makes a record without Spring's headers a resolution.
const ACTION: &str = "dlt-resolution";
/// The letter, such as `0/17`.
const LETTER: &str = "dlt-letter";
/// Who did it.
const BY: &str = "dlt-resolved-by";
/// When, RFC 3339, by the clock of who did it.
const AT: &str = "dlt-resolved-at";
/// Why.
const REASON: &str = "dlt-reason";
/// Where the record was appended to, such as `orders/1@55`.
const TO: &str = "dlt-redriven-to";

/// What was done about a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Its record was appended to its origin again.
    Redriven,
    /// It was given up.
    Discarded,
}

impl Action {
    /// The word in the header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redriven => "redriven",
            Self::Discarded => "discarded",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A word that names no [`Action`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownAction;

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        let actions = [Self::Redriven, Self::Discarded];
        let named = actions.into_iter().find(|action| action.as_str() == text);
        named.ok_or(UnknownAction)
    }
}

/// An audit line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What was done.
    pub action: Action,
    /// Who did it.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// Why, if it was said.
    pub reason: Option<String>,
    /// Where the record went; only of a redrive.
    pub to: Option<String>,
}

impl Resolution {
    /// The record to append to the dead-letter topic of `group`, to the partition of the letter, so
    /// that it stands behind it.
    #[must_use]
    pub fn record(&self, log: &str, group: &str, letter: &DeadLetter) -> NewRecord {
        let id = letter.id.to_string();
        let mut headers = vec![
            (ACTION, self.action.as_str()),
            (LETTER, &id),
            (BY, &self.by),
            (AT, &self.at),
        ];
        headers.extend(self.reason.as_deref().map(|reason| (REASON, reason)));
        headers.extend(self.to.as_deref().map(|to| (TO, to)));
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.as_bytes().to_vec());
        NewRecord {
            topic: dead_letter_topic(log, group),
            partition: Some(letter.id.partition),
            key: letter.record.key.clone(),
            headers: headers.into_iter().map(owned).collect(),
            value: None,
        }
    }

    /// The letter and what was done about it; `None` where `record` says neither.
    pub(super) fn of(record: &Record) -> Option<(LetterId, Self)> {
        let text = |name| record.header(name).map(str::to_owned);
        let resolution = Self {
            action: record.header(ACTION)?.parse().ok()?,
            by: text(BY).unwrap_or_default(),
            at: text(AT).unwrap_or_default(),
            reason: text(REASON),
            to: text(TO),
        };
        Some((record.header(LETTER)?.parse().ok()?, resolution))
    }

    /// Whether `record` is one, readable or not. A record of strangers that has our header was
    /// given Spring's when it became a letter.
    pub(super) fn is_one(record: &Record) -> bool {
        let has = |name: &str| record.headers.iter().any(|(key, _)| key == name);
        has(ACTION) && !has(dlt::ORIGINAL_TOPIC)
    }
}
