//! Which logs the read model is rebuilt from: the service on a broker, and its command.

use std::net::{Ipv4Addr, SocketAddr};

use base_domains::{Encoder, OrderEvent, OrderId, OrderStatus, home_partition};
use order_service::query::rebuild::{
    Options, Progress, RebuildError, RebuildParts, Report, open, rebuild,
};
use order_service::{Config, run_on};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::kafka::{EventProducer as _, KafkaProducer, NewRecord};
use service_runtime::lifecycle::{ServiceConfig as _, Shutdown};
use test_support::{Test, TestDatabase, test};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::{Answer, PARTITIONS, Request, order_id, plain, until};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_log_on_a_broker_is_read_without_the_group_while_the_service_runs).threads(2),
        test!(a_log_without_its_beginning_is_refused_unless_forced).threads(2),
        test!(another_log_is_refused).threads(2),
        test!(a_database_that_no_service_has_used_is_refused),
    ]
}

/// A service that reads a topic of a broker.
struct Running {
    mock: MockCluster<'static, DefaultProducerContext>,
    producer: KafkaProducer,
    config: Config,
    database: Database,
    address: SocketAddr,
    shutdown: Shutdown,
    service: JoinHandle<anyhow::Result<()>>,
}

fn config(url: &str, brokers: &str) -> Config {
    let settings = [
        ("KAFKA_BOOTSTRAP_SERVERS", brokers),
        ("KAFKA_FETCH_WAIT_MAX", "10ms"),
        ("HTTP_ADDRESS", "127.0.0.1"),
    ];
    let (mut config, _) = Config::load(None, settings).unwrap();
    config.common.database = DatabaseConfig::new(url);
    config
}

impl Running {
    async fn start(database: &TestDatabase) -> Self {
        let mock = MockCluster::new(1).unwrap();
        for topic in ["orders", "orders.orders-view.dlt"] {
            mock.create_topic(topic, PARTITIONS, 1).unwrap();
        }
        let mut config = config(database.url(), &mock.bootstrap_servers());
        config.common.kafka.create_topics = false;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let shutdown = Shutdown::new();
        Self {
            mock,
            producer: KafkaProducer::new(&config.common.kafka).unwrap(),
            database: Database::open(&config.common.database).unwrap(),
            address: listener.local_addr().unwrap(),
            service: tokio::spawn(run_on(listener, config.clone(), shutdown.clone())),
            shutdown,
            config,
        }
    }

    async fn append(&self, partition: i32, headers: Vec<(String, Vec<u8>)>, value: Vec<u8>) {
        let record = NewRecord {
            topic: "orders".to_owned(),
            partition: Some(partition),
            key: None,
            headers,
            value: Some(value),
        };
        self.producer.enqueue(&record).unwrap().await.unwrap();
    }

    async fn event(&self, id: OrderId, status: OrderStatus) {
        let encoder = Encoder {
            writer: "test".to_owned(),
            type_id: None,
        };
        let event = OrderEvent::new(status, plain(id));
        let encoded = encoder
            .encode(&event, jiff::Timestamp::UNIX_EPOCH, None)
            .unwrap();
        let home = home_partition(id, PARTITIONS);
        let headers = encoded.header_bytes();
        self.append(home, headers, encoded.value.into_bytes()).await;
    }

    async fn shows(&self, id: OrderId, status: &str) {
        let get = Request::get(&format!("/api/v1/orders/{id}?wait=0s"));
        until("the state of the order", || async {
            let answer: Answer = get.send(self.address).await;
            answer.status == 200 && answer.json()["status"] == status
        })
        .await;
    }

    async fn rebuilt(&self, force: bool) -> Result<Report, RebuildError> {
        let log = open(&self.database, &self.config.common.kafka, force).await?;
        let parts = RebuildParts {
            database: self.database.clone(),
            source: log.source,
            begin: log.begin,
            partitions: log.partitions,
            group: self.config.view.group.clone(),
            progress: Progress::new(std::io::sink(), false),
            shutdown: Shutdown::new(),
        };
        let options = Options {
            dry_run: false,
            longest_hold: std::time::Duration::from_secs(10),
        };
        rebuild(parts, &options, |_| {}).await
    }

