//! A whole participant on librdkafka's mock cluster.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use base_domains::{
    EncodedEvent, Encoder, OrderEvent, OrderId, OrderStatus, WireOrder, header, home_partition,
};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use service_runtime::database::{Database, DatabaseConfig, Tx};
use service_runtime::health::Health;
use service_runtime::jobs::HistoryGate;
use service_runtime::kafka::{
    EventProducer, KafkaConfig, KafkaProducer, LogEnds, LoopError, NewRecord, Record, read_all,
};
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{
    Change, DecideError, Decider, Decision, Participant, ParticipantSettings, Parts, SweepSettings,
};
use sqlx::Row;
use test_support::{Kind, Proxy, Test, TestDatabase, test};
use tokio::task::JoinHandle;

use crate::support::{Fresh, eventually, number};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(an_order_is_decided_and_its_outcome_read_back_from_the_log).threads(2),
        test!(an_outcome_that_the_log_lost_is_swept_into_it).threads(2),
        test!(a_log_that_is_shorter_than_the_database_stops_the_participant).threads(2),
        test!(a_topic_with_another_number_of_partitions_stops_the_participant).threads(2),
        test!(a_broker_that_is_down_at_start_is_waited_for).threads(2),
        test!(a_shutdown_does_not_wait_for_a_database_that_vanished)
            .only(Kind::Postgres)
            .threads(2),
        test!(the_gate_is_shut_and_not_stuck_while_the_database_is_away)
            .only(Kind::Postgres)
            .threads(2),
        test!(instances_that_handle_the_same_events_at_once_decide_once).threads(2),
        test!(a_group_whose_offsets_are_lost_reads_all_again_without_new_effects).threads(2),
        test!(a_failed_decision_keeps_the_fold_until_its_redrive).threads(2),
    ]
}

pub(crate) const DEADLINE: Duration = Duration::from_secs(40);
pub(crate) const PARTITIONS: i32 = 3;

/// Reserves every pending order, or rejects it once that is said, and counts them.
#[derive(Clone, Default)]
pub(crate) struct Reserve(Arc<AtomicUsize>, pub(crate) Arc<AtomicBool>);

impl Decider for Reserve {
    async fn decide(
        &self,
        _: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        let decide = |change: &Change<'_>| match (change.status, change.event()) {
            (OrderStatus::Pending, Ok(event)) => {
                self.0.fetch_add(1, SeqCst);
                let status = match self.1.load(SeqCst) {
                    true => OrderStatus::Rejected,
                    false => OrderStatus::Reserved,
                };
                Decision::Append(OrderEvent::new(status, event.order))
            }
            (_, Err(error)) => Decision::unreadable(&error),
            _ => Decision::Done,
        };
        Ok(changes.iter().map(decide).collect())
    }
}

pub(crate) struct World {
    // Alive until every client is gone.
    pub(crate) mock: MockCluster<'static, DefaultProducerContext>,
    pub(crate) kafka: KafkaConfig,
    pub(crate) producer: KafkaProducer,
    config: DatabaseConfig,
    pub(crate) database: Database,
    pub(crate) health: Health,
    pub(crate) sweep_interval: Duration,
}

pub(crate) async fn world(database: TestDatabase) -> World {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("orders", PARTITIONS, 1).unwrap();
    mock.create_topic("orders.stock.dlt", PARTITIONS, 1)
        .unwrap();
    let mut kafka = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
    kafka.create_topics = false;
    kafka.session_timeout = Duration::from_secs(4);
    kafka.fetch_wait_max = Duration::from_millis(20);
    let Fresh { config, database } = Fresh::new(database).await;
    World {
        mock,
        producer: KafkaProducer::new(&kafka).unwrap(),
        kafka,
        config,
        database,
        health: Health::new(&Shutdown::new()),
        sweep_interval: Duration::from_millis(100),
    }
}

impl World {
    fn participant(&self) -> Participant<Reserve> {
        self.participant_of("stock", self.database.clone(), Reserve::default())
    }

    pub(crate) fn participant_of(
        &self,
        group: &str,
        database: Database,
        decider: Reserve,
    ) -> Participant<Reserve> {
        Participant::new(Parts {
            name: "stock",
            writer: "stock-service",
            log_name: None,
            decider,
            database,
            kafka: self.kafka.clone(),
            producer: self.producer.clone(),
            settings: ParticipantSettings {
                sweep: SweepSettings {
                    interval: self.sweep_interval,
                    max_backoff: Duration::from_secs(1),
                },
                ..ParticipantSettings::for_group(group)
            },
            health: self.health.clone(),
        })
    }

    fn start(&self) -> (Shutdown, JoinHandle<Result<(), LoopError>>) {
        let shutdown = Shutdown::new();
        let running = tokio::spawn(self.participant().run(shutdown.clone()));
        (shutdown, running)
    }

