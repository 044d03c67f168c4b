//! Callbacks of the consumer: they run inside `recv`, so they only take notes and pause.

use std::sync::Mutex;

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::Notify;

use super::PartitionId;
use crate::fault;

/// What a rebalance did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RebalanceEvent {
    /// These came; they are paused until the loop has checked them.
    Assigned(Vec<PartitionId>),
    /// These left; nothing of them may be handled or stored any more.
    Revoked(Vec<PartitionId>),
}

/// Notes of the rebalances that the loop has not looked at yet.
#[derive(Debug, Default)]
pub(super) struct LoopContext {
    events: Mutex<Vec<RebalanceEvent>>,
    /// Wakes the loop when a rebalance brings no record with it.
    pub(super) changed: Notify,
}

impl LoopContext {
    /// The rebalances since the last call, oldest first.
    pub(super) fn take_events(&self) -> Vec<RebalanceEvent> {
        std::mem::take(
            &mut *self
                .events
                .lock()
                .unwrap_or_else(|poison| poison.into_inner()),
        )
    }

    pub(super) fn note(&self, event: RebalanceEvent) {
        self.events
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
            .push(event);
        self.changed.notify_one();
    }
}

impl ClientContext for LoopContext {
    fn error(&self, error: KafkaError, reason: &str) {
        // librdkafka reconnects by itself; a fatal error ends the loop through `recv`.
        tracing::warn!(target: "librdkafka", %error, reason, "The Kafka client reports an error.");
    }
}

impl ConsumerContext for LoopContext {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            self.note(RebalanceEvent::Revoked(numbers(partitions)));
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            // An assignment starts unpaused whatever was paused before (rule R8), and its start
            // must be compared with the database first (rule R6).
            if !fault::mutated("r8.pause-again")
                && let Err(error) = consumer.pause(partitions)
            {
                tracing::warn!(%error, "New partitions cannot be paused; their records wait in the batch.");
            }
            self.note(RebalanceEvent::Assigned(numbers(partitions)));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            // Stored offsets stay stored: the next commit supersedes this one.
            metrics::counter!("kafka_offset_commit_failures_total").increment(1);
            tracing::warn!(%error, "An offset commit failed and will be repeated.");
        }
    }
}

fn numbers(partitions: &TopicPartitionList) -> Vec<PartitionId> {
    partitions
        .elements()
        .iter()
        .map(|element| element.partition())
        .collect()
}