    async fn end(self) {
        self.shutdown.trigger();
        self.service.await.unwrap().unwrap();
        self.database.close().await;
        drop(self.producer);
        drop(self.mock);
    }
}

async fn a_log_on_a_broker_is_read_without_the_group_while_the_service_runs(
    database: TestDatabase,
) {
    let running = Running::start(&database).await;
    let id = order_id("a");
    for status in [
        OrderStatus::Pending,
        OrderStatus::Reserved,
        OrderStatus::Paid,
    ] {
        running.event(id, status).await;
    }
    running.event(order_id("b"), OrderStatus::Pending).await;
    running.append(0, vec![], b"garbage".to_vec()).await;
    running.shows(id, "PAID").await;
    running.shows(order_id("b"), "PENDING").await;
    for generation in [2, 3] {
        let report = running.rebuilt(false).await.unwrap();
        assert_eq!((report.new, report.different), (generation, 0), "{report}");
        assert_eq!((report.orders, report.switched), (2, true));
    }
    // The service goes on where it was.
    running.event(id, OrderStatus::Shipped).await;
    running.shows(id, "SHIPPED").await;
    running.end().await;
}

/// librdkafka's mock cluster keeps 5 MiB of a partition.
async fn a_log_without_its_beginning_is_refused_unless_forced(database: TestDatabase) {
    let running = Running::start(&database).await;
    let (lost, kept) = (order_id("lost"), order_id("kept"));
    running.event(lost, OrderStatus::Pending).await;
    running.shows(lost, "PENDING").await;
    let home = home_partition(lost, PARTITIONS);
    let mut noise = vec![0_u8; 900_000];
    // Compressed, it would be nothing.
    let mut state = 1_u32;
    for byte in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    for _ in 0..8 {
        running.append(home, vec![], noise.clone()).await;
    }
    running.event(kept, OrderStatus::Pending).await;
    running.shows(kept, "PENDING").await;

    let refused = running.rebuilt(false).await.unwrap_err();
    assert!(refused.is_refusal(), "{refused}");
    let text = refused.to_string();
    assert!(
        text.starts_with(&format!("partition {home} begins at offset ")),
        "{text}"
    );
    running.shows(lost, "PENDING").await;

    let report = running.rebuilt(true).await.unwrap();
    assert_eq!((report.orders, report.old_orders), (1, 2), "{report}");
    assert_eq!((report.different, report.switched), (1, true));
    running.shows(kept, "PENDING").await;
    let gone = Request::get(&format!("/api/v1/orders/{lost}?wait=0s"));
    assert_eq!(gone.send(running.address).await.status, 404);
    running.end().await;
}

async fn another_log_is_refused(database: TestDatabase) {
    let running = Running::start(&database).await;
    running.event(order_id("a"), OrderStatus::Pending).await;
    running.shows(order_id("a"), "PENDING").await;
    let other = MockCluster::new(1).unwrap();
    other.create_topic("orders", PARTITIONS + 1, 1).unwrap();
    let config = config(database.url(), &other.bootstrap_servers());
    let refused = open(&running.database, &config.common.kafka, true).await;
    let refused = refused.err().unwrap();
    assert!(refused.is_refusal(), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("filled from another log"), "{text}");
    running.end().await;
}

async fn a_database_that_no_service_has_used_is_refused(database: TestDatabase) {
    // Nobody listens on port 1, and nobody is asked.
    let config = config(database.url(), "127.0.0.1:1");
    let empty = Database::open(&config.common.database).unwrap();
    let refused = open(&empty, &config.common.kafka, true)
        .await
        .err()
        .unwrap();
    assert!(matches!(refused, RebuildError::NotUpToDate), "{refused}");
    empty.migrate(&[&order_service::MIGRATIONS]).await.unwrap();
    let refused = open(&empty, &config.common.kafka, true)
        .await
        .err()
        .unwrap();
    assert!(refused.is_refusal(), "{refused}");
    assert!(
        refused.to_string().contains("has not read a log yet"),
        "{refused}"
    );
}
