//! From an event to the key, headers and value of a record.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bad_record::BadRecord;
use crate::event::OrderEvent;
use crate::event_id::event_id;
use crate::event_status::EventStatus;
use crate::header;
use crate::partition::home_partition;
use crate::record::{Reading, RecordRef, read};
use crate::traceparent;

/// Why an event cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Its status is unknown here, and nobody writes what it does not know.
    #[error("an event with an unknown status cannot be written")]
    UnknownStatus,
    /// A price has no number in JSON.
    #[error("a price is not a finite number")]
    NotFinite,
}

/// A record to be appended, byte for byte; it can be stored and published again later.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedEvent {
    /// The order id.
    pub key: String,
    /// The headers in the order they are written.
    pub headers: Vec<(String, String)>,
    /// The body, JSON. It holds personal data: never log it.
    pub value: String,
}

/// Encodes the events of one writer.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// Name of the writing service, such as `stock-service`. A part of each event id: it stays the same over
    /// restarts, instances and releases.
    pub writer: String,
    /// The Java class to name in [`header::TYPE_ID`], if Java consumers are to read the events.
    pub type_id: Option<String>,
}

impl Encoder {
    /// Encodes `event`, made at `time`, as part of the trace `traceparent`. A malformed `traceparent` is left
    /// out: it came from outside and is not worth an event.
    ///
    /// # Errors
    /// When the status is unknown or a price is not a finite number.
    pub fn encode(
        &self,
        event: &OrderEvent,
        time: Timestamp,
        traceparent: Option<&str>,
    ) -> Result<EncodedEvent, EncodeError> {
        let EventStatus::Known(status) = event.status else {
            return Err(EncodeError::UnknownStatus);
        };
        let order_id = event.order.order_id;
        let id = event_id(order_id, status, &self.writer, event.reason.as_deref());
        let mut headers = vec![
            (header::CE_SPECVERSION, "1.0".to_owned()),
            (header::CE_ID, id.to_string()),
            (header::CE_TYPE, status.ce_type().to_owned()),
            (header::CE_SOURCE, format!("/{}", self.writer)),
            (header::CE_SUBJECT, order_id.to_string()),
            (header::CE_TIME, time.to_string()),
            (header::CONTENT_TYPE, "application/json".to_owned()),
        ];
        let traceparent = traceparent.filter(|value| traceparent::is_valid(value));
        headers.extend(traceparent.map(|value| (header::TRACEPARENT, value.to_owned())));
        headers.extend(self.type_id.clone().map(|value| (header::TYPE_ID, value)));
        Ok(EncodedEvent {
            key: order_id.to_string(),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            value: event.to_json()?,
        })
    }
}

impl EncodedEvent {
    /// The headers as [`RecordRef`] has them.
    #[must_use]
    pub fn header_bytes(&self) -> Vec<(String, Vec<u8>)> {
        self.headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
            .collect()
    }

    /// Reads this record as every service will, from its home partition of `partitions`, body included. Rule
    /// R12: nothing is stored for publishing before this succeeded.
    ///
    /// # Errors
    /// What would be wrong with the record for its readers.
    pub fn read_back(&self, partitions: i32) -> Result<Reading, BadRecord> {
        let headers = self.header_bytes();
        let id = self
            .key
            .parse()
            .map_err(|_| BadRecord::OrderId { place: "key" })?;
        let value = Some(self.value.as_bytes());
        let partition = home_partition(id, partitions);
        let reading = read(
            &RecordRef {
                partition,
                key: Some(self.key.as_bytes()),
                headers: &headers,
                value,
            },
            partitions,
        )?;
        if let Reading::Event(heading) = &reading {
            heading.decode(value)?;
        }
        Ok(reading)
    }
}

impl fmt::Debug for EncodedEvent {
    /// Leaves the body out: it holds personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedEvent")
            .field("key", &self.key)
            .field("headers", &self.headers)
            .field("value_bytes", &self.value.len())
            .finish()
    }
}
