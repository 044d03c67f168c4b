//! What is appended outside of batches and jobs: an order is locked, an outcome stored in its row and
//! published after the commit.

use std::time::Duration;

use base_domains::{
    EncodedEvent, Encoder, OrderEvent, OrderId, OrderStatus, WireOrder, home_partition,
};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use service_runtime::database::{Database, Tx};
use service_runtime::health::Health;
use service_runtime::kafka::{
    EventProducer, KafkaConfig, KafkaProducer, LoopError, NewRecord, Record, read_all,
};
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{
    AppendError, Appender, Change, DecideError, Decider, Decision, Participant,
    ParticipantSettings, Parts, Settlement, StoredOutcome, SweepSettings,
};
use test_support::{Test, TestDatabase, test};
use tokio::task::JoinHandle;

use crate::support::{Fresh, eventually, execute, number};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(what_was_decided_under_the_lock_is_published_and_read_back).threads(2),
        test!(an_outcome_whose_process_died_before_it_was_published_is_swept).threads(2),
        test!(an_unconfirmed_outcome_is_replaced_only_by_one_that_goes_further),
        test!(an_order_that_nothing_was_read_of_is_not_locked_and_leaves_no_row),
        test!(nothing_is_locked_before_the_log_was_reached),
        test!(an_event_that_may_not_be_stored_leaves_everything_as_it_was),
        test!(of_many_who_decide_at_once_one_stores_its_outcome).threads(4),
    ]
}

const DEADLINE: Duration = Duration::from_secs(40);
const PARTITIONS: i32 = 3;

/// Decides nothing by itself.
struct Watch;

impl Decider for Watch {
    async fn decide(
        &self,
        _: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        Ok(vec![Decision::Done; changes.len()])
    }
}

struct World {
    // Alive until every client is gone.
    _mock: MockCluster<'static, DefaultProducerContext>,
    kafka: KafkaConfig,
    producer: KafkaProducer,
    database: Database,
}

/// A running participant, and what appends for it.
struct Running {
    appender: Appender,
    shutdown: Shutdown,
    participant: JoinHandle<Result<(), LoopError>>,
}

impl Running {
    async fn end(self) -> Appender {
        self.shutdown.trigger();
        let ended = tokio::time::timeout(DEADLINE, self.participant).await;
        ended.unwrap().unwrap().unwrap();
        self.appender
    }
}

async fn world(database: TestDatabase) -> World {
    let mock = MockCluster::new(1).unwrap();
    for topic in ["orders", "orders.watch.dlt"] {
        mock.create_topic(topic, PARTITIONS, 1).unwrap();
    }
    let mut kafka = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
    kafka.create_topics = false;
    kafka.session_timeout = Duration::from_secs(4);
    kafka.fetch_wait_max = Duration::from_millis(20);
    let Fresh { database, .. } = Fresh::new(database).await;
    World {
        _mock: mock,
        producer: KafkaProducer::new(&kafka).unwrap(),
        kafka,
        database,
    }
}

impl World {
    fn participant(&self) -> Participant<Watch> {
        Participant::new(Parts {
            name: "watch",
            writer: "watch-service",
            log_name: None,
            decider: Watch,
            database: self.database.clone(),
            kafka: self.kafka.clone(),
            producer: self.producer.clone(),
            settings: ParticipantSettings {
                sweep: SweepSettings {
                    interval: Duration::from_millis(100),
                    max_backoff: Duration::from_secs(1),
                },
                ..ParticipantSettings::for_group("watch")
            },
            health: Health::new(&Shutdown::new()),
        })
    }

    async fn start(&self) -> Running {
        let (shutdown, participant) = (Shutdown::new(), self.participant());
        let appender = participant.appender();
        let running = Running {
            participant: tokio::spawn(participant.run(shutdown.clone())),
            appender,
            shutdown,
        };
        eventually("the log", async || {
            running.appender.partitions() == Some(PARTITIONS)
        })
        .await;
        running
    }

    /// An appender that knows its log, whose participant runs no more.
    async fn appender(&self) -> Appender {
        self.start().await.end().await
    }

