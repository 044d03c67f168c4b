//! The participant: one service's part in carrying orders to their end.
//!
//! Per polled batch, inline between two polls and in one transaction: lock the order rows, fold
//! the events into them, ask the service for its decision, store status, own rows, position and
//! outcome; commit; publish the outcomes and await all acknowledgements; only then do offsets
//! move. A service writes a [`Decider`]; everything that makes it safe to repeat stands here.
//!
//! - An outcome is confirmed when it is read back: the fold then moves its row past it.
//! - A repeated cause publishes the stored bytes again; the sweep does so for what got lost.
//! - What a job outside of the transaction comes to is recorded and appended in the same way, see
//!   [`OutcomeHandler`]; so is what a request or a timer decides, see [`Appender`].
//! - History that is read again after a restore is read quietly: what is decided about it is published
//!   only if the log turns out to have no decision of this service yet.
//! - A failed decision is dead-lettered, the fold never is: all groups see the same winner.

mod allowance;
mod append;
mod batch;
#[cfg(feature = "testing")]
mod bench;
mod decider;
mod gate;
mod handler;
mod job_outcome;
mod locked;
mod outcome;
mod plan;
mod positions;
mod quiet;
mod replay;
mod replay_log;
mod settings;
mod settle;
mod start;
mod store;
mod sweep;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use append::{AppendError, Appender};
#[cfg(feature = "testing")]
pub use bench::Bench;
pub use decider::{Change, DecideError, Decider, Decision};
pub use gate::ReadPastEnd;
pub use job_outcome::{OutcomeHandler, WithOutcomes};
pub use locked::{Locked, LockedOrder, Settlement, StoredOutcome};
pub use replay::{Folded, Replay, ReplayBatch};
pub use replay_log::{
    ReplayError, ReplayLog, lock_folded, lock_positions, open_log, read_positions, set_folded,
};
pub use settings::ParticipantSettings;
pub use store::log_partitions;
pub use sweep::SweepSettings;

use crate::database::{Database, within};
use crate::fault;
use crate::health::{Component, Health};
use crate::kafka::{
    ConsumerLoop, DeadLetters, Interruption, KafkaConfig, KafkaProducer, LogEnds, LoopError,
    LoopSettings, PartitionId, Progress, TopicSpec, cluster_id, ensure_topics, partition_count,
};
use crate::lifecycle::Shutdown;
use plan::{Kind, Plan};
use quiet::Quiet;
use store::{LogIdentity, Store};

/// Bound of one question to the broker.
const BROKER_TIMEOUT: Duration = Duration::from_secs(5);

/// A loop that did not turn for so long will not turn again: longer than a transaction with its
/// repeats, its publishing and every question to the broker together.
const WEDGED_AFTER: Duration = Duration::from_secs(180);

/// What one participant is made of.
#[derive(Debug)]
pub struct Parts<D> {
    /// Key of its rows in the database; a constant of the code, unlike the group.
    pub name: &'static str,
    /// Name of the service in `ce_source` and in event ids; a constant of the code.
    pub writer: &'static str,
    /// Name in the tutorial's log line, such as `stock`.
    pub log_name: Option<&'static str>,
    /// The decision.
    pub decider: D,
    /// Where its rows are; migrated before [`Participant::run`].
    pub database: Database,
    /// Topic and broker settings.
    pub kafka: KafkaConfig,
    /// Shared producer of the service.
    pub producer: KafkaProducer,
    /// Group and bounds.
    pub settings: ParticipantSettings,
    /// Where it reports.
    pub health: Health,
}

/// A participant, ready to run.
#[derive(Debug)]
pub struct Participant<D> {
    shared: Arc<Shared<D>>,
    kafka: KafkaConfig,
    producer: KafkaProducer,
    loop_health: Component,
}

/// What loop, handler and sweep have in common.
pub(crate) struct Shared<D> {
    name: &'static str,
    log_name: Option<&'static str>,
    group: String,
    topic: String,
    decider: D,
    database: Database,
    store: Store,
    appender: Appender,
    dead_letters: DeadLetters,
    log_ends: LogEnds,
    progress: Progress,
    quiet: Quiet,
    settings: ParticipantSettings,
    log_health: Component,
    /// Known once the log was looked at; see [`Shared::partitions`].
    identity: Arc<OnceLock<LogIdentity>>,
}

impl<D> std::fmt::Debug for Shared<D> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Shared({})", self.name)
    }
}

