//! A mock cluster, members of a group with scripted handlers, and waiting with a deadline.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use service_runtime::health::Health;
use service_runtime::jobs::Backoff;
use service_runtime::kafka::{
    Assigned, BatchHandler, ConsumerLoop, EventProducer, Interruption, KafkaConfig, KafkaProducer,
    LoopError, LoopSettings, NewRecord, Progress, Record, Start,
};
use service_runtime::lifecycle::Shutdown;
use tokio::task::JoinHandle;

pub(crate) const DEADLINE: Duration = Duration::from_secs(40);
pub(crate) const TOPIC: &str = "orders";
pub(crate) const MAX_BATCH: usize = 10;

/// What a test's handler saw and what it is told to do.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) handled: Mutex<Vec<(i32, i64)>>,
    pub(crate) checked: Mutex<Vec<Assigned>>,
    /// Partitions that it has now.
    pub(crate) owned: Mutex<BTreeSet<i32>>,
    pub(crate) attempts: AtomicUsize,
    pub(crate) largest_batch: AtomicUsize,
    pub(crate) down: AtomicBool,
    pub(crate) stop: AtomicBool,
    pub(crate) hang: AtomicBool,
    /// A batch does not end as long as this is set.
    pub(crate) hold: AtomicBool,
    pub(crate) read_from: Mutex<Option<i64>>,
    /// The batch that reaches this offset ends the loop.
    pub(crate) stop_at: Mutex<Option<i64>>,
    pub(crate) keep_committed: AtomicBool,
}

struct Scripted(Arc<Script>);

impl BatchHandler for Scripted {
    async fn check(&mut self, assigned: &Assigned) -> Result<Start, Interruption> {
        self.0.checked.lock().unwrap().push(*assigned);
        self.0.owned.lock().unwrap().insert(assigned.partition);
        Ok(match *self.0.read_from.lock().unwrap() {
            Some(offset) => Start::At(offset),
            None => Start::Committed,
        })
    }

    async fn handle(&mut self, batch: &[Record]) -> Result<(), Interruption> {
        self.0.attempts.fetch_add(1, Ordering::SeqCst);
        self.0
            .largest_batch
            .fetch_max(batch.len(), Ordering::SeqCst);
        if self.0.hang.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        while self.0.hold.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let stop_at = self.0.stop_at.lock().unwrap().unwrap_or(i64::MAX);
        let reached = batch.iter().any(|record| record.offset >= stop_at);
        if reached || self.0.stop.load(Ordering::SeqCst) {
            return Err(Interruption::Stop("told to stop".to_owned()));
        }
        if self.0.down.load(Ordering::SeqCst) {
            return Err(Interruption::Unavailable("told to wait".to_owned()));
        }
        let mut handled = self.0.handled.lock().unwrap();
        handled.extend(batch.iter().map(|record| (record.partition, record.offset)));
        Ok(())
    }

    fn may_commit(&self, _: i32) -> bool {
        !self.0.keep_committed.load(Ordering::SeqCst)
    }

    fn revoked(&mut self, partition: i32) {
        self.0.owned.lock().unwrap().remove(&partition);
    }
}

impl Script {
    pub(crate) fn handled(&self) -> Vec<(i32, i64)> {
        let mut handled = self.handled.lock().unwrap().clone();
        handled.sort_unstable();
        handled
    }

    pub(crate) fn count(&self) -> usize {
        self.handled.lock().unwrap().len()
    }

    pub(crate) fn owned(&self) -> usize {
        self.owned.lock().unwrap().len()
    }
}

pub(crate) struct Cluster {
    pub(crate) mock: MockCluster<'static, DefaultProducerContext>,
    pub(crate) config: KafkaConfig,
}

pub(crate) fn cluster(partitions: i32) -> Cluster {
    cluster_of(1, partitions)
}

/// With a replica of everything on each of its brokers.
pub(crate) fn cluster_of(brokers: i32, partitions: i32) -> Cluster {
    let mock = MockCluster::new(brokers).unwrap();
    mock.create_topic(TOPIC, partitions, brokers).unwrap();
    let mut config = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
    // Longer than the 3 s that the mock holds a first join back: it expels members meanwhile.
    config.session_timeout = Duration::from_secs(4);
    config.fetch_wait_max = Duration::from_millis(20);
    config.delivery_timeout = Duration::from_secs(5);
    config.extra.insert("auto.commit.interval.ms", "100");
    Cluster { mock, config }
}

/// Whose members are not expelled when their machine stands still for some seconds, and keep others waiting longer.
pub(crate) fn calm_cluster(partitions: i32) -> Cluster {
    let mut cluster = cluster(partitions);
    cluster.config.session_timeout = Duration::from_secs(10);
    cluster
}

pub(crate) struct Member {
    pub(crate) shutdown: Shutdown,
    pub(crate) health: Health,
    pub(crate) running: JoinHandle<Result<(), LoopError>>,
}

impl Member {
    pub(crate) fn reason(&self) -> Option<String> {
        self.health.readiness().components["consumer"]
            .reason
            .clone()
    }

    pub(crate) async fn leave(self) -> Result<(), LoopError> {
        self.shutdown.trigger();
        tokio::time::timeout(DEADLINE, self.running)
            .await
            .unwrap()
            .unwrap()
    }
}

/// Bounds that make a test quick.
pub(crate) fn settings() -> LoopSettings {
    LoopSettings {
        max_batch: MAX_BATCH,
        backoff: Backoff {
            initial: Duration::from_millis(100),
            max: Duration::from_millis(200),
        },
        read_again_after: Duration::from_secs(2),
        ..LoopSettings::default()
    }
}

pub(crate) fn join(config: &KafkaConfig, script: &Arc<Script>) -> Member {
    join_with(config, script, settings())
}

pub(crate) fn join_with(
    config: &KafkaConfig,
    script: &Arc<Script>,
    settings: LoopSettings,
) -> Member {
    let shutdown = Shutdown::new();
    let health = Health::new(&shutdown);
    let component = health.component("consumer");
    let handler = Scripted(Arc::clone(script));
    let progress = Progress::default();
    let consumer =
        ConsumerLoop::new(config, "group", handler, settings, component, progress).unwrap();
    let until = shutdown.clone();
    Member {
        shutdown,
        health,
        running: tokio::spawn(async move { consumer.run(&until).await }),
    }
}

pub(crate) fn to_partition(partition: i32, text: &str) -> NewRecord {
    NewRecord {
        topic: TOPIC.to_owned(),
        partition: Some(partition),
        key: None,
        headers: vec![],
        value: Some(text.as_bytes().to_vec()),
    }
}

pub(crate) async fn produce(config: &KafkaConfig, partition: i32, count: usize) {
    let producer = KafkaProducer::new(config).unwrap();
    for n in 0..count {
        let record = to_partition(partition, &n.to_string());
        producer.enqueue(&record).unwrap().await.unwrap();
    }
}

pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "no {what} within {DEADLINE:?}");
}

/// The offset from which the next member of the group reads.
pub(crate) async fn committed(cluster: &Cluster) -> Option<i64> {
    let script = Arc::new(Script::default());
    let member = join(&cluster.config, &script);
    let asked = || !script.checked.lock().unwrap().is_empty();
    eventually("the partition", asked).await;
    member.leave().await.unwrap();
    let checked = script.checked.lock().unwrap();
    checked[0].committed
}