    /// A pending order without a participant.
    async fn pending(&self, key: &str) -> OrderId {
        let order_id = OrderId::from_idempotency_key("test", key);
        let home = home_partition(order_id, PARTITIONS);
        execute(
            &self.database,
            &format!(
                "INSERT INTO participant_orders (participant, order_id, home_partition, status, state_rank) \
                 VALUES ('watch', '{order_id}', {home}, 'PENDING', 1)"
            ),
        )
        .await;
        order_id
    }

    async fn append(&self, order_id: OrderId, status: OrderStatus) {
        let record = NewRecord::event("orders", &encoded(order_id, status));
        self.producer.enqueue(&record).unwrap().await.unwrap();
    }

    async fn log(&self) -> Vec<Record> {
        read_all(&self.kafka, "orders", DEADLINE).await.unwrap()
    }

    async fn outcome(&self, order_id: OrderId) -> String {
        sqlx::query_scalar("SELECT outcome FROM participant_orders WHERE order_id = $1")
            .bind(order_id.to_string())
            .fetch_one(self.database.pool())
            .await
            .unwrap()
    }

    async fn until_status(&self, appender: &Appender, order_id: OrderId, status: OrderStatus) {
        eventually(status.as_str(), async || {
            appender.status(order_id).await.unwrap() == Some(status)
        })
        .await;
    }
}

fn event(order_id: OrderId, status: OrderStatus) -> OrderEvent {
    let order = WireOrder {
        order_id,
        name: "book order".to_owned(),
        qty: 5,
        price: 10000.0,
        email: None,
        items: None,
    };
    OrderEvent::new(status, order)
}

fn encoded(order_id: OrderId, status: OrderStatus) -> EncodedEvent {
    let encoder = Encoder {
        writer: "order-service".to_owned(),
        type_id: None,
    };
    let event = event(order_id, status);
    encoder
        .encode(&event, jiff::Timestamp::UNIX_EPOCH, None)
        .unwrap()
}

async fn execute_in(tx: &mut Tx, sql: &'static str) {
    sqlx::query(sql).execute(&mut **tx).await.unwrap();
}

/// Locks the order and stores this outcome.
async fn store(
    appender: &Appender,
    order_id: OrderId,
    status: OrderStatus,
) -> Result<Option<StoredOutcome>, AppendError> {
    let locked = appender.lock(order_id).await?.expect("a known order");
    locked
        .settle(Settlement::append(event(order_id, status)))
        .await
}

async fn what_was_decided_under_the_lock_is_published_and_read_back(database: TestDatabase) {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let world = world(database).await;
    let running = world.start().await;
    let order_id = OrderId::from_idempotency_key("test", "a");
    world.append(order_id, OrderStatus::Pending).await;
    world
        .until_status(&running.appender, order_id, OrderStatus::Pending)
        .await;

    let mut locked = running.appender.lock(order_id).await.unwrap().unwrap();
    let order = locked.order();
    assert!(!locked.has_unconfirmed());
    assert_eq!(order.status, Some(OrderStatus::Pending));
    assert_eq!(order.home_partition, home_partition(order_id, PARTITIONS));
    execute_in(locked.tx(), "CREATE TABLE notes (note TEXT)").await;
    let cancelled = Settlement::append(event(order_id, OrderStatus::Cancelled));
    let stored = locked.settle(cancelled.in_trace(Some(TRACE))).await;
    stored.unwrap().unwrap().publish().await.unwrap();
    // What was written beside it is kept with it.
    assert_eq!(
        number(&world.database, "SELECT COUNT(*) FROM notes").await,
        0
    );
    world
        .until_status(&running.appender, order_id, OrderStatus::Cancelled)
        .await;
    running.end().await;
    let log = world.log().await;
    assert_eq!(log[1].header("ce_type"), Some("order.cancelled"));
    assert_eq!(log[1].header("ce_source"), Some("/watch-service"));
    assert_eq!(log[1].header("traceparent"), Some(TRACE));
    assert_eq!(log[1].partition, home_partition(order_id, PARTITIONS));
    // On a slow machine the sweep may have been first.
    assert!(log[2..].iter().all(|again| again.value == log[1].value));
}

