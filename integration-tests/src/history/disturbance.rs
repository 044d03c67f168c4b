//! What was done to the system on purpose.

use std::time::Duration;

use base_domains::{OrderId, OrderStatus, header};
use service_runtime::kafka::Record;
use uuid::Uuid;

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
    /// An event of an order such that its heading can be read and its body cannot, in the order's home partition.
    #[must_use]
    pub fn spoilt(order_id: OrderId, status: OrderStatus) -> Self {
        let text = |name: &str, value: String| (name.to_owned(), value.into_bytes());
        // Each with a number of its own, so that it is known again.
        let body = format!("{{\"order\": {}", Uuid::new_v4());
        Self {
            place: None,
            key: Some(order_id.to_string().into_bytes()),
            headers: vec![
                text(header::CE_TYPE, status.ce_type().to_owned()),
                text(header::CE_SUBJECT, order_id.to_string()),
            ],
            value: Some(body.into_bytes()),
        }
    }

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
