//! Where the log ends: asked of the broker, apart from any consumer.

use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::producer::Producer;

use super::{KafkaProducer, PartitionId};

/// Asks the broker for end offsets over the producer's connection. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogEnds {
    producer: KafkaProducer,
    topic: String,
    timeout: Duration,
}

impl LogEnds {
    /// Looks at `topic`; each question waits at most `timeout`.
    #[must_use]
    pub fn new(producer: KafkaProducer, topic: &str, timeout: Duration) -> Self {
        Self {
            producer,
            topic: topic.to_owned(),
            timeout,
        }
    }

    /// First and next offset of `partition`, as of after this call began.
    ///
    /// # Errors
    /// The broker does not answer in time.
    pub async fn range(&self, partition: PartitionId) -> Result<(i64, i64), KafkaError> {
        let producer = self.producer.client();
        let (topic, timeout) = (self.topic.clone(), self.timeout);
        let asked = tokio::task::spawn_blocking(move || {
            producer
                .client()
                .fetch_watermarks(&topic, partition, timeout)
        });
        asked.await.unwrap_or(Err(KafkaError::Canceled))
    }

    /// The offset that the next record of `partition` will get.
    ///
    /// # Errors
    /// The broker does not answer in time.
    pub async fn end(&self, partition: PartitionId) -> Result<i64, KafkaError> {
        Ok(self.range(partition).await?.1)
    }
}
