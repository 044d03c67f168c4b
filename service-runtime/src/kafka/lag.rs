//! How far a group is behind the log, asked from outside of it.
//!
//! The question is asked under the group's name but without joining it, so its members notice
//! nothing, and it is answered while none of them runs.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::log_reader::{asked_again, ranges_of};
use super::{KafkaConfig, PartitionId, ReadError, client};

/// Where a group is in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionLag {
    /// The partition.
    pub partition: PartitionId,
    /// The offset that the group reads next; `None` when it has committed nothing.
    pub committed: Option<i64>,
    /// The first offset that the log still has.
    pub begin: i64,
    /// The offset that the next record will get.
    pub end: i64,
}

impl PartitionLag {
    /// Records between the group and the end. A group without a commit begins at the beginning.
    #[must_use]
    pub fn lag(&self) -> i64 {
        let next = self.committed.unwrap_or(self.begin).max(self.begin);
        (self.end - next).max(0)
    }
}

/// The lag of `group` in every partition of the log, in their order.
///
/// # Errors
/// The broker does not answer within `timeout`, refuses, or there is no such topic.
pub async fn group_lag(
    config: &KafkaConfig,
    group: &str,
    timeout: Duration,
) -> Result<Vec<PartitionLag>, ReadError> {
    let mut settings = client::consumer(config, group);
    // It never commits: the offsets are those of the group's members.
    settings.set("enable.auto.commit", "false");
    let topic = config.topic.clone();
    let asking = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = settings.create()?;
        ask(&consumer, &topic, timeout)
    });
    asking.await.unwrap_or(Err(ReadError::CutOff))
}

fn ask(
    consumer: &BaseConsumer,
    topic: &str,
    timeout: Duration,
) -> Result<Vec<PartitionLag>, ReadError> {
    let deadline = Instant::now() + timeout;
    let ranges = ranges_of(consumer, topic, deadline)?;
    let mut wanted = TopicPartitionList::new();
    for partition in ranges.keys() {
        wanted.add_partition(topic, *partition);
    }
    // The end was asked for first: a group that moves on meanwhile has no lag, not a negative one.
    let committed = asked_again(deadline, |left| {
        consumer.committed_offsets(wanted.clone(), left)
    })?;
    let lags = ranges.into_iter().map(|(partition, (begin, end))| {
        let found = committed.find_partition(topic, partition);
        if let Some(found) = &found {
            found.error()?;
        }
        Ok(PartitionLag {
            partition,
            committed: match found.map(|found| found.offset()) {
                Some(Offset::Offset(offset)) => Some(offset),
                _ => None,
            },
            begin,
            end,
        })
    });
    lags.collect()
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::CommitMode;
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::kafka::{EventProducer, KafkaProducer, NewRecord};

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn at(committed: Option<i64>, begin: i64, end: i64) -> PartitionLag {
        PartitionLag {
            partition: 0,
            committed,
            begin,
            end,
        }
    }

    #[test]
    fn lag_counts_what_the_log_still_has() {
        assert_eq!(at(Some(3), 0, 10).lag(), 7);
        assert_eq!(at(None, 4, 10).lag(), 6);
        // Its place was deleted.
        assert_eq!(at(Some(1), 4, 10).lag(), 6);
        // It committed after the end was asked for.
        assert_eq!(at(Some(11), 0, 10).lag(), 0);
    }

    #[tokio::test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test is a member that commits by hand"
    )]
    async fn the_lag_of_a_group_that_does_not_run_is_known() {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("orders", 2, 1).unwrap();
        let config = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
        let producer = KafkaProducer::new(&config).unwrap();
        for _ in 0..3 {
            let record = NewRecord {
                topic: "orders".to_owned(),
                partition: Some(1),
                key: None,
                headers: vec![],
                value: Some(vec![1]),
            };
            producer.enqueue(&record).unwrap().await.unwrap();
        }
        let lags = group_lag(&config, "stock", TIMEOUT).await.unwrap();
        let committed: Vec<_> = lags
            .iter()
            .map(|lag| (lag.partition, lag.committed))
            .collect();
        assert_eq!(committed, [(0, None), (1, None)]);
        assert_eq!(lags.iter().map(PartitionLag::lag).sum::<i64>(), 3);

        let settings = client::consumer(&config, "stock");
        tokio::task::spawn_blocking(move || {
            let member: BaseConsumer = settings.create().unwrap();
            let mut done = TopicPartitionList::new();
            done.add_partition_offset("orders", 1, Offset::Offset(2))
                .unwrap();
            member.commit(&done, CommitMode::Sync).unwrap();
        })
        .await
        .unwrap();
        let lags = group_lag(&config, "stock", TIMEOUT).await.unwrap();
        assert_eq!((lags[1].committed, lags[1].end), (Some(2), 3));
        assert_eq!((lags[0].lag(), lags[1].lag()), (0, 1));
    }

    #[tokio::test]
    async fn a_broker_that_does_not_answer_is_an_error_in_time() {
        let config = KafkaConfig::for_bootstrap("127.0.0.1:1", "test");
        let began = Instant::now();
        let asked = group_lag(&config, "stock", Duration::from_secs(1)).await;
        assert!(matches!(asked, Err(ReadError::Kafka(_))), "{asked:?}");
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}
