//! A participant that is taken through the log one step at a time; see [`testing`](crate::testing).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::{Arc, Mutex};

use base_domains::{OrderEvent, OrderId, OrderStatus, home_partition};

use super::batch::republish;
use super::handler::Handler;
use super::store::LogIdentity;
use super::{
    Change, DecideError, Decider, Decision, OutcomeHandler, Participant, ParticipantSettings,
    Parts, Shared, WithOutcomes,
};
use crate::database::{Database, Tx};
use crate::health::Health;
use crate::jobs::JobHandler;
use crate::kafka::{
    BatchHandler as _, DeadLetters, EventProducer, Interruption, KafkaConfig, KafkaProducer, Record,
};
use crate::lifecycle::Shutdown;
use crate::testing::{MemoryLog, PARTITIONS};

/// A participant whose group has its name. Several on one database and log are several instances.
#[derive(Debug)]
pub struct Bench<D> {
    shared: Arc<Shared<Noting<D>>>,
}

/// Keeps what was decided.
struct Noting<D> {
    decider: D,
    decisions: Mutex<Vec<Decision>>,
}

impl<D: Decider> Decider for Noting<D> {
    async fn decide(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        let decisions = self.decider.decide(tx, changes).await?;
        self.decisions.lock().unwrap().extend(decisions.clone());
        Ok(decisions)
    }

    async fn decide_history(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        let decisions = self.decider.decide_history(tx, changes).await?;
        self.decisions.lock().unwrap().extend(decisions.clone());
        Ok(decisions)
    }

    fn committed(&self, changes: &[Change<'_>]) {
        self.decider.committed(changes);
    }
}

impl<D: Decider> Bench<D> {
    /// The participant `name` of the service `writer`, on a database that is migrated.
    #[must_use]
    pub fn new(
        name: &'static str,
        writer: &'static str,
        database: &Database,
        log: &MemoryLog,
        decider: D,
    ) -> Self {
        let kafka = KafkaConfig::for_bootstrap("127.0.0.1:1", "test");
        let participant = Participant::new(Parts {
            name,
            writer,
            log_name: None,
            decider: Noting {
                decider,
                decisions: Mutex::default(),
            },
            database: database.clone(),
            producer: KafkaProducer::new(&kafka).unwrap(),
            kafka,
            settings: ParticipantSettings::for_group(name),
            health: Health::new(&Shutdown::new()),
        });
        let mut shared = Arc::into_inner(participant.shared).unwrap();
        let producer: Arc<dyn EventProducer> = Arc::new(log.clone());
        shared.dead_letters = DeadLetters::new(Arc::clone(&producer), &shared.topic, name);
        shared.appender.producer = producer;
        shared.identity.get_or_init(|| LogIdentity {
            cluster_id: "test".to_owned(),
            topic: shared.topic.clone(),
            partitions: PARTITIONS,
        });
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Handles `records` as one polled batch; what the service decided about those with an effect.
    pub async fn read(&self, records: &[Record]) -> Vec<Decision> {
        self.try_read(records).await.unwrap()
    }

    /// Like [`Bench::read`], where the log may refuse what is appended.
    ///
    /// # Errors
    /// The same batch has to be read again.
    pub async fn try_read(&self, records: &[Record]) -> Result<Vec<Decision>, Interruption> {
        let health = Health::new(&Shutdown::new()).component("bench");
        take(&mut *self.shared.decider.decisions.lock().unwrap());
        let mut handler = Handler::new(Arc::clone(&self.shared), health);
        handler.handle(records).await?;
        Ok(take(&mut *self.shared.decider.decisions.lock().unwrap()))
    }

    /// Like [`Bench::read`], of records that were in the log before this database (rule R13).
    pub async fn read_history(&self, records: &[Record]) -> Vec<Decision> {
        for partition in 0..PARTITIONS {
            self.shared.quiet.begin(partition, i64::MAX);
        }
        let decisions = self.read(records).await;
        for partition in 0..PARTITIONS {
            self.shared.quiet.end(partition);
        }
        decisions
    }

    /// See [`Participant::with_outcomes`].
    pub fn with_outcomes<H: OutcomeHandler>(&self, handler: H) -> impl JobHandler + use<D, H> {
        WithOutcomes::new(Arc::clone(&self.shared), handler)
    }

    /// What the order is by the events that were read.
    pub async fn status(&self, order_id: OrderId) -> Option<OrderStatus> {
        let mut tx = self.shared.database.begin().await.unwrap();
        let orders = BTreeMap::from([(order_id, home_partition(order_id, PARTITIONS))]);
        let rows = self.shared.store.lock_orders(&mut tx, &orders).await;
        tx.rollback().await.unwrap();
        rows.unwrap()[&order_id].state.status()
    }

    /// The stored outcome that was not read back yet.
    pub async fn outcome(&self, order_id: OrderId) -> Option<OrderEvent> {
        let orders = [order_id];
        let stored = self.shared.store.outcomes(&self.shared.database, &orders);
        let outcome = stored.await.unwrap().pop()?;
        Some(OrderEvent::from_json(outcome.value.as_bytes()).unwrap())
    }

    /// What the sweep does about an outcome that got lost (rule R9).
    pub async fn publish_again(&self, order_id: OrderId) {
        self.try_publish_again(order_id).await.unwrap();
    }

    /// Like [`Bench::publish_again`], where the log may refuse it.
    ///
    /// # Errors
    /// It has to be tried again.
    pub async fn try_publish_again(&self, order_id: OrderId) -> Result<(), Interruption> {
        Ok(republish(&self.shared, &[order_id]).await?)
    }
}

impl<D: Decider> Participant<D> {
    /// Gives these records their effect as the running participant does: one batch of a log of so many partitions,
    /// without a consumer. For tests of what deciders write, and of what is made of that.
    ///
    /// # Errors
    /// Those of the loop's handler.
    pub async fn handle(&self, partitions: i32, records: &[Record]) -> Result<(), Interruption> {
        self.shared.identity.get_or_init(|| LogIdentity {
            cluster_id: String::new(),
            topic: self.shared.topic.clone(),
            partitions,
        });
        let mut handler = Handler::new(Arc::clone(&self.shared), self.loop_health.clone());
        handler.handle(records).await
    }
}
