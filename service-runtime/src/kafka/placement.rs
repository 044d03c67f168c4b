//! Which brokers keep a topic's partitions: for tools and tests.

use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataPartition};
use rdkafka::producer::Producer;

use super::{KafkaProducer, PartitionId, TopicError};

/// Where one partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Its number.
    pub partition: PartitionId,
    /// Node id of the broker that takes its records; `None` while there is none.
    pub leader: Option<i32>,
    /// Node ids of the brokers that should keep it.
    pub replicas: Vec<i32>,
    /// Node ids of those that have all of it.
    pub in_sync: Vec<i32>,
}

/// Where the partitions of `topic` are, as the broker that answers sees it.
///
/// # Errors
/// No answer within `timeout`, or no such topic.
pub async fn placements(
    producer: &KafkaProducer,
    topic: &str,
    timeout: Duration,
) -> Result<Vec<Placement>, TopicError> {
    let (producer, name) = (producer.client(), topic.to_owned());
    let asked =
        tokio::task::spawn_blocking(move || producer.client().fetch_metadata(Some(&name), timeout));
    let metadata = asked.await.unwrap_or(Err(KafkaError::Canceled))?;
    placements_in(&metadata, topic).ok_or_else(|| TopicError::Missing(topic.to_owned()))
}

fn placements_in(metadata: &Metadata, topic: &str) -> Option<Vec<Placement>> {
    let found = metadata
        .topics()
        .iter()
        .find(|found| found.name() == topic && found.error().is_none())?;
    let mut placements: Vec<Placement> = found.partitions().iter().map(placement).collect();
    placements.sort_by_key(|placement| placement.partition);
    Some(placements)
}

fn placement(found: &MetadataPartition) -> Placement {
    Placement {
        partition: found.id(),
        // -1 stands for none.
        leader: Some(found.leader()).filter(|leader| *leader >= 0),
        replicas: found.replicas().to_vec(),
        in_sync: found.isr().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::kafka::KafkaConfig;

    const TIMEOUT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_partition_has_a_leader_or_none_and_three_replicas() {
        let mock = MockCluster::new(3).unwrap();
        mock.create_topic("orders", 2, 3).unwrap();
        mock.partition_leader("orders", 0, Some(2)).unwrap();
        mock.partition_leader("orders", 1, None).unwrap();
        let config = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
        let producer = KafkaProducer::new(&config).unwrap();

        let found = placements(&producer, "orders", TIMEOUT).await.unwrap();
        let leaders: Vec<_> = found.iter().map(|found| found.leader).collect();
        assert_eq!(leaders, [Some(2), None]);
        for placement in found {
            assert_eq!(placement.replicas.len(), 3, "{placement:?}");
            assert_eq!(placement.in_sync, placement.replicas, "{placement:?}");
        }
    }
}
