//! A running service, the client that talks to it, and the log around it.

mod client;
mod log;
mod orders;
mod producer;
mod running;
mod stream;
mod topic;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base_domains::Encoder;
use order_service::command::{self, CommandParts, Keeper};
use order_service::query::{self, Projection, QueryParts, QuerySide};
use order_service::{MIGRATIONS, Storage};
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::health::Health;
use service_runtime::http::{self, HttpConfig, ServiceInfo};
use service_runtime::kafka::{KafkaConfig, KafkaProducer};
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{Participant, ParticipantSettings, Parts};
use test_support::TestDatabase;
use tokio::sync::Semaphore;

pub(crate) use client::{Answer, Request};
pub(crate) use log::{Log, Mark, PARTITIONS, order_id, plain};
pub(crate) use orders::{HOUR, LONG_AGO, Orders};
pub(crate) use producer::{Fake, Manner};
pub(crate) use running::{Broker, Running, distinct_events_of, events_of};
pub(crate) use stream::{EventStream, Told};
pub(crate) use topic::{GROUP, Source, Topic, execute, options, parts, rebuilt};
pub(crate) use world::{World, order};

/// Nothing that these tests wait for takes longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// How many requests may wait.
pub(crate) const SEATS: usize = 8;

/// How many streams there may be.
pub(crate) const STREAM_SEATS: usize = 3;

/// What differs between tests.
pub(crate) struct Setup {
    pub(crate) answer_within: Duration,
    /// How long a request waits for an order that is not in the read model.
    pub(crate) patience: Duration,
    /// Whether the database is there from the start.
    pub(crate) database_ready: bool,
    /// How many requests there may be at a time.
    pub(crate) max_in_flight: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            answer_within: Duration::from_secs(10),
            patience: query::PATIENCE,
            database_ready: true,
            max_in_flight: HttpConfig::default().max_in_flight,
        }
    }
}

/// A service on the database of its test, with a log of its own.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) producer: Arc<Fake>,
    pub(crate) storage: Storage,
    pub(crate) database: Database,
    pub(crate) projection: Projection,
    pub(crate) keeper: Keeper,
    pub(crate) seats: Arc<Semaphore>,
    pub(crate) stream_seats: Arc<Semaphore>,
    pub(crate) shutdown: Shutdown,
}

impl Service {
    pub(crate) async fn start(database: TestDatabase) -> Self {
        Self::with(database, Setup::default()).await
    }

    pub(crate) async fn with(database: TestDatabase, setup: Setup) -> Self {
        let mut config = DatabaseConfig::new(database.url());
        // On a busy machine a new connection takes its time, and an answer 503 would hide what is asked.
        config.acquire_timeout = DEADLINE;
        let database = Database::open(&config).unwrap();
        database.migrate(&[&MIGRATIONS]).await.unwrap();
        let storage = Storage::new();
        if setup.database_ready {
            storage.provide(database.clone());
        }
        let producer = Fake::new();
        let shutdown = Shutdown::new();
        let seats = Arc::new(Semaphore::new(SEATS));
        let keeper = Keeper::default();
        let orders = participant(&database, keeper.clone(), &no_broker());
        let command = command::routes(CommandParts {
            producer: Arc::clone(&producer) as _,
            topic: "orders".to_owned(),
            encoder: Encoder {
                writer: "order-service".to_owned(),
                type_id: None,
            },
            storage: storage.clone(),
            answer_within: setup.answer_within,
            keeper: keeper.clone(),
            appender: orders.appender(),
            gate: orders.gate(),
            seats: Arc::clone(&seats),
            shutdown: shutdown.clone(),
        });
        let stream_seats = Arc::new(Semaphore::new(STREAM_SEATS));
        let query = QuerySide::new(QueryParts {
            storage: storage.clone(),
            longest_wait: setup.answer_within,
            patience: setup.patience,
            seats: Arc::clone(&seats),
            stream_seats: Arc::clone(&stream_seats),
            shutdown: shutdown.clone(),
        });
        tokio::spawn(query.hub.run(shutdown.clone()));
        let projection = query.projection;
        let address = serve(command.merge(query.routes), setup.max_in_flight, &shutdown).await;
        Self {
            address,
            producer,
            storage,
            database,
            projection,
            keeper,
            seats,
            stream_seats,
            shutdown,
        }
    }

    /// Notes the log's partitions, as the participant does when it starts.
    pub(crate) async fn identify_log(&self) {
        sqlx::query(
            "INSERT INTO participant_logs (participant, cluster_id, topic, partitions) \
             VALUES ($1, 'test', 'orders', $2)",
        )
        .bind(query::PARTICIPANT)
        .bind(i64::from(log::PARTITIONS))
        .execute(self.database.pool())
        .await
        .unwrap();
    }

    /// Waits until exactly this many requests wait for an order.
    pub(crate) async fn waiting(&self, requests: usize) {
        let taken = || SEATS - self.seats.available_permits() == requests;
        eventually(&format!("{requests} requests that wait"), taken).await;
    }
}

/// Nobody listens on port 1.
fn no_broker() -> KafkaConfig {
    KafkaConfig::for_bootstrap("127.0.0.1:1", "test")
}

/// The participant of the command side.
pub(crate) fn participant(
    database: &Database,
    keeper: Keeper,
    kafka: &KafkaConfig,
) -> Participant<Keeper> {
    Participant::new(Parts {
        name: command::PARTICIPANT,
        writer: order_service::NAME,
        log_name: None,
        decider: keeper,
        database: database.clone(),
        producer: KafkaProducer::new(kafka).unwrap(),
        kafka: kafka.clone(),
        settings: ParticipantSettings::for_group("orders"),
        health: Health::new(&Shutdown::new()),
    })
}

async fn serve(
    routes: utoipa_axum::router::OpenApiRouter,
    max_in_flight: usize,
    shutdown: &Shutdown,
) -> SocketAddr {
    let info = ServiceInfo {
        name: "order-service",
        version: "1.2.3",
        description: "A service for tests.",
    };
    let config = HttpConfig {
        address: Ipv4Addr::LOCALHOST.into(),
        // Nobody should have to wait long until a client that reads nothing is cut off.
        write_timeout: Duration::from_secs(2),
        max_in_flight,
        ..HttpConfig::default()
    };
    let router = http::router(info, routes, &Health::new(shutdown), &config);
    let listener = http::bind(&config).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = shutdown.clone();
    tokio::spawn(async move { http::serve(listener, router, &config, shutdown).await });
    address
}

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until an answer is as it should be.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < DEADLINE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