impl<D: Decider> Participant<D> {
    /// Puts a participant together; nothing is contacted yet.
    #[must_use]
    pub fn new(parts: Parts<D>) -> Self {
        let (topic, group) = (parts.kafka.topic.clone(), parts.settings.group.clone());
        let appender = Appender::new(&parts);
        let producer = Arc::clone(&appender.producer);
        let shared = Shared {
            name: parts.name,
            log_name: parts.log_name,
            decider: parts.decider,
            store: appender.store.clone(),
            identity: Arc::clone(&appender.identity),
            appender,
            database: parts.database,
            dead_letters: DeadLetters::new(producer, &topic, &group),
            log_ends: LogEnds::new(parts.producer.clone(), &topic, BROKER_TIMEOUT),
            progress: Progress::default(),
            quiet: Quiet::default(),
            log_health: parts.health.component(&format!("log of {}", parts.name)),
            settings: parts.settings,
            group,
            topic,
        };
        Self {
            loop_health: parts
                .health
                .component(&format!("consumer of {}", parts.name))
                .with_deadline(WEDGED_AFTER),
            shared: Arc::new(shared),
            kafka: parts.kafka,
            producer: parts.producer,
        }
    }

    /// Tells job workers when this participant has read past the log's end (rule R11).
    #[must_use]
    pub fn gate(&self) -> ReadPastEnd {
        ReadPastEnd::new(
            self.shared.database.clone(),
            self.shared.store.clone(),
            self.shared.log_ends.clone(),
            Arc::clone(&self.shared.identity),
        )
    }

    /// Appends events outside of batches: what requests and timers decide.
    #[must_use]
    pub fn appender(&self) -> Appender {
        self.shared.appender.clone()
    }

    /// Has results of `handler`'s jobs recorded together with the events that they append (rule R5). A
    /// worker for it is made with the database of this participant and [`Participant::gate`].
    #[must_use]
    pub fn with_outcomes<H: OutcomeHandler>(&self, handler: H) -> WithOutcomes<D, H> {
        WithOutcomes::new(Arc::clone(&self.shared), handler)
    }

    /// Runs until `shutdown`. A broker or a database that is down is waited for.
    ///
    /// # Errors
    /// A fatal client error, or a log that contradicts the database.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), LoopError> {
        if !self.wait_for_log(&shutdown).await? {
            return Ok(());
        }
        let handler = handler::Handler::new(Arc::clone(&self.shared), self.loop_health.clone());
        let consumer = ConsumerLoop::new(
            &self.kafka,
            &self.shared.group,
            handler,
            LoopSettings {
                max_batch: self.shared.settings.max_batch,
                ..LoopSettings::default()
            },
            self.loop_health,
            self.shared.progress.clone(),
        )?;
        let mut sweep = tokio::spawn(sweep::run(Arc::clone(&self.shared), shutdown.clone()));
        let consumer = consumer.run(&shutdown);
        tokio::pin!(consumer);
        tokio::select! {
            result = &mut consumer => {
                sweep.abort();
                result
            }
            ended = &mut sweep => {
                shutdown.trigger();
                consumer.await?;
                match ended {
                    Ok(ended) => ended.map_err(LoopError::Stopped),
                    Err(error) => Err(LoopError::Stopped(format!("the sweep: {error}"))),
                }
            }
        }
    }

    /// Creates the topics and identifies the log, waiting for broker and database as long as it
    /// takes. `false`: shut down meanwhile.
    async fn wait_for_log(&self, shutdown: &Shutdown) -> Result<bool, LoopError> {
        let backoff = LoopSettings::default().backoff;
        for attempt in 1.. {
            self.loop_health.heartbeat();
            let prepared = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(false),
                prepared = self.prepare_log() => prepared,
            };
            match prepared {
                Ok(()) => break,
                Err(Interruption::Stop(reason)) => return Err(LoopError::Stopped(reason)),
                Err(Interruption::Unavailable(reason) | Interruption::Refused { reason, .. }) => {
                    self.loop_health.set_not_ready(&reason);
                    if attempt == 1 {
                        tracing::warn!(
                            participant = self.shared.name,
                            reason,
                            "Waiting for the log."
                        );
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(false),
                () = tokio::time::sleep(backoff.wait(attempt)) => {}
            }
        }
        Ok(!shutdown.is_cancelled())
    }

    async fn prepare_log(&self) -> Result<(), Interruption> {
        let unavailable =
            |error: crate::kafka::TopicError| Interruption::Unavailable(error.to_string());
        if self.kafka.create_topics {
            let log = [TopicSpec::log(&self.kafka)];
            ensure_topics(&self.kafka, &log, BROKER_TIMEOUT)
                .await
                .map_err(unavailable)?;
        }
        self.identify_log().await?;
        if self.kafka.create_topics {
            // As many partitions as the log really has.
            let (group, partitions) = (&self.shared.group, self.shared.partitions());
            let letters = [TopicSpec::dead_letters(&self.kafka, group, partitions)];
            ensure_topics(&self.kafka, &letters, BROKER_TIMEOUT)
                .await
                .map_err(unavailable)?;
        }
        Ok(())
    }

    async fn identify_log(&self) -> Result<(), Interruption> {
        let unavailable =
            |error: crate::kafka::TopicError| Interruption::Unavailable(error.to_string());
        let found = LogIdentity {
            cluster_id: cluster_id(&self.producer, BROKER_TIMEOUT)
                .await
                .map_err(unavailable)?,
            topic: self.shared.topic.clone(),
            partitions: partition_count(&self.producer, &self.shared.topic, BROKER_TIMEOUT)
                .await
                .map_err(unavailable)?,
        };
        let known = self.shared.store.identify(&self.shared.database, &found);
        let known = within(batch::TRANSACTION_LIMIT, known)
            .await
            .map_err(|error| Interruption::Unavailable(format!("database: {error}")))?;
        if known != found && !fault::mutated("r6.other-log") {
            return Err(Interruption::Stop(other_log(&known, &found)));
        }
        // The first one wins; a second look found the same.
        self.shared.identity.get_or_init(|| found);
        Ok(())
    }
}

