//! Producing with awaited delivery.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};

use super::config::KafkaConfig;
use super::{PartitionId, client};

/// A record to append.
#[derive(Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// Topic to append to.
    pub topic: String,
    /// `None`: by key, with the partitioner that Java clients use.
    pub partition: Option<PartitionId>,
    /// Key bytes; `None` is Kafka's null key.
    pub key: Option<Vec<u8>>,
    /// Headers in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Value bytes; `None` is Kafka's null value.
    pub value: Option<Vec<u8>>,
}

impl NewRecord {
    /// The record that carries `event` to `topic`, keyed by its order id.
    #[must_use]
    pub fn event(topic: &str, event: &base_domains::EncodedEvent) -> Self {
        Self {
            topic: topic.to_owned(),
            partition: None,
            key: Some(event.key.as_bytes().to_vec()),
            headers: event
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_bytes().to_vec()))
                .collect(),
            value: Some(event.value.as_bytes().to_vec()),
        }
    }
}

/// Topic only: keys, headers and values may hold personal data.
impl std::fmt::Debug for NewRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "NewRecord(to {})", self.topic)
    }
}

/// Where an acknowledged record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Partition it went to.
    pub partition: PartitionId,
    /// Its offset there.
    pub offset: i64,
}

/// Why a record was not acknowledged.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ProduceError {
    /// The local queue is full: the record was certainly not sent.
    #[error("the queue to the broker is full")]
    QueueFull,
    /// No acknowledgement in time, or an error after sending: the record may be in the log.
    #[error("no acknowledgement from the broker: {0}")]
    Unknown(String),
    /// The broker or the client refuses this record for good.
    #[error("the record was refused: {0}")]
    Refused(String),
    /// The client is unusable from now on; the process has to be restarted.
    #[error("the producer failed for good: {0}")]
    Fatal(String),
}

/// Resolves when the record is acknowledged or given up.
pub type Delivery = Pin<Box<dyn Future<Output = Result<Delivered, ProduceError>> + Send>>;

/// Appends records to the log.
pub trait EventProducer: Send + Sync + 'static {
    /// Queues `record` at once (records of one key keep the order of the calls) and returns the
    /// wait for its acknowledgement. Dropping the wait does not take the record back.
    ///
    /// # Errors
    /// [`ProduceError::QueueFull`] and [`ProduceError::Refused`] when it cannot be queued.
    fn enqueue(&self, record: &NewRecord) -> Result<Delivery, ProduceError>;
}

/// The idempotent `acks=all` producer of a service. Cheap to clone.
#[derive(Clone)]
pub struct KafkaProducer {
    inner: FutureProducer,
    give_up_after: Duration,
}

/// librdkafka looks for records that are out of time once a second, and later than that while it
/// waits for a broker that is frozen.
const LATENESS: Duration = Duration::from_secs(1);

impl std::fmt::Debug for KafkaProducer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KafkaProducer")
    }
}

impl KafkaProducer {
    /// Creates the client; no broker needs to answer yet.
    ///
    /// # Errors
    /// A setting that librdkafka does not accept.
    pub fn new(config: &KafkaConfig) -> Result<Self, KafkaError> {
        let inner = client::producer(config).create()?;
        Ok(Self {
            inner,
            give_up_after: config.delivery_timeout + LATENESS,
        })
    }

    /// Waits until every queued record is acknowledged or given up, at most `timeout`.
    ///
    /// # Errors
    /// Records are still queued after `timeout`. Dropping an unflushed producer would lose them.
    pub async fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        let producer = self.inner.clone();
        // `flush` blocks its thread.
        match tokio::task::spawn_blocking(move || producer.flush(timeout)).await {
            Ok(result) => result,
            Err(_) => Err(KafkaError::Canceled),
        }
    }

    /// The client itself, for metadata requests.
    pub(super) fn client(&self) -> FutureProducer {
        self.inner.clone()
    }
}

impl EventProducer for KafkaProducer {
    fn enqueue(&self, record: &NewRecord) -> Result<Delivery, ProduceError> {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            });
        let mut outgoing = FutureRecord::<[u8], [u8]>::to(&record.topic).headers(headers);
        if let Some(key) = &record.key {
            outgoing = outgoing.key(key);
        }
        if let Some(value) = &record.value {
            outgoing = outgoing.payload(value);
        }
        if let Some(partition) = record.partition {
            outgoing = outgoing.partition(partition);
        }
        match self.inner.send_result(outgoing) {
            Ok(delivery) => Ok(Box::pin(self.clone().acknowledged(delivery))),
            Err((error, _)) => Err(self.classify(&error)),
        }
    }
}

impl KafkaProducer {
    async fn acknowledged(self, delivery: DeliveryFuture) -> Result<Delivered, ProduceError> {
        let Ok(delivery) = tokio::time::timeout(self.give_up_after, delivery).await else {
            return Err(ProduceError::Unknown("it takes too long".to_owned()));
        };
        match delivery {
            Ok(Ok(delivered)) => Ok(Delivered {
                partition: delivered.partition,
                offset: delivered.offset,
            }),
            Ok(Err((error, _))) => Err(self.classify(&error)),
            Err(_) => Err(ProduceError::Unknown("the producer was closed".to_owned())),
        }
    }

    /// A fatal error comes first: the records it befalls only say that they were purged.
    fn classify(&self, error: &KafkaError) -> ProduceError {
        if let Some((_, reason)) = self.inner.client().fatal_error() {
            return ProduceError::Fatal(reason);
        }
        classify(error)
    }
}

/// Everything that is not certainly unsent counts as unknown (invariant 1).
fn classify(error: &KafkaError) -> ProduceError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => ProduceError::QueueFull,
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::TopicAuthorizationFailed,
        ) => ProduceError::Refused(error.to_string()),
        Some(RDKafkaErrorCode::Fatal) => ProduceError::Fatal(error.to_string()),
        _ => ProduceError::Unknown(error.to_string()),
    }
}
