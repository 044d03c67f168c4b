//! What was done to the system on purpose.

use std::collections::BTreeSet;
use std::time::Duration;

use service_runtime::kafka::Record;

use super::Place;

/// A record that somebody else than the services appended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Injected {
    /// Where it is. `None`: its append was not acknowledged, so it is there or not.
    pub place: Option<Place>,
    /// Key bytes.
    pub key: Option<Vec<u8>>,
    /// Headers in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Value bytes.
    pub value: Option<Vec<u8>>,
}

/// A record that cannot have its effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Poison {
    /// The record.
    pub record: Injected,
    /// The groups that have to dead-letter it; `None` for all of them.
    pub groups: Option<BTreeSet<String>>,
}

/// A disturbance of a process or of a way between two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interruption {
    /// The process as the harness names it (`email`, `stock-0`), or the server: `broker`, `postgres`, `mailpit`.
    pub process: String,
    /// When.
    pub at: Duration,
    /// What was done.
    pub kind: Kind,
}

/// What can be done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ended at once.
    Kill,
    /// Asked to end.
    End,
    /// Stopped for a while.
    Freeze,
    /// Its connections were cut, delayed or silenced.
    Cut,
}

impl Injected {
    /// Whether `record` of the log is this one: by its place, or by its bytes where that is not known.
    #[must_use]
    pub fn is(&self, record: &Record) -> bool {
        match self.place {
            Some(place) => place == (record.partition, record.offset),
            None => self.has_bytes_of(record),
        }
    }

    /// Whether key, headers and value are the same.
    #[must_use]
    pub fn has_bytes_of(&self, record: &Record) -> bool {
        self.key == record.key && self.headers == record.headers && self.value == record.value
    }
}
