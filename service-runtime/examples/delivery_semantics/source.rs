//! The topic: batches of placed orders, and the offsets that the group has committed.

// Services store offsets and leave the commit to librdkafka; here its moment is what is shown.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use base_domains::{OrderId, OrderStatus, Reading, read};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use service_runtime::kafka::{KafkaConfig, PartitionId, Record, client};

/// Bound of one question to the broker.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// Consecutive records of the topic.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The orders that were placed in them.
    pub(crate) orders: Vec<OrderId>,
    /// The offset after the last of them, by partition.
    next: BTreeMap<PartitionId, i64>,
}

/// A member of the consumer group.
pub(crate) struct Source {
    consumer: StreamConsumer,
    topic: String,
    partitions: i32,
    /// Partitions of which nothing is left to read.
    at_end: BTreeSet<PartitionId>,
}

impl Source {
    pub(crate) fn open(config: &KafkaConfig, group: &str) -> anyhow::Result<Self> {
        let mut settings = client::consumer(config, group);
        // librdkafka would commit what is stored, when its timer fires. Here every commit is a step.
        settings.set("enable.auto.commit", "false");
        settings.set("enable.partition.eof", "true");
        let consumer: StreamConsumer = settings.create()?;
        let partitions = partitions(&consumer, &config.topic)?;
        consumer.subscribe(&[&config.topic])?;
        Ok(Self {
            consumer,
            topic: config.topic.clone(),
            partitions,
            at_end: BTreeSet::new(),
        })
    }

    /// The next `size` placed orders, or what is left up to the end of the log; `None` there.
    pub(crate) async fn next(&mut self, size: usize) -> anyhow::Result<Option<Batch>> {
        let mut batch = Batch::default();
        while batch.orders.len() < size && !self.is_at_end()? {
            match self.consumer.recv().await {
                Ok(message) => {
                    let record = Record::from(&message);
                    self.at_end.remove(&record.partition);
                    batch.next.insert(record.partition, record.offset + 1);
                    batch.orders.extend(placed(&record, self.partitions));
                }
                Err(KafkaError::PartitionEOF(partition)) => {
                    self.at_end.insert(partition);
                }
                Err(error) => {
                    if let Some((_, reason)) = self.consumer.client().fatal_error() {
                        anyhow::bail!("the consumer failed for good: {reason}");
                    }
                    tracing::warn!(%error, "The broker cannot be read; trying again.");
                }
            }
        }
        Ok((!batch.next.is_empty()).then_some(batch))
    }

    fn is_at_end(&self) -> anyhow::Result<bool> {
        let assignment = self.consumer.assignment()?;
        let assigned = assignment.elements();
        let at_end = |partition| self.at_end.contains(&partition);
        Ok(!assigned.is_empty() && assigned.iter().all(|one| at_end(one.partition())))
    }

    /// Says that `batch` need not be given to the group again; waits until the broker knows.
    pub(crate) fn commit(&self, batch: &Batch) -> anyhow::Result<()> {
        let mut next = TopicPartitionList::new();
        for (partition, offset) in &batch.next {
            next.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))?;
        }
        tokio::task::block_in_place(|| self.consumer.commit(&next, CommitMode::Sync))
            .context("the offsets are not committed")
    }
}

/// The order that `record` places; `None` for what is done to an order later.
pub(crate) fn placed(record: &Record, partitions: i32) -> Option<OrderId> {
    match read(&record.as_ref(), partitions) {
        Ok(Reading::Event(heading)) if heading.status == OrderStatus::Pending => {
            Some(heading.order_id)
        }
        _ => None,
    }
}

/// The group's committed offset of every partition; 0 where it has none.
pub(crate) fn committed(
    config: &KafkaConfig,
    group: &str,
) -> anyhow::Result<BTreeMap<PartitionId, i64>> {
    let consumer: BaseConsumer = client::consumer(config, group).create()?;
    let mut wanted = TopicPartitionList::new();
    for partition in 0..partitions(&consumer, &config.topic)? {
        wanted.add_partition(&config.topic, partition);
    }
    let list = consumer.committed_offsets(wanted, BROKER_TIMEOUT)?;
    let offset = |offset| match offset {
        Offset::Offset(next) => next,
        _ => 0,
    };
    let elements = list.elements();
    let pairs = elements
        .iter()
        .map(|one| (one.partition(), offset(one.offset())));
    Ok(pairs.collect())
}

fn partitions<C: Consumer>(consumer: &C, topic: &str) -> anyhow::Result<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), BROKER_TIMEOUT)?;
    let found = metadata.topics().iter().find(|one| one.name() == topic);
    let partitions = found.map_or(0, |one| one.partitions().len());
    anyhow::ensure!(partitions > 0, "topic {topic} does not exist");
    Ok(i32::try_from(partitions)?)
}