async fn an_outcome_whose_process_died_before_it_was_published_is_swept(database: TestDatabase) {
    let world = world(database).await;
    let (order_id, appender) = (world.pending("crash").await, world.appender().await);
    let stored = store(&appender, order_id, OrderStatus::Cancelled).await;
    drop(stored.unwrap().unwrap());
    let bytes: EncodedEvent = serde_json::from_str(&world.outcome(order_id).await).unwrap();
    assert_eq!(world.log().await.len(), 0);

    let running = world.start().await;
    world
        .until_status(&running.appender, order_id, OrderStatus::Cancelled)
        .await;
    running.end().await;
    let log = world.log().await;
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].value.as_deref(), Some(bytes.value.as_bytes()));
    assert_eq!(log[0].headers, bytes.header_bytes());
}

async fn an_unconfirmed_outcome_is_replaced_only_by_one_that_goes_further(database: TestDatabase) {
    use OrderStatus::{Cancelled, Paid, Rejected, Reserved};
    let world = world(database).await;
    let appender = world.appender().await;
    for (first, second, replaced) in [
        (Rejected, Cancelled, false),
        (Cancelled, Cancelled, false),
        (Paid, Reserved, false),
        (Reserved, Reserved, false),
        (Reserved, Paid, true),
        (Paid, Cancelled, true),
    ] {
        let order_id = world.pending(&format!("{first} {second}")).await;
        let stored = store(&appender, order_id, first).await.unwrap();
        assert!(stored.is_some());
        let locked = appender.lock(order_id).await.unwrap().unwrap();
        assert!(locked.has_unconfirmed());
        drop(locked);
        let bytes = world.outcome(order_id).await;
        let stored = store(&appender, order_id, second).await.unwrap();
        assert_eq!(stored.is_some(), replaced, "{first} {second}");
        let same = world.outcome(order_id).await == bytes;
        assert_eq!(same, !replaced, "{first} {second}");
    }
}

async fn an_order_that_nothing_was_read_of_is_not_locked_and_leaves_no_row(database: TestDatabase) {
    let world = world(database).await;
    let appender = world.appender().await;
    let order_id = OrderId::from_idempotency_key("test", "nobody");
    assert!(appender.lock(order_id).await.unwrap().is_none());
    assert_eq!(appender.status(order_id).await.unwrap(), None);
    let rows = number(&world.database, "SELECT COUNT(*) FROM participant_orders").await;
    assert_eq!(rows, 0);
}

/// Its rows may be of another log.
async fn nothing_is_locked_before_the_log_was_reached(database: TestDatabase) {
    let world = world(database).await;
    let order_id = world.pending("a").await;
    let appender = world.participant().appender();
    assert_eq!(appender.partitions(), None);
    let refused = appender.lock(order_id).await;
    assert!(
        matches!(refused, Err(AppendError::LogUnknown)),
        "{refused:?}"
    );
}

async fn an_event_that_may_not_be_stored_leaves_everything_as_it_was(database: TestDatabase) {
    let world = world(database).await;
    let (order_id, appender) = (world.pending("a").await, world.appender().await);
    let other = OrderId::from_idempotency_key("test", "b");
    for wrong in [
        event(order_id, OrderStatus::Pending),
        event(other, OrderStatus::Cancelled),
    ] {
        let mut locked = appender.lock(order_id).await.unwrap().unwrap();
        execute_in(locked.tx(), "UPDATE participant_orders SET failure = 1").await;
        let refused = locked.settle(Settlement::append(wrong)).await;
        assert!(matches!(refused, Err(AppendError::Bug(_))), "{refused:?}");
    }
    drop(appender.lock(order_id).await.unwrap());
    let untouched = "SELECT COUNT(*) FROM participant_orders \
                     WHERE failure = 0 AND outcome = '' AND outcome_rank = 0 AND status = 'PENDING'";
    assert_eq!(number(&world.database, untouched).await, 1);
}

async fn of_many_who_decide_at_once_one_stores_its_outcome(database: TestDatabase) {
    let world = world(database).await;
    let (order_id, appender) = (world.pending("a").await, world.appender().await);
    let mut deciding = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let appender = appender.clone();
        deciding.spawn(async move {
            let stored = store(&appender, order_id, OrderStatus::Cancelled).await;
            stored.unwrap().is_some()
        });
    }
    let stored = deciding.join_all().await;
    assert_eq!(stored.iter().filter(|stored| **stored).count(), 1);
}
