//! What one record of the topic `orders` means: whose it is and which status it brings (rules R3 and R4).
//!
//! Every group reads with [`read`], so all of them fold the same events and refuse the same records.
//! - The order id is `ce_subject` and the status `ce_type` where these headers are there, else they come from
//!   the body. With both headers the body is not looked at: a broken body can spoil a decision, never the fold.
//! - A header that is there but cannot be read makes a bad record; the body is no second opinion. Of repeated
//!   headers the last counts, as for Java's `lastHeader`.
//! - A bare record (no `ce_` header) that says PENDING is accepted from any partition, since the tutorial's
//!   producer sends no key. Everything else has to be in the order's home partition. The key itself is not
//!   judged: the partition is what places a record in the life of an order.

use std::fmt;

use crate::bad_record::BadRecord;
use crate::event::OrderEvent;
use crate::event_id::event_id;
use crate::event_status::EventStatus;
use crate::header;
use crate::order_id::OrderId;
use crate::partition::home_partition;
use crate::status::OrderStatus;

/// Longest `ce_id` taken over, in bytes.
const MAX_EVENT_ID: usize = 200;
/// Longest unknown status reported, in characters.
const MAX_UNKNOWN: usize = 64;

/// A record as the client library hands it over.
#[derive(Clone, Copy)]
pub struct RecordRef<'a> {
    /// The partition it was read from.
    pub partition: i32,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The headers in their order.
    pub headers: &'a [(String, Vec<u8>)],
    /// The value.
    pub value: Option<&'a [u8]>,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// An event to fold.
    Event(Heading),
    /// An event of a later version: counted, without effect.
    UnknownStatus {
        /// The order it is about.
        order_id: OrderId,
        /// The status it brings, cut at 64 characters. Text of somebody else: not for a metric label.
        status: String,
    },
}

/// Whose event it is, and what it brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// The order.
    pub order_id: OrderId,
    /// The status.
    pub status: OrderStatus,
    /// `ce_id` if it is there and readable, else one derived from order and status.
    pub event_id: String,
    /// Whether the record has no `ce_` header: one of the tutorial's, not of ours.
    pub bare: bool,
}

/// Reads one record of a topic with `partitions` partitions.
///
/// # Errors
/// When the record is not an order event that every group can fold.
pub fn read(record: &RecordRef<'_>, partitions: i32) -> Result<Reading, BadRecord> {
    let (order_id, status) = subject_and_status(record)?;
    let bare = record
        .headers
        .iter()
        .all(|(name, _)| !name.starts_with(header::CE_PREFIX));
    let from_anywhere = bare && status == EventStatus::Known(OrderStatus::Pending);
    let home = home_partition(order_id, partitions);
    if record.partition != home && !from_anywhere {
        return Err(BadRecord::WrongPartition {
            order_id,
            home,
            partition: record.partition,
        });
    }
    Ok(match status {
        EventStatus::Known(status) => {
            let event_id = record
                .event_id()
                .unwrap_or_else(|| event_id(order_id, status, "", None).to_string());
            Reading::Event(Heading {
                order_id,
                status,
                event_id,
                bare,
            })
        }
        EventStatus::Unknown(status) => Reading::UnknownStatus {
            order_id,
            status: status.chars().take(MAX_UNKNOWN).collect(),
        },
    })
}

fn subject_and_status(record: &RecordRef<'_>) -> Result<(OrderId, EventStatus), BadRecord> {
    let subject = record
        .text(header::CE_SUBJECT)?
        .map(order_id_of)
        .transpose()?;
    let status = record.text(header::CE_TYPE)?.map(EventStatus::from_ce_type);
    if let (Some(order_id), Some(status)) = (subject, &status) {
        return Ok((order_id, status.clone()));
    }
    let body = decode(record.value)?;
    Ok((
        subject.unwrap_or(body.order.order_id),
        status.unwrap_or(body.status),
    ))
}

fn order_id_of(subject: &str) -> Result<OrderId, BadRecord> {
    subject.parse().map_err(|_| BadRecord::OrderId {
        place: header::CE_SUBJECT,
    })
}

fn decode(value: Option<&[u8]>) -> Result<OrderEvent, BadRecord> {
    Ok(OrderEvent::from_json(value.ok_or(BadRecord::NoValue)?)?)
}

impl Heading {
    /// Decodes the body of this heading's record, for a decision.
    ///
    /// The status of the heading counts, whatever the body says. A body about another order is refused.
    ///
    /// # Errors
    /// When there is no body, or it is not an order event of this order.
    pub fn decode(&self, value: Option<&[u8]>) -> Result<OrderEvent, BadRecord> {
        let event = decode(value)?;
        let body = event.order.order_id;
        if body == self.order_id {
            Ok(event)
        } else {
            Err(BadRecord::TwoOrders {
                header: self.order_id,
                body,
            })
        }
    }
}

impl<'a> RecordRef<'a> {
    fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers
            .iter()
            .rev()
            .find(|(candidate, _)| candidate == name)
            .map(|(_, value)| value.as_slice())
    }

    fn text(&self, name: &'static str) -> Result<Option<&'a str>, BadRecord> {
        let text = self.header(name).map(std::str::from_utf8).transpose();
        text.map_err(|_| BadRecord::HeaderNotText { name })
    }

    fn event_id(&self) -> Option<String> {
        let id = std::str::from_utf8(self.header(header::CE_ID)?).ok()?;
        let usable = (1..=MAX_EVENT_ID).contains(&id.len()) && !id.contains(char::is_control);
        usable.then(|| id.to_owned())
    }
}

impl fmt::Debug for RecordRef<'_> {
    /// Leaves the contents out: they may hold personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordRef")
            .field("partition", &self.partition)
            .field("headers", &self.headers.len())
            .field("value_bytes", &self.value.map(<[u8]>::len))
            .finish_non_exhaustive()
    }
}
