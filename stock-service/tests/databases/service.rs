//! The whole service: on librdkafka's mock cluster, and without what it depends on.

use std::net::SocketAddr;
use std::time::Duration;

use base_domains::{Encoder, OrderEvent, OrderStatus, WireOrder};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::kafka::{EventProducer as _, KafkaProducer, NewRecord};
use service_runtime::lifecycle::{ServiceConfig as _, Shutdown};
use sqlx::Row as _;
use stock_service::{Config, run_on};
use test_support::{Kind, Proxy, Test, TestDatabase, test};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::support::{Fresh, assert_conserved, catalogue, eventually, number, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(orders_are_reserved_rejected_shipped_and_given_back_by_the_log).threads(4),
        test!(without_database_and_broker_the_service_lives_and_says_what_is_missing, no database)
            .threads(4),
        test!(a_database_that_vanished_does_not_hold_the_end_back)
            .only(Kind::Postgres)
            .threads(2),
        test!(a_database_of_a_newer_version_ends_the_service_with_the_reason),
    ]
}

/// A running service.
pub(crate) struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    service: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn start(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let service = tokio::spawn(run_on(listener, config, shutdown.clone()));
        Self {
            address,
            shutdown,
            service,
        }
    }

    /// Status and body of the answer to a GET.
    async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        self.service.await.unwrap().unwrap();
    }
}

fn defaults() -> Config {
    Config::load(None, [("", ""); 0]).unwrap().0
}

pub(crate) struct World {
    // Alive until every client is gone.
    _mock: MockCluster<'static, DefaultProducerContext>,
    pub(crate) fresh: Fresh,
    pub(crate) config: Config,
    pub(crate) producer: KafkaProducer,
}

/// A log and a database; of the one product there are so many pieces.
pub(crate) async fn world(database: TestDatabase, pieces: i64) -> World {
    let mock = MockCluster::new(1).unwrap();
    for topic in ["orders", "orders.stock.dlt"] {
        mock.create_topic(topic, 3, 1).unwrap();
    }
    let fresh = Fresh::new(database).await;
    let mut config = defaults();
    config.common.kafka.bootstrap_servers = mock.bootstrap_servers();
    config.common.kafka.create_topics = false;
    config.common.kafka.fetch_wait_max = Duration::from_millis(20);
    // The mock cluster keeps a member that left for so long.
    config.common.kafka.session_timeout = Duration::from_secs(4);
    config.common.database = fresh.config.clone();
    config.catalogue = catalogue(&[("book order", pieces)]);
    World {
        _mock: mock,
        producer: KafkaProducer::new(&config.common.kafka).unwrap(),
        config,
        fresh,
    }
}

impl World {
    pub(crate) async fn start(&self) -> Running {
        Running::start(self.config.clone()).await
    }

    pub(crate) async fn append(&self, order: &WireOrder, status: OrderStatus) {
        let encoder = Encoder {
            writer: "test".to_owned(),
            type_id: None,
        };
        let event = OrderEvent::new(status, order.clone());
        let encoded = encoder
            .encode(&event, jiff::Timestamp::now(), None)
            .unwrap();
        let record = NewRecord::event("orders", &encoded);
        self.producer.enqueue(&record).unwrap().await.unwrap();
    }

    /// Waits until the service has read this status of the order from the log.
    pub(crate) async fn has_read(&self, order: &WireOrder, status: OrderStatus) {
        eventually(status.as_str(), async || {
            folded_status(&self.fresh.database, order).await == status.as_str()
        })
        .await;
    }
}

pub(crate) async fn folded_status(database: &Database, order: &WireOrder) -> String {
    let row = sqlx::query("SELECT status FROM participant_orders WHERE order_id = $1")
        .bind(order.order_id.to_string())
        .fetch_optional(database.pool())
        .await
        .unwrap();
    row.map_or_else(String::new, |row| row.get(0))
}

async fn orders_are_reserved_rejected_shipped_and_given_back_by_the_log(database: TestDatabase) {
    let world = world(database, 5).await;
    let running = world.start().await;
    let orders = [(); 3].map(|()| WireOrder {
        qty: 2,
        ..order(&["book order"])
    });
    for order in &orders[..2] {
        world.append(order, OrderStatus::Pending).await;
        world.has_read(order, OrderStatus::Reserved).await;
    }
    world.append(&orders[2], OrderStatus::Pending).await;
    world.has_read(&orders[2], OrderStatus::Rejected).await;
    world.append(&orders[0], OrderStatus::Shipped).await;
    world.append(&orders[1], OrderStatus::Cancelled).await;
    world.has_read(&orders[0], OrderStatus::Shipped).await;
    world.has_read(&orders[1], OrderStatus::Cancelled).await;

    let database = &world.fresh.database;
    for (column, pieces) in [("available", 3), ("reserved", 0), ("shipped", 2)] {
        let sql = format!("SELECT {column} FROM stock WHERE product = 'book order'");
        assert_eq!(number(database, &sql).await, pieces, "{column}");
    }
    assert_conserved(database).await;
    eventually("ready", async || {
        running.get("/health/ready").await.0 == 200
    })
    .await;
    running.stop().await;
}

async fn without_database_and_broker_the_service_lives_and_says_what_is_missing() {
    let mut config = defaults();
    // Nobody listens on the port of a listener that is gone.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = gone.local_addr().unwrap();
    drop(gone);
    config.common.kafka.bootstrap_servers = nobody.to_string();
    config.common.database = DatabaseConfig::new(format!("postgres://nobody@{nobody}/stock"));
    config.common.database.acquire_timeout = Duration::from_millis(200);
    let running = Running::start(config).await;

    assert_eq!(running.get("/health/live").await.0, 200);
    let (status, report) = running.get("/health/ready").await;
    assert_eq!(status, 503);
    for component in ["database", "catalogue", "consumer of stock"] {
        assert!(report.contains(component), "{component} in {report}");
    }
    assert_eq!(running.get("/api/v1/stock").await.0, 503);
    running.stop().await;
}

/// From the network, in the middle of seeding.
async fn a_database_that_vanished_does_not_hold_the_end_back(database: TestDatabase) {
    let proxy = Proxy::to(database.url()).await.unwrap();
    let mut config = defaults();
    config.common.kafka.bootstrap_servers = "127.0.0.1:1".to_owned();
    config.common.database = DatabaseConfig::new(proxy.url());
    proxy.vanish_at("INSERT INTO stock");
    let running = Running::start(config).await;
    eventually("the outage", async || proxy.has_vanished()).await;
    // Less than seeding may take, which is what it would wait for.
    let stopped = tokio::time::timeout(Duration::from_secs(20), running.stop()).await;
    assert!(stopped.is_ok(), "the service does not end");
}

async fn a_database_of_a_newer_version_ends_the_service_with_the_reason(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    sqlx::query("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1001")
        .execute(fresh.database.pool())
        .await
        .unwrap();
    let mut config = defaults();
    config.common.database = fresh.config.clone();
    let running = Running::start(config).await;
    let error = format!("{:#}", running.service.await.unwrap().unwrap_err());
    assert!(error.starts_with("stock-service: participant: "), "{error}");
    assert!(error.contains("9999"), "{error}");
}
