//! A consumed record, owned, so that it can be held while a dependency is down.

use base_domains::RecordRef;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};

use super::PartitionId;

/// One record as it was read from the log.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Partition it was read from.
    pub partition: PartitionId,
    /// Its offset in that partition.
    pub offset: i64,
    /// Time in epoch milliseconds as the broker keeps it, if it does.
    pub timestamp: Option<i64>,
    /// Key bytes; `None` is Kafka's null key.
    pub key: Option<Vec<u8>>,
    /// Headers in their order; a null value reads as empty.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Value bytes; `None` is Kafka's null value.
    pub value: Option<Vec<u8>>,
}

impl Record {
    /// The view that `base_domains::read` takes.
    #[must_use]
    pub fn as_ref(&self) -> RecordRef<'_> {
        RecordRef {
            partition: self.partition,
            key: self.key.as_deref(),
            headers: &self.headers,
            value: self.value.as_deref(),
        }
    }

    /// The last value of header `name` as text; `None` when it is missing or not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().rfind(|(key, _)| key == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// Coordinates only: keys, headers and values may hold personal data.
impl std::fmt::Debug for Record {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Record({}@{})", self.partition, self.offset)
    }
}

impl From<&BorrowedMessage<'_>> for Record {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers
                .iter()
                .map(|header| {
                    (
                        header.key.to_owned(),
                        header.value.unwrap_or_default().to_vec(),
                    )
                })
                .collect()
        });
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            headers,
            value: message.payload().map(<[u8]>::to_vec),
        }
    }
}
