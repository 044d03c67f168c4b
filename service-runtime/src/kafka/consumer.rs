//! The consumer loop: poll, collect a batch, hand it to the handler, store offsets.
//!
//! One task owns the consumer and everything happens inline between two polls, so nothing is in
//! flight when partitions leave. While a dependency is down the loop holds its batch, pauses its
//! partitions and keeps polling, so that the member stays in its group. Rebalance callbacks run
//! inside `recv`; new partitions start paused until the handler has checked them.

mod flow;
mod refusal;
mod start;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rdkafka::consumer::{Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::config::KafkaConfig;
use super::context::{LoopContext, RebalanceEvent};
use super::{
    BatchHandler, Interruption, LoopError, LoopSettings, PartitionId, Progress, Record, client,
};
use crate::fault;
use crate::health::Component;
use crate::lifecycle::Shutdown;
use flow::Blocked;
use refusal::Refused;

/// How often an idle loop shows that it lives.
const TICK: Duration = Duration::from_secs(1);

/// Reads one topic in one group and feeds a [`BatchHandler`].
pub struct ConsumerLoop<H> {
    consumer: Arc<StreamConsumer<LoopContext>>,
    topic: String,
    group: String,
    handler: H,
    settings: LoopSettings,
    health: Component,
    progress: Progress,
    /// `true`: checked, its records may be handled.
    partitions: BTreeMap<PartitionId, bool>,
    batch: Vec<Record>,
    /// Where records arrived for partitions that were not checked yet: read again from there.
    read_again: BTreeMap<PartitionId, i64>,
    blocked: Option<Blocked>,
    /// Whether a rebalance told what this member owns, if only nothing.
    assigned: bool,
    refused: Option<Refused>,
}

impl<H> std::fmt::Debug for ConsumerLoop<H> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ConsumerLoop({} of {})", self.group, self.topic)
    }
}

impl<H: BatchHandler> ConsumerLoop<H> {
    /// Joins `group`; no broker needs to answer yet.
    ///
    /// # Errors
    /// librdkafka does not accept the settings.
    pub fn new(
        config: &KafkaConfig,
        group: &str,
        handler: H,
        settings: LoopSettings,
        health: Component,
        progress: Progress,
    ) -> Result<Self, LoopError> {
        let consumer: StreamConsumer<LoopContext> = client::consumer(config, group)
            .create_with_context(LoopContext::default())
            .map_err(LoopError::Start)?;
        consumer
            .subscribe(&[&config.topic])
            .map_err(LoopError::Start)?;
        Ok(Self {
            consumer: Arc::new(consumer),
            topic: config.topic.clone(),
            group: group.to_owned(),
            handler,
            settings,
            health,
            progress,
            partitions: BTreeMap::new(),
            batch: Vec::new(),
            read_again: BTreeMap::new(),
            blocked: None,
            assigned: false,
            refused: None,
        })
    }

    /// Runs until `shutdown`, then leaves the group.
    ///
    /// # Errors
    /// A fatal client error, or the handler refuses to go on.
    pub async fn run(mut self, shutdown: &Shutdown) -> Result<(), LoopError> {
        let result = self.turns(shutdown).await;
        self.close().await;
        result
    }

    async fn turns(&mut self, shutdown: &Shutdown) -> Result<(), LoopError> {
        while !shutdown.is_cancelled() {
            self.health.heartbeat();
            self.receive(shutdown).await?;
            self.note_rebalances();
            let due = match &self.blocked {
                Some(blocked) => Instant::now() >= blocked.retry_at,
                None => {
                    !self.batch.is_empty() || self.has_unchecked() || self.is_refusal_to_be_tested()
                }
            };
            if due && !shutdown.is_cancelled() {
                match self.attempt_until(shutdown).await {
                    None => return Ok(()),
                    Some(Ok(())) => self.unblock(),
                    Some(Err(
                        Interruption::Unavailable(reason) | Interruption::Refused { reason, .. },
                    )) => self.block(&reason),
                    Some(Err(Interruption::Stop(reason))) => {
                        return Err(LoopError::Stopped(reason));
                    }
                }
            }
        }
        Ok(())
    }

