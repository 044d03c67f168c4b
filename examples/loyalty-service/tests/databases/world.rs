//! A log on librdkafka's mock cluster, and the service that reads it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base_domains::{EncodedEvent, Encoder, Money, OrderEvent, OrderId, OrderStatus, WireOrder};
use loyalty_service::Config;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use serde_json::Value;
use service_runtime::kafka::{
    EventProducer as _, KafkaConfig, KafkaProducer, NewRecord, Record, dlt, read_all,
};
use service_runtime::lifecycle::{ServiceConfig as _, Shutdown};
use test_support::TestDatabase;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const DEAD_LETTERS: &str = "orders.loyalty.dlt";

/// A new order that costs so many cents.
pub(crate) fn order(cents: i64) -> WireOrder {
    WireOrder {
        order_id: OrderId::new(Uuid::now_v7()),
        name: "book order".to_owned(),
        qty: 1,
        price: Money::from_minor(cents).unwrap().to_wire(),
        email: Some("ann@example.org".to_owned()),
        items: None,
    }
}

/// The event as the services write it.
pub(crate) fn event(order: &WireOrder, status: OrderStatus) -> EncodedEvent {
    let encoder = Encoder {
        writer: "test".to_owned(),
        type_id: None,
    };
    let event = OrderEvent::new(status, order.clone());
    encoder
        .encode(&event, jiff::Timestamp::now(), None)
        .unwrap()
}

/// One partition, so that an order that is settled tells that all before it are read.
pub(crate) struct Log {
    // Alive until every client is gone.
    mock: MockCluster<'static, DefaultProducerContext>,
    kafka: KafkaConfig,
    producer: KafkaProducer,
}

impl Log {
    pub(crate) fn new() -> Self {
        let mock = MockCluster::new(1).unwrap();
        for topic in ["orders", DEAD_LETTERS] {
            mock.create_topic(topic, 1, 1).unwrap();
        }
        let kafka = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
        Self {
            producer: KafkaProducer::new(&kafka).unwrap(),
            mock,
            kafka,
        }
    }

    pub(crate) async fn append(&self, encoded: &EncodedEvent) {
        let record = NewRecord::event("orders", encoded);
        self.producer.enqueue(&record).unwrap().await.unwrap();
    }

    pub(crate) async fn append_life(&self, order: &WireOrder, statuses: &[OrderStatus]) {
        for status in statuses {
            self.append(&event(order, *status)).await;
        }
    }

    /// The dead letter of each record; there may be copies of it, of work that was repeated.
    pub(crate) async fn dead_letters(&self) -> Vec<Record> {
        let letters = read_all(&self.kafka, DEAD_LETTERS, DEADLINE).await.unwrap();
        let mut offsets = BTreeSet::new();
        let of = |letter: &Record| letter.header(dlt::ORIGINAL_OFFSET).unwrap().to_owned();
        let letters = letters.into_iter();
        letters
            .filter(|letter| offsets.insert(of(letter)))
            .collect()
    }
}

/// A running service.
pub(crate) struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    service: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub(crate) async fn start(log: &Log, database: &TestDatabase, group: &str) -> Self {
        let bootstrap = log.mock.bootstrap_servers();
        let environment = [
            ("KAFKA_BOOTSTRAP_SERVERS", &*bootstrap),
            ("KAFKA_CREATE_TOPICS", "false"),
            ("KAFKA_FETCH_WAIT_MAX", "20ms"),
            ("KAFKA_GROUP", group),
            // The mock does not let a member go before this.
            ("KAFKA_SESSION_TIMEOUT", "4s"),
            ("DATABASE_URL", database.url()),
        ];
        let (config, _) = Config::load(None, environment).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let service = loyalty_service::run_on(listener, config, shutdown.clone());
        Self {
            address,
            shutdown,
            service: tokio::spawn(service),
        }
    }

    /// Status and body of an answer.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// Status and JSON body of what is told about an order.
    pub(crate) async fn points(&self, order: &WireOrder) -> (u16, Value) {
        let (status, body) = self
            .get(&format!("/api/v1/points/{}", order.order_id))
            .await;
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Waits until the order has points, and gives them.
    pub(crate) async fn settled(&self, order: &WireOrder) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (status, body) = self.points(order).await;
            if status == 200 {
                return body["points"].clone();
            }
            assert!(Instant::now() < deadline, "{status} {body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        let ended = tokio::time::timeout(DEADLINE, self.service).await;
        ended.unwrap().unwrap().unwrap();
    }
}