/// What an operator reads who has put a database and a log together that do not belong together.
fn other_log(known: &LogIdentity, found: &LogIdentity) -> String {
    format!(
        "the database was filled from another log: it knows cluster {} topic {} with {} partitions, \
         the broker has cluster {} topic {} with {}; more partitions need a new topic",
        known.cluster_id,
        known.topic,
        known.partitions,
        found.cluster_id,
        found.topic,
        found.partitions
    )
}

impl<D> Shared<D> {
    /// Partitions of the log; the loop runs only after they are known.
    fn partitions(&self) -> i32 {
        self.identity.get().map_or(1, |known| known.partitions)
    }

    fn count(&self, plan: &Plan, kinds: &[Kind], published: usize) {
        let effective = plan.steps.len() as u64;
        for (effect, events) in [("effective", effective), ("ignored", plan.ignored)] {
            metrics::counter!("events_total", "participant" => self.name, "effect" => effect)
                .increment(events);
        }
        for kind in kinds {
            if let Kind::NoEffect(why) = kind {
                metrics::counter!("events_total", "participant" => self.name, "effect" => *why)
                    .increment(1);
            }
        }
        let again = plan.republish.len() as u64;
        metrics::counter!("outcomes_published_total", "participant" => self.name)
            .increment(published as u64);
        metrics::counter!("outcomes_republished_total", "participant" => self.name)
            .increment(again);
    }

    fn count_swept(&self, outcomes: usize) {
        metrics::counter!("outcomes_swept_total", "participant" => self.name)
            .increment(outcomes as u64);
    }

    fn count_held_back(&self, outcomes: usize) {
        metrics::counter!("outcomes_published_total", "participant" => self.name)
            .increment(outcomes as u64);
    }

    fn gauge(&self, partition: PartitionId, lag: i64, unconfirmed: usize) {
        let labels = [
            ("participant", self.name.to_owned()),
            ("partition", partition.to_string()),
        ];
        metrics::gauge!("consumer_lag_records", &labels).set(lag as f64);
        metrics::gauge!("outcomes_unconfirmed", &labels).set(unconfirmed as f64);
    }
}

impl<D: Decider> Shared<D> {
    /// The tutorial's log line, and whatever the service has to tell after a commit.
    fn tell(&self, changes: &[Change<'_>]) {
        if let Some(name) = self.log_name {
            for change in changes {
                // No names and no addresses: they are personal data.
                let (status, order_id) = (change.heading.status.as_str(), change.order_id());
                tracing::info!(
                    %order_id,
                    "Order event received in {name} service => OrderEvent(status={status}, orderId={order_id})",
                );
            }
        }
        self.decider.committed(changes);
    }
}
