//! Where a partition that came is read from.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::ConsumerLoop;
use super::flow::Flow;
use crate::kafka::{Assigned, BatchHandler, Interruption, PartitionId, Start};

/// Bound of one question to the broker about a new partition.
const BROKER_TIMEOUT: Duration = Duration::from_secs(5);

impl<H: BatchHandler> ConsumerLoop<H> {
    pub(super) async fn check(&mut self, partition: PartitionId) -> Result<(), Interruption> {
        let assigned = self.stand_of(partition).await?;
        let start = self.handler.check(&assigned).await?;
        let seek = match start {
            Start::At(offset) => Some(offset),
            Start::Committed => self.read_again.get(&partition).copied(),
        };
        if let Some(offset) = seek {
            tracing::info!(
                group = self.group,
                partition,
                offset,
                "Reading again from an earlier offset."
            );
            self.seek(partition, offset).await?;
        }
        self.read_again.remove(&partition);
        self.partitions.insert(partition, true);
        let position = match start {
            Start::At(offset) => offset,
            Start::Committed => assigned.committed.unwrap_or(assigned.begin),
        };
        self.progress.advance(partition, position);
        if self.blocked.is_none() {
            self.flow(Flow::Resume, &[partition]);
        }
        Ok(())
    }

    async fn stand_of(&self, partition: PartitionId) -> Result<Assigned, Interruption> {
        let (consumer, topic) = (Arc::clone(&self.consumer), self.topic.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let mut wanted = TopicPartitionList::new();
            wanted.add_partition(&topic, partition);
            let committed = consumer.committed_offsets(wanted, BROKER_TIMEOUT)?;
            let (begin, end) = consumer.fetch_watermarks(&topic, partition, BROKER_TIMEOUT)?;
            let committed = committed
                .find_partition(&topic, partition)
                .and_then(|element| match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                });
            Ok(Assigned {
                partition,
                committed,
                begin,
                end,
            })
        });
        match asked.await {
            Ok(Ok(assigned)) => Ok(assigned),
            Ok(Err(error)) => Err(broker_down(&error)),
            Err(_) => Err(broker_down(&KafkaError::Canceled)),
        }
    }

    pub(super) async fn seek(
        &self,
        partition: PartitionId,
        offset: i64,
    ) -> Result<(), Interruption> {
        let (consumer, topic) = (Arc::clone(&self.consumer), self.topic.clone());
        let sought = tokio::task::spawn_blocking(move || {
            consumer.seek(&topic, partition, Offset::Offset(offset), BROKER_TIMEOUT)
        });
        match sought.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(broker_down(&error)),
            Err(_) => Err(broker_down(&KafkaError::Canceled)),
        }
    }
}

fn broker_down(error: &KafkaError) -> Interruption {
    Interruption::Unavailable(format!("the broker does not answer: {error}"))
}
