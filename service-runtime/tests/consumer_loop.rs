//! The consumer loop and the producer on librdkafka's mock cluster: outages, rebalances, ends.

// A test fails by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use service_runtime::health::Health;
use service_runtime::jobs::Backoff;
use service_runtime::kafka::{
    Assigned, BatchHandler, ConsumerLoop, EventProducer, Interruption, KafkaConfig, KafkaProducer,
    LoopError, LoopSettings, NewRecord, ProduceError, Progress, Record, Start,
};
use service_runtime::lifecycle::Shutdown;
use service_runtime::telemetry::{install_metrics, metrics_text};
use tokio::task::JoinHandle;

const DEADLINE: Duration = Duration::from_secs(40);
const TOPIC: &str = "orders";
const MAX_BATCH: usize = 10;

/// What a test's handler saw and what it is told to do.
#[derive(Default)]
struct Script {
    handled: Mutex<Vec<(i32, i64)>>,
    checked: Mutex<Vec<Assigned>>,
    attempts: AtomicUsize,
    largest_batch: AtomicUsize,
    down: AtomicBool,
    stop: AtomicBool,
    hang: AtomicBool,
    read_from: Mutex<Option<i64>>,
    /// The batch that reaches this offset ends the loop.
    stop_at: Mutex<Option<i64>>,
    keep_committed: AtomicBool,
}

struct Scripted(Arc<Script>);

impl BatchHandler for Scripted {
    async fn check(&mut self, assigned: &Assigned) -> Result<Start, Interruption> {
        self.0.checked.lock().unwrap().push(*assigned);
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
}

impl Script {
    fn handled(&self) -> Vec<(i32, i64)> {
        let mut handled = self.handled.lock().unwrap().clone();
        handled.sort_unstable();
        handled
    }

    fn count(&self) -> usize {
        self.handled.lock().unwrap().len()
    }
}

struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    config: KafkaConfig,
}

fn cluster(partitions: i32) -> Cluster {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic(TOPIC, partitions, 1).unwrap();
    let mut config = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
    // Longer than the 3 s that the mock holds a first join back: it expels members meanwhile.
    config.session_timeout = Duration::from_secs(4);
    config.fetch_wait_max = Duration::from_millis(20);
    config.delivery_timeout = Duration::from_secs(5);
    config.extra.insert("auto.commit.interval.ms", "100");
    Cluster { mock, config }
}

struct Member {
    shutdown: Shutdown,
    health: Health,
    running: JoinHandle<Result<(), LoopError>>,
}

impl Member {
    fn reason(&self) -> Option<String> {
        self.health.readiness().components["consumer"]
            .reason
            .clone()
    }

    async fn leave(self) -> Result<(), LoopError> {
        self.shutdown.trigger();
        tokio::time::timeout(DEADLINE, self.running)
            .await
            .unwrap()
            .unwrap()
    }
}