    fn ends(&self) -> LogEnds {
        LogEnds::new(self.producer.clone(), "orders", Duration::from_secs(5))
    }

    /// What the log has about the order, in its order. What was appended again byte for byte, as the sweep
    /// may do while the first one is on its way, is told once.
    async fn life_of(&self, order_id: OrderId) -> Vec<String> {
        let key = Some(order_id.to_string().into_bytes());
        let records = read_all(&self.kafka, "orders", DEADLINE).await.unwrap();
        let mut seen = BTreeSet::new();
        let once = |record: &&Record| seen.insert((record.headers.clone(), record.value.clone()));
        let records = records.iter().filter(|record| record.key == key);
        records
            .filter(once)
            .map(|record| record.header(header::CE_TYPE).unwrap().to_owned())
            .collect()
    }

    pub(crate) async fn append(&self, event: &EncodedEvent) {
        self.append_record(&NewRecord::event("orders", event)).await;
    }

    pub(crate) async fn append_record(&self, record: &NewRecord) {
        self.producer.enqueue(record).unwrap().await.unwrap();
    }

    async fn failed(&self) -> i64 {
        let sql = "SELECT COUNT(*) FROM participant_orders WHERE failure = 1";
        number(&self.database, sql).await
    }

    /// What a look whether it is ready is answered with.
    pub(crate) fn report(&self) -> serde_json::Value {
        serde_json::to_value(self.health.readiness()).unwrap()
    }

    pub(crate) async fn status(&self, order_id: OrderId) -> String {
        let row = sqlx::query("SELECT status FROM participant_orders WHERE order_id = $1")
            .bind(order_id.to_string())
            .fetch_optional(self.database.pool())
            .await
            .unwrap();
        row.map_or_else(String::new, |row| row.get(0))
    }

