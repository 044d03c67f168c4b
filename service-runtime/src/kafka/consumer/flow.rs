//! Waiting for a dependency: partitions are paused, and resumed when it works again.

use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::time::Instant;

use super::ConsumerLoop;
use crate::fault;
use crate::kafka::{BatchHandler, PartitionId};

/// The loop waits for a dependency.
pub(super) struct Blocked {
    attempt: u32,
    pub(super) retry_at: Instant,
    reason: String,
    /// How many reasons were logged since it began to wait.
    logged: usize,
}

/// Of one wait. Reasons that alternate, or have a new text each time, would fill the log.
const MOST_LOGGED: usize = 8;

#[derive(Debug, Clone, Copy)]
pub(super) enum Flow {
    Pause,
    Resume,
}

impl<H: BatchHandler> ConsumerLoop<H> {
    pub(super) fn block(&mut self, reason: &str) {
        let before = self.blocked.take();
        let attempt = before.as_ref().map_or(0, |blocked| blocked.attempt) + 1;
        let mut logged = before.as_ref().map_or(0, |blocked| blocked.logged);
        let wait = self.settings.backoff.wait(attempt);
        self.health.set_not_ready(reason);
        metrics::counter!("consumer_blocked_attempts_total", "group" => self.group.clone())
            .increment(1);
        let group = &self.group;
        match before {
            None => {
                tracing::warn!(group, reason, "Partitions paused until this works again.");
                logged += 1;
            }
            Some(before) if before.reason != reason && logged < MOST_LOGGED => {
                tracing::warn!(group, reason, "Partitions stay paused for another reason.");
                logged += 1;
            }
            Some(_) => {}
        }
        self.blocked = Some(Blocked {
            attempt,
            retry_at: Instant::now() + wait,
            reason: reason.to_owned(),
            logged,
        });
        if attempt > 1 && fault::mutated("r8.pause-again") {
            return;
        }
        // Every time: partitions that came since start unpaused (rule R8).
        let assigned: Vec<PartitionId> = self.partitions.keys().copied().collect();
        self.flow(Flow::Pause, &assigned);
    }

    pub(super) fn unblock(&mut self) {
        if let Some(blocked) = self.blocked.take() {
            let assigned: Vec<PartitionId> = self.partitions.keys().copied().collect();
            self.flow(Flow::Resume, &assigned);
            tracing::info!(
                group = self.group,
                attempts = blocked.attempt,
                "Partitions resumed."
            );
        }
        if self.assigned && self.refused.is_none() {
            self.health.set_ready();
        }
    }

    pub(super) fn flow(&self, flow: Flow, partitions: &[PartitionId]) {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, *partition);
        }
        let result = match flow {
            Flow::Pause => self.consumer.pause(&list),
            Flow::Resume => self.consumer.resume(&list),
        };
        if let Err(error) = result {
            // Only partitions that left meanwhile.
            tracing::debug!(group = self.group, ?flow, %error, "Flow of partitions not changed.");
        }
    }
}