fn join(config: &KafkaConfig, script: &Arc<Script>) -> Member {
    let shutdown = Shutdown::new();
    let settings = LoopSettings {
        max_batch: MAX_BATCH,
        backoff: Backoff {
            initial: Duration::from_millis(100),
            max: Duration::from_millis(200),
        },
        read_again_after: Duration::from_secs(2),
        ..LoopSettings::default()
    };
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

fn to_partition(partition: i32, text: &str) -> NewRecord {
    NewRecord {
        topic: TOPIC.to_owned(),
        partition: Some(partition),
        key: None,
        headers: vec![],
        value: Some(text.as_bytes().to_vec()),
    }
}

async fn produce(config: &KafkaConfig, partition: i32, count: usize) {
    let producer = KafkaProducer::new(config).unwrap();
    for n in 0..count {
        let record = to_partition(partition, &n.to_string());
        producer.enqueue(&record).unwrap().await.unwrap();
    }
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "no {what} within {DEADLINE:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_member_stays_in_its_group_and_handles_its_batch_afterwards() {
    let cluster = cluster(1);
    produce(&cluster.config, 0, 10).await;
    let script = Arc::new(Script::default());
    script.down.store(true, Ordering::SeqCst);
    let member = join(&cluster.config, &script);
    // With at most 200 ms between attempts this is longer than the session timeout.
    eventually("attempts", || script.attempts.load(Ordering::SeqCst) > 40).await;
    assert_eq!(script.handled(), vec![]);
    script.down.store(false, Ordering::SeqCst);
    eventually("effect", || script.count() >= 10).await;
    produce(&cluster.config, 0, 5).await;
    eventually("flow after the pause", || script.count() >= 15).await;
    let all: Vec<(i32, i64)> = (0..15).map(|offset| (0, offset)).collect();
    assert_eq!(script.handled(), all, "each once");
    assert_eq!(script.checked.lock().unwrap().len(), 1, "no rebalance");
    member.leave().await.unwrap();
}

/// Rule R8: a rebalance brings partitions unpaused to a member that is blocked.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_come_to_a_blocked_member_are_paused_and_lose_nothing() {
    let cluster = cluster(4);
    let (first, second) = (Arc::new(Script::default()), Arc::new(Script::default()));
    for script in [&first, &second] {
        script.down.store(true, Ordering::SeqCst);
    }
    // Both at once, so that neither ever had, and paused, what the other has.
    let one = join(&cluster.config, &first);
    let other = join(&cluster.config, &second);
    let checked = |script: &Script| script.checked.lock().unwrap().len();
    eventually("two partitions each", || {
        (checked(&first), checked(&second)) == (2, 2)
    })
    .await;
    for partition in 0..4 {
        produce(&cluster.config, partition, 20).await;
    }
    let attempts = |script: &Script| script.attempts.load(Ordering::SeqCst);
    eventually("held batches", || {
        attempts(&first) > 1 && attempts(&second) > 1
    })
    .await;

    other.leave().await.unwrap();
    eventually("the other's partitions", || checked(&first) == 4).await;
    let so_far = attempts(&first);
    eventually("further attempts", || attempts(&first) > so_far + 20).await;
    let largest = first.largest_batch.load(Ordering::SeqCst);
    assert!(
        largest <= MAX_BATCH,
        "a held batch of {largest}: it is not paused"
    );
    assert_eq!((first.count(), second.count()), (0, 0));

    first.down.store(false, Ordering::SeqCst);
    eventually("every record", || first.count() >= 80).await;
    let all: Vec<(i32, i64)> = (0..4)
        .flat_map(|partition| (0..20).map(move |offset| (partition, offset)))
        .collect();
    assert_eq!(
        first.handled(),
        all,
        "each once: nobody had handled any before"
    );
    one.leave().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_shows_which_partitions_it_owns_and_none_once_it_left() {
    install_metrics();
    let cluster = cluster(6);
    let member = join(&cluster.config, &Arc::new(Script::default()));
    // No other test of this process has so many partitions.
    let shows = |value: u8| {
        let line = format!(r#"consumer_partition_owned{{group="group",partition="5"}} {value}"#);
        metrics_text().lines().any(|found| found == line)
    };
    eventually("the partition", || shows(1)).await;
    member.leave().await.unwrap();
    assert!(shows(0), "{}", metrics_text());
}

/// A database that vanished in the middle of a transaction must not hold the end back.
#[tokio::test(flavor = "multi_thread")]
async fn leaving_is_bounded_while_a_batch_hangs_and_its_records_come_again() {
    let cluster = cluster(1);
    produce(&cluster.config, 0, 3).await;
    let script = Arc::new(Script::default());
    script.hang.store(true, Ordering::SeqCst);
    let member = join(&cluster.config, &script);
    eventually("the batch", || script.attempts.load(Ordering::SeqCst) == 1).await;
    let started = std::time::Instant::now();
    member.leave().await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(12),
        "{:?}",
        started.elapsed()
    );
    let next = Arc::new(Script::default());
    let member = join(&cluster.config, &next);
    eventually("the records again", || next.count() == 3).await;
    member.leave().await.unwrap();
}

/// Invariant 7: an offset is committed only for work that is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_not_finished_comes_again_to_the_next_member() {
    let cluster = cluster(1);
    produce(&cluster.config, 0, 5).await;
    let script = Arc::new(Script::default());
    let member = join(&cluster.config, &script);
    eventually("the first batch", || script.count() == 5).await;
    script.stop.store(true, Ordering::SeqCst);
    produce(&cluster.config, 0, 5).await;
    let ended = tokio::time::timeout(DEADLINE, member.running)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.unwrap_err().to_string(), "told to stop");

    let next = Arc::new(Script::default());
    let member = join(&cluster.config, &next);
    eventually("the partition", || !next.checked.lock().unwrap().is_empty()).await;
    assert_eq!(next.checked.lock().unwrap()[0].committed, Some(5));
    eventually("the rest", || next.count() >= 5).await;
    let rest: Vec<(i32, i64)> = (5..10).map(|offset| (0, offset)).collect();
    assert_eq!(next.handled(), rest);
    member.leave().await.unwrap();
}

/// librdkafka tells such an error once, and nothing when it is over.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_member_is_not_ready_for_as_long_as_it_may_not_read() {
    let mut cluster = cluster(1);
    // After such an error librdkafka waits ten times as long, and not less than a second.
    cluster.config.extra.insert("fetch.error.backoff.ms", "100");
    produce(&cluster.config, 0, 3).await;
    let script = Arc::new(Script::default());
    let member = join(&cluster.config, &script);
    eventually("the records", || script.count() == 3).await;
    assert_eq!(member.reason(), None);

    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 100];
    let fetch = RDKafkaApiKey::Fetch;
    cluster.mock.request_errors(fetch, &refused);
    eventually("a member that is not ready", || member.reason().is_some()).await;
    let reason = member.reason().unwrap();
    assert!(reason.contains("TopicAuthorizationFailed"), "{reason}");
    let still = tokio::time::timeout(Duration::from_secs(7), async {
        while member.reason().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(still.await.is_err(), "ready again without having read");

    cluster.mock.clear_request_errors(fetch);
    eventually("a member that is ready", || member.reason().is_none()).await;
    produce(&cluster.config, 0, 2).await;
    eventually("the next records", || script.count() == 5).await;
    let all: Vec<(i32, i64)> = (0..5).map(|offset| (0, offset)).collect();
    assert_eq!(script.handled(), all, "each once");
    member.leave().await.unwrap();
}

/// Rule R6: a database that is behind the committed offset is read again from its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_starts_where_the_handler_says() {
    let cluster = cluster(1);
    produce(&cluster.config, 0, 10).await;
    let script = Arc::new(Script::default());
    let member = join(&cluster.config, &script);
    eventually("all", || script.count() == 10).await;
    member.leave().await.unwrap();

    let restored = Arc::new(Script::default());
    *restored.read_from.lock().unwrap() = Some(4);
    let member = join(&cluster.config, &restored);
    eventually("the records from offset 4 on", || restored.count() >= 6).await;
    let again: Vec<(i32, i64)> = (4..10).map(|offset| (0, offset)).collect();
    assert_eq!(restored.handled(), again);
    let checked = restored.checked.lock().unwrap()[0];
    assert_eq!(
        (checked.committed, checked.begin, checked.end),
        (Some(10), 0, 10)
    );
    member.leave().await.unwrap();
}