    pub(crate) async fn until_status(&self, order_id: OrderId, status: &str) {
        let waited = tokio::time::timeout(DEADLINE, async {
            while self.status(order_id).await != status {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(
            waited.await.is_ok(),
            "{order_id} is not {status} within {DEADLINE:?}"
        );
    }
}

pub(crate) async fn ended(running: JoinHandle<Result<(), LoopError>>) -> Result<(), LoopError> {
    tokio::time::timeout(DEADLINE, running)
        .await
        .unwrap()
        .unwrap()
}

pub(crate) fn event(order_id: OrderId, status: OrderStatus, writer: &str) -> EncodedEvent {
    let wire = WireOrder {
        order_id,
        name: "book order".to_owned(),
        qty: 5,
        price: 10000.0,
        email: None,
        items: None,
    };
    let encoder = Encoder {
        writer: writer.to_owned(),
        type_id: None,
    };
    let now = jiff::Timestamp::UNIX_EPOCH;
    encoder
        .encode(&OrderEvent::new(status, wire), now, None)
        .unwrap()
}

async fn an_order_is_decided_and_its_outcome_read_back_from_the_log(database: TestDatabase) {
    let world = world(database).await;
    let (participant, shutdown) = (world.participant(), Shutdown::new());
    let gate = participant.gate();
    let running = tokio::spawn(participant.run(shutdown.clone()));
    let order_id = OrderId::from_idempotency_key("test", "flow");
    world
        .append(&event(order_id, OrderStatus::Pending, "order-service"))
        .await;
    world.until_status(order_id, "RESERVED").await;
    let home = home_partition(order_id, PARTITIONS);
    let life = world.life_of(order_id).await;
    assert_eq!(life, ["order.pending", "order.reserved"]);
    // Rule R11: the gate opens once the rows are as far as the log.
    let open = tokio::time::timeout(DEADLINE, async {
        while !gate.read_past_now(home).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(open.await.is_ok(), "the gate never opens");
    shutdown.trigger();
    ended(running).await.unwrap();
    world
        .append(&event(order_id, OrderStatus::Cancelled, "order-service"))
        .await;
    assert!(
        !gate.read_past_now(home).await.unwrap(),
        "a record is unread"
    );
}

/// Rule R9: what was stored and never appeared in the log is appended by the sweep.
async fn an_outcome_that_the_log_lost_is_swept_into_it(database: TestDatabase) {
    let world = world(database).await;
    let order_id = OrderId::from_idempotency_key("test", "lost");
    let home = home_partition(order_id, PARTITIONS);
    let outcome = event(order_id, OrderStatus::Reserved, "stock-service");
    sqlx::query(
        "INSERT INTO participant_orders (participant, order_id, home_partition, status, state_rank, outcome_rank, outcome) \
         VALUES ('stock', $1, $2, 'PENDING', 1, 2, $3)",
    )
    .bind(order_id.to_string())
    .bind(i64::from(home))
    .bind(serde_json::to_string(&outcome).unwrap())
    .execute(world.database.pool())
    .await
    .unwrap();
    let (shutdown, running) = world.start();
    world.until_status(order_id, "RESERVED").await;
    assert_eq!(world.ends().end(home).await.unwrap(), 1);
    shutdown.trigger();
    ended(running).await.unwrap();
}

/// Rule R6: offsets of another log mean nothing; going on would pass over orders.
async fn a_log_that_is_shorter_than_the_database_stops_the_participant(database: TestDatabase) {
    let world = world(database).await;
    sqlx::query("INSERT INTO participant_positions (participant, partition_id, next_offset) VALUES ('stock', 1, 50)")
        .execute(world.database.pool())
        .await
        .unwrap();
    let participant = world.participant();
    let gate = participant.gate();
    let before = gate.read_past_now(1).await.unwrap();
    let error = participant.run(Shutdown::new()).await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("the log ends at offset 0 of partition 1"),
        "{error}"
    );
    assert!(error.contains("read up to 50"), "{error}");
    // Rule R11: no job is run by what is known of another log.
    let after = gate.read_past_now(1).await.unwrap();
    assert_eq!((before, after), (false, false));
}

/// Rules R4 and R6: the database says which cluster and how many partitions it was filled from.
async fn a_topic_with_another_number_of_partitions_stops_the_participant(database: TestDatabase) {
    let world = world(database).await;
    sqlx::query("INSERT INTO participant_logs (participant, cluster_id, topic, partitions) VALUES ('stock', 'other', 'orders', 6)")
        .execute(world.database.pool())
        .await
        .unwrap();
    let (_shutdown, running) = world.start();
    let error = ended(running).await.unwrap_err().to_string();
    assert!(
        error.contains("cluster other topic orders with 6 partitions"),
        "{error}"
    );
}

async fn a_broker_that_is_down_at_start_is_waited_for(database: TestDatabase) {
    let world = world(database).await;
    world.mock.broker_down(-1).unwrap();
    let (shutdown, running) = world.start();
    let waiting = tokio::time::timeout(DEADLINE, async {
        loop {
            let report = serde_json::to_string(&world.health.readiness()).unwrap();
            if report.contains("cluster does not answer") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(
        waiting.await.is_ok(),
        "readiness never says what is missing"
    );
    world.mock.broker_up(-1).unwrap();
    let order_id = OrderId::from_idempotency_key("test", "late");
    world
        .append(&event(order_id, OrderStatus::Pending, "order-service"))
        .await;
    world.until_status(order_id, "RESERVED").await;
    shutdown.trigger();
    ended(running).await.unwrap();
}

/// A participant whose database is lost as soon as it sends `text`.
async fn losing(url: &str, world: &World, text: &str) -> (Proxy, Participant<Reserve>) {
    let proxy = Proxy::to(url).await.unwrap();
    let database = Database::open(&DatabaseConfig::new(proxy.url())).unwrap();
    proxy.vanish_at(text);
    let participant = world.participant_of("stock", database, Reserve::default());
    (proxy, participant)
}

async fn a_shutdown_does_not_wait_for_a_database_that_vanished(database: TestDatabase) {
    let url = database.url().to_owned();
    let world = world(database).await;
    let (proxy, participant) = losing(&url, &world, "participant_logs").await;
    let shutdown = Shutdown::new();
    let running = tokio::spawn(participant.run(shutdown.clone()));
    eventually("the outage", async || proxy.has_vanished()).await;
    shutdown.trigger();
    // Less than a transaction may take, which is what it would wait for.
    let ended = tokio::time::timeout(Duration::from_secs(20), running).await;
    ended.unwrap().unwrap().unwrap();
}

async fn the_gate_is_shut_and_not_stuck_while_the_database_is_away(database: TestDatabase) {
    let url = database.url().to_owned();
    let world = world(database).await;
    let (proxy, participant) = losing(&url, &world, "participant_positions").await;
    let (gate, shutdown) = (participant.gate(), Shutdown::new());
    let running = tokio::spawn(participant.run(shutdown.clone()));
    eventually("the outage", async || proxy.has_vanished()).await;
    let asked = tokio::time::timeout(DEADLINE, gate.read_past_now(0)).await;
    let error = asked.unwrap().unwrap_err().to_string();
    assert!(error.contains("database: "), "{error}");
    shutdown.trigger();
    ended(running).await.unwrap();
}

/// Rule R1. Two groups, so that both instances read every record, as one does that lost its
/// partition without knowing it yet.
async fn instances_that_handle_the_same_events_at_once_decide_once(database: TestDatabase) {
    let world = world(database).await;
    let twin = "stock-twin";
    let letters = format!("orders.{twin}.dlt");
    world.mock.create_topic(&letters, PARTITIONS, 1).unwrap();
    let shutdown = Shutdown::new();
    let deciders = [Reserve::default(), Reserve::default()];
    let instances = ["stock", twin].into_iter().zip(&deciders);
    let running: Vec<_> = instances
        .map(|(group, decider)| {
            let connections = Database::open(&world.config).unwrap();
            let instance = world.participant_of(group, connections, decider.clone());
            tokio::spawn(instance.run(shutdown.clone()))
        })
        .collect();
    let decided = || deciders.each_ref().map(|decider| decider.0.load(SeqCst));
    let mut orders = 0;
    // Until both won races.
    while decided().iter().any(|won| *won < 5) {
        assert!(orders < 10_000, "only one decides: {:?}", decided());
        // Several at a time: while one instance is at some, the other can be first at the next.
        let burst: Vec<_> = (orders..orders + 10)
            .map(|n| OrderId::from_idempotency_key("test", &n.to_string()))
            .collect();
        orders += burst.len();
        for order_id in &burst {
            world
                .append(&event(*order_id, OrderStatus::Pending, "order-service"))
                .await;
        }
        for order_id in burst {
            world.until_status(order_id, "RESERVED").await;
        }
    }
    shutdown.trigger();
    for instance in running {
        ended(instance).await.unwrap();
    }
    assert_eq!(decided().iter().sum::<usize>(), orders);
}

/// C10: as after the group was deleted, or stood still for longer than its offsets are kept.
async fn a_group_whose_offsets_are_lost_reads_all_again_without_new_effects(
    database: TestDatabase,
) {
    let world = world(database).await;
    let decider = Reserve::default();
    let run = |group: &str| {
        let shutdown = Shutdown::new();
        let participant = world.participant_of(group, world.database.clone(), decider.clone());
        (shutdown.clone(), tokio::spawn(participant.run(shutdown)))
    };
    let orders: Vec<_> = (0..20)
        .map(|n| OrderId::from_idempotency_key("test", &n.to_string()))
        .collect();
    let (shutdown, running) = run("stock");
    for order_id in &orders {
        let pending = event(*order_id, OrderStatus::Pending, "order-service");
        world.append(&pending).await;
    }
    for order_id in &orders {
        world.until_status(*order_id, "RESERVED").await;
    }
    shutdown.trigger();
    ended(running).await.unwrap();

    let new = "stock-anew";
    let letters = format!("orders.{new}.dlt");
    world.mock.create_topic(&letters, PARTITIONS, 1).unwrap();
    let (shutdown, running) = run(new);
    let last = OrderId::from_idempotency_key("test", "last");
    // One in each partition comes after all that is read again.
    for home in 0..PARTITIONS {
        let mut record = NewRecord::event(
            "orders",
            &event(last, OrderStatus::Pending, "order-service"),
        );
        record.partition = Some(home);
        world.append_record(&record).await;
    }
    world.until_status(last, "RESERVED").await;
    // What was appended again comes on top.
    let least = 2 * orders.len() as i64 + i64::from(PARTITIONS) + 1;
    eventually("everything is read", async || {
        let sql = "SELECT SUM(next_offset) FROM participant_positions";
        let sql = format!("SELECT CAST(({sql}) AS BIGINT)");
        number(&world.database, &sql).await >= least
    })
    .await;
    shutdown.trigger();
    ended(running).await.unwrap();
    assert_eq!(decider.0.load(SeqCst), orders.len() + 1);
    for order_id in orders {
        let life = world.life_of(order_id).await;
        assert_eq!(life, ["order.pending", "order.reserved"]);
    }
    // It was placed in each partition.
    let mut life = world.life_of(last).await;
    life.retain(|kind| kind != "order.pending");
    assert_eq!(life, ["order.reserved"]);
}

/// Rule R2.
async fn a_failed_decision_keeps_the_fold_until_its_redrive(database: TestDatabase) {
    let world = world(database).await;
    let (shutdown, running) = world.start();
    let order_id = OrderId::from_idempotency_key("test", "unreadable");
    let pending = event(order_id, OrderStatus::Pending, "order-service");
    let mut record = NewRecord::event("orders", &pending);
    record.value = Some(b"{garbage".to_vec());
    world.append_record(&record).await;
    world.until_status(order_id, "PENDING").await;
    assert_eq!(world.failed().await, 1);
    let home = home_partition(order_id, PARTITIONS);
    assert_eq!(world.ends().end(home).await.unwrap(), 1);

    let mut redrive = NewRecord::event("orders", &pending);
    let group = (header::REDRIVE_GROUP.to_owned(), b"stock".to_vec());
    redrive.headers.push(group);
    world.append_record(&redrive).await;
    world.until_status(order_id, "RESERVED").await;
    eventually("the failure is made up for", async || {
        world.failed().await == 0
    })
    .await;
    shutdown.trigger();
    ended(running).await.unwrap();
}