    /// [`attempt`](Self::attempt), or `None` when it does not end soon enough after a shutdown.
    /// Dropping it loses nothing: what is not committed is rolled back, and what is committed but
    /// not published comes again, since its offset was not stored.
    async fn attempt_until(&mut self, shutdown: &Shutdown) -> Option<Result<(), Interruption>> {
        let grace = self.settings.drain_timeout;
        let out_of_time = async {
            shutdown.cancelled().await;
            tokio::time::sleep(grace).await;
        };
        tokio::select! {
            biased;
            result = self.attempt() => Some(result),
            () = out_of_time => None,
        }
    }

    /// Waits for a record, a rebalance, the end of a wait or the next tick; then takes what else
    /// is already here.
    async fn receive(&mut self, shutdown: &Shutdown) -> Result<(), LoopError> {
        let consumer = Arc::clone(&self.consumer);
        let tick = Instant::now() + TICK;
        let until = self
            .blocked
            .as_ref()
            .map_or(tick, |blocked| blocked.retry_at.min(tick));
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            () = consumer.context().changed.notified() => return Ok(()),
            received = consumer.recv() => self.take(received.map(|message| Record::from(&message)))?,
            () = tokio::time::sleep_until(until) => return Ok(()),
        }
        while self.batch.len() < self.settings.max_batch {
            match consumer.recv().now_or_never() {
                Some(received) => self.take(received.map(|message| Record::from(&message)))?,
                None => break,
            }
        }
        Ok(())
    }

    fn take(&mut self, received: Result<Record, KafkaError>) -> Result<(), LoopError> {
        // A rebalance may have happened inside the poll that brought this record.
        self.note_rebalances();
        match received {
            Ok(record) => {
                if self.partitions.get(&record.partition) == Some(&true) {
                    // Paused or not, it is the next one of its partition (rule R8).
                    self.batch.push(record);
                } else if !fault::mutated("r8.read-again") {
                    self.read_again
                        .entry(record.partition)
                        .and_modify(|offset| *offset = record.offset.min(*offset))
                        .or_insert(record.offset);
                }
                Ok(())
            }
            Err(error) => {
                if let Some((code, reason)) = self.consumer.client().fatal_error() {
                    return Err(LoopError::Fatal(format!("{code}: {reason}")));
                }
                self.judge(&error)
            }
        }
    }

    fn note_rebalances(&mut self) {
        for event in self.consumer.context().take_events() {
            match event {
                RebalanceEvent::Assigned(partitions) => {
                    tracing::info!(group = self.group, ?partitions, "Partitions assigned.");
                    self.assigned = true;
                    if self.partitions.is_empty() {
                        // Whatever comes is fetched for the first time.
                        self.refused = None;
                        if partitions.is_empty() && self.blocked.is_none() {
                            // One instance more than there are partitions: it stands by.
                            self.health.set_ready();
                        }
                    }
                    for partition in partitions {
                        self.partitions.insert(partition, false);
                        self.show(partition, true);
                        self.read_again.remove(&partition);
                        self.batch.retain(|record| record.partition != partition);
                    }
                }
                RebalanceEvent::Revoked(partitions) => {
                    tracing::info!(group = self.group, ?partitions, "Partitions revoked.");
                    for partition in partitions {
                        self.partitions.remove(&partition);
                        self.show(partition, false);
                        self.progress.forget(partition);
                        self.handler.revoked(partition);
                        self.read_again.remove(&partition);
                        if !fault::mutated("r8.drop-revoked") {
                            self.batch.retain(|record| record.partition != partition);
                        }
                    }
                }
            }
        }
    }

    /// Over all instances of a group each partition should be owned once.
    fn show(&self, partition: PartitionId, owned: bool) {
        let labels = [
            ("group", self.group.clone()),
            ("partition", partition.to_string()),
        ];
        metrics::gauge!("consumer_partition_owned", &labels).set(f64::from(u8::from(owned)));
    }

    fn has_unchecked(&self) -> bool {
        self.partitions.values().any(|checked| !checked)
    }

    /// Checks new partitions and handles the batch: everything that may have to wait.
    async fn attempt(&mut self) -> Result<(), Interruption> {
        let unchecked: Vec<PartitionId> = self
            .partitions
            .iter()
            .filter_map(|(partition, checked)| (!checked).then_some(*partition))
            .collect();
        for partition in unchecked {
            self.check(partition).await?;
        }
        if !self.batch.is_empty() {
            if fault::mutated("offsets.after-handling") {
                self.store_offsets(self.batch.len());
            }
            let handled = self.handler.handle(&self.batch).await;
            let done = match &handled {
                Ok(()) => self.batch.len(),
                Err(Interruption::Refused { done, .. }) => *done,
                Err(Interruption::Unavailable(_) | Interruption::Stop(_)) => 0,
            };
            self.pass(done);
            handled?;
        }
        if self.is_refusal_to_be_tested() {
            self.test_refusal().await?;
        }
        Ok(())
    }

    /// Moves past the first `done` records of the batch.
    fn pass(&mut self, done: usize) {
        if done == 0 {
            return;
        }
        fault::point("offsets.store.before");
        self.store_offsets(done);
        fault::point("offsets.store.after");
        self.batch.drain(..done);
    }

    /// The one place where offsets are stored: after these records are durable and published. What the
    /// handler only made durable is not: a committed offset would say otherwise.
    fn store_offsets(&self, done: usize) {
        let mut next: BTreeMap<PartitionId, i64> = BTreeMap::new();
        for record in &self.batch[..done] {
            next.insert(record.partition, record.offset + 1);
        }
        for (partition, offset) in next {
            self.progress.advance(partition, offset);
            if !self.handler.may_commit(partition) {
                continue;
            }
            let mut list = TopicPartitionList::new();
            let stored = list
                .add_partition_offset(&self.topic, partition, Offset::Offset(offset))
                .and_then(|()| self.consumer.store_offsets(&list));
            match stored {
                Ok(()) => {}
                // The partition left while its batch was handled: its new owner repeats the work.
                Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::State) => {}
                Err(error) => {
                    tracing::warn!(group = self.group, partition, %error, "Offset not stored; work may be repeated.");
                }
            }
        }
    }

    /// Leaves the group, which commits the stored offsets; bounded, because closing waits for a
    /// broker that does not answer, and without an end for one that is gone for good.
    async fn close(self) {
        for partition in self.partitions.keys() {
            self.show(*partition, false);
        }
        let (closed, closing) = oneshot::channel::<()>();
        // Not on a thread of the runtime: whoever drops that would wait without a limit.
        let leaving = std::thread::Builder::new().name("kafka-leave".to_owned());
        let consumer = self.consumer;
        let spawned = leaving.spawn(move || {
            leave(consumer);
            drop(closed);
        });
        if let Err(error) = spawned {
            tracing::warn!(group = self.group, %error, "The consumer was closed without a thread of its own.");
        }
        let timeout = self.settings.close_timeout;
        if tokio::time::timeout(timeout, closing).await.is_err() {
            tracing::warn!(
                group = self.group,
                "The consumer did not close in time; its offsets may be repeated."
            );
        }
    }
}

/// Closes the consumer on this thread. A question to the broker that was abandoned may still hold
/// it, and whoever has it last closes it.
fn leave<C: ConsumerContext>(mut consumer: Arc<StreamConsumer<C>>) {
    loop {
        match Arc::try_unwrap(consumer) {
            Ok(last) => return drop(last),
            Err(shared) => consumer = shared,
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