/// Rule R13: otherwise the rest of the history would not be known as such after a crash.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_ends_early_leaves_the_committed_offset_where_it_was() {
    let cluster = cluster(1);
    produce(&cluster.config, 0, 30).await;
    let script = Arc::new(Script::default());
    let member = join(&cluster.config, &script);
    eventually("all", || script.count() == 30).await;
    member.leave().await.unwrap();

    let restored = Arc::new(Script::default());
    *restored.read_from.lock().unwrap() = Some(4);
    *restored.stop_at.lock().unwrap() = Some(14);
    restored.keep_committed.store(true, Ordering::SeqCst);
    let member = join(&cluster.config, &restored);
    let ended = tokio::time::timeout(DEADLINE, member.running).await;
    ended.unwrap().unwrap().unwrap_err();
    assert!(restored.count() > 0, "nothing was read again");

    let (replayed, next) = (Arc::new(Script::default()), Arc::new(Script::default()));
    let member = join(&cluster.config, &replayed);
    produce(&cluster.config, 0, 5).await;
    eventually("the new ones", || replayed.count() >= 5).await;
    assert_eq!(
        replayed.checked.lock().unwrap()[0].committed,
        Some(30),
        "neither lower nor lost"
    );
    member.leave().await.unwrap();
    let member = join(&cluster.config, &next);
    eventually("the partition", || !next.checked.lock().unwrap().is_empty()).await;
    assert_eq!(next.checked.lock().unwrap()[0].committed, Some(35));
    member.leave().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_is_bounded_while_the_broker_is_down() {
    let cluster = cluster(1);
    produce(&cluster.config, 0, 1).await;
    let script = Arc::new(Script::default());
    let member = join(&cluster.config, &script);
    eventually("the record", || script.count() == 1).await;
    cluster.mock.broker_down(-1).unwrap();
    let started = std::time::Instant::now();
    member.leave().await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}

/// Invariant 1: the record may be in the log, so its result is unknown and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_comes_too_late_is_an_unknown_result() {
    let mut cluster = cluster(1);
    cluster.config.delivery_timeout = Duration::from_millis(1500);
    let producer = KafkaProducer::new(&cluster.config).unwrap();
    let first = to_partition(0, "quick");
    producer.enqueue(&first).unwrap().await.unwrap();
    cluster
        .mock
        .broker_round_trip_time(1, Duration::from_secs(4))
        .unwrap();
    let slow = to_partition(0, "slow");
    let error = producer.enqueue(&slow).unwrap().await.unwrap_err();
    assert!(matches!(error, ProduceError::Unknown(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_a_definite_failure_at_once() {
    let mut cluster = cluster(1);
    cluster
        .config
        .extra
        .insert("queue.buffering.max.messages", "3");
    cluster.mock.broker_down(-1).unwrap();
    let producer = KafkaProducer::new(&cluster.config).unwrap();
    let mut waiting = Vec::new();
    let error = loop {
        match producer.enqueue(&to_partition(0, "x")) {
            Ok(delivery) => waiting.push(delivery),
            Err(error) => break error,
        }
        assert!(waiting.len() < 10, "the queue never fills");
    };
    assert_eq!(error, ProduceError::QueueFull);
    assert_eq!(waiting.len(), 3);
}

/// The home partition that readers compute is the one that keyed records go to (rule R4).
#[tokio::test(flavor = "multi_thread")]
async fn keyed_records_go_to_the_home_partition() {
    let cluster = cluster(7);
    let producer = KafkaProducer::new(&cluster.config).unwrap();
    for n in 0..100 {
        let order_id = base_domains::OrderId::from_idempotency_key("test", &n.to_string());
        let record = NewRecord {
            partition: None,
            key: Some(order_id.to_string().into_bytes()),
            ..to_partition(0, "keyed")
        };
        let delivered = producer.enqueue(&record).unwrap().await.unwrap();
        assert_eq!(
            delivered.partition,
            base_domains::home_partition(order_id, 7)
        );
    }
}
