//! Reads a topic as it stands, apart from any group: for demonstrations, tools and tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{KafkaConfig, PartitionId, Record, client};

/// Why a topic could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The broker does not answer, or refuses.
    #[error("the log cannot be read: {0}")]
    Kafka(#[from] KafkaError),
    /// There is no such topic, or its partitions are not known.
    #[error("topic {0} does not exist")]
    Missing(String),
    /// The end was not reached in time.
    #[error("the log was not read to its end within {0:?}")]
    TimedOut(Duration),
    /// Records that should be read are not there any more.
    #[error("records of the log were deleted before they were read")]
    Deleted,
    /// The reading thread ended early.
    #[error("reading the log was cut off")]
    CutOff,
}

/// How long one question may take: the next one may find another broker.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two questions while brokers come and go.
const BETWEEN: Duration = Duration::from_millis(200);

/// Every record of `topic` that is there now, by partition and offset.
///
/// # Errors
/// The broker does not answer, there is no such topic, or its end is not reached within `timeout`.
pub async fn read_all(
    config: &KafkaConfig,
    topic: &str,
    timeout: Duration,
) -> Result<Vec<Record>, ReadError> {
    let mut settings = client::consumer(config, &format!("reader-{}", uuid::Uuid::new_v4()));
    // It only assigns, so there is no group to commit for.
    settings.set("enable.auto.commit", "false");
    let topic: Arc<str> = topic.into();
    let reading = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = settings.create()?;
        read_blocking(&consumer, &topic, timeout)
    });
    reading.await.unwrap_or(Err(ReadError::CutOff))
}

fn read_blocking(
    consumer: &BaseConsumer,
    topic: &str,
    timeout: Duration,
) -> Result<Vec<Record>, ReadError> {
    let deadline = Instant::now() + timeout;
    let mut ends = ends_of(consumer, topic, deadline)?;
    let mut assignment = TopicPartitionList::new();
    for partition in ends.keys() {
        assignment.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut records = Vec::new();
    while !ends.is_empty() {
        if Instant::now() >= deadline {
            return Err(ReadError::TimedOut(timeout));
        }
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let record = match message {
            Ok(message) => Record::from(&message),
            Err(error) if may_pass(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        if ends
            .get(&record.partition)
            .is_some_and(|end| record.offset + 1 >= *end)
        {
            ends.remove(&record.partition);
        }
        records.push(record);
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    Ok(records)
}

/// What passes while brokers come and go: librdkafka knows by itself where to turn next.
pub(super) fn may_pass(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        AllBrokersDown, BrokerTransportFailure, DestroyBroker, LeaderNotAvailable,
        NotLeaderForPartition, OffsetNotAvailable, OperationTimedOut, Resolve,
    };
    matches!(
        error.rdkafka_error_code(),
        Some(
            AllBrokersDown
                | BrokerTransportFailure
                | DestroyBroker
                | LeaderNotAvailable
                | NotLeaderForPartition
                | OffsetNotAvailable
                | OperationTimedOut
                | Resolve
        )
    )
}

/// Asks, and asks again until the deadline while the error is one that may pass.
pub(super) fn asked_again<T>(
    deadline: Instant,
    ask: impl Fn(Duration) -> Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match ask(left.min(ANSWER)) {
            Err(error) if may_pass(&error) && !left.is_zero() => std::thread::sleep(BETWEEN),
            answered => return answered,
        }
    }
}

/// The end offsets of the partitions that hold something.
fn ends_of(
    consumer: &BaseConsumer,
    topic: &str,
    deadline: Instant,
) -> Result<BTreeMap<PartitionId, i64>, ReadError> {
    let mut ranges = ranges_of(consumer, topic, deadline)?;
    ranges.retain(|_, (begin, end)| end > begin);
    let ends = ranges
        .into_iter()
        .map(|(partition, (_, end))| (partition, end));
    Ok(ends.collect())
}

/// First and next offset of every partition.
pub(super) fn ranges_of(
    consumer: &BaseConsumer,
    topic: &str,
    deadline: Instant,
) -> Result<BTreeMap<PartitionId, (i64, i64)>, ReadError> {
    let metadata = asked_again(deadline, |left| consumer.fetch_metadata(Some(topic), left))?;
    let mut topics = metadata.topics().iter();
    let partitions = topics
        .find(|found| found.name() == topic)
        .map_or(&[][..], |found| found.partitions());
    if partitions.is_empty() {
        return Err(ReadError::Missing(topic.to_owned()));
    }
    let mut ranges = BTreeMap::new();
    for partition in partitions {
        let range = asked_again(deadline, |left| {
            consumer.fetch_watermarks(topic, partition.id(), left)
        })?;
        ranges.insert(partition.id(), range);
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::kafka::{EventProducer, KafkaProducer, NewRecord};

    const TIMEOUT: Duration = Duration::from_secs(30);

    /// The broker that is down is one to start from, and leads nothing.
    #[tokio::test]
    async fn a_broker_that_is_down_and_not_needed_does_not_matter() {
        let mock = MockCluster::new(3).unwrap();
        mock.create_topic("orders", 1, 3).unwrap();
        mock.partition_leader("orders", 0, Some(2)).unwrap();
        let config = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
        let producer = KafkaProducer::new(&config).unwrap();
        let record = NewRecord {
            topic: "orders".to_owned(),
            partition: Some(0),
            key: None,
            headers: vec![],
            value: Some(vec![1]),
        };
        for _ in 0..3 {
            producer.enqueue(&record).unwrap().await.unwrap();
        }
        mock.broker_down(1).unwrap();
        for _ in 0..3 {
            let records = read_all(&config, "orders", TIMEOUT).await.unwrap();
            assert_eq!(records.len(), 3);
        }
    }

    #[tokio::test]
    async fn a_leader_that_moves_meanwhile_is_asked_again() {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("orders", 1, 1).unwrap();
        let config = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
        let moved = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
        mock.request_errors(RDKafkaApiKey::ListOffsets, &[moved; 3]);
        assert_eq!(read_all(&config, "orders", TIMEOUT).await.unwrap(), []);
        mock.request_errors(RDKafkaApiKey::ListOffsets, &[moved; 100]);
        let soon = Duration::from_secs(2);
        let error = read_all(&config, "orders", soon).await.unwrap_err();
        assert!(matches!(error, ReadError::Kafka(_)), "{error}");
    }
}
