//! The whole service: on librdkafka's mock cluster, and without the things it needs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base_domains::{Encoder, OrderEvent, OrderStatus, WireOrder, reason};
use payment_service::Config;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use serde_json::Value;
use service_runtime::kafka::{EventProducer as _, KafkaConfig, KafkaProducer, NewRecord, read_all};
use service_runtime::lifecycle::{ServiceConfig as _, Shutdown};
use test_support::{Test, TestDatabase, test};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::world::order;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(orders_are_charged_declined_and_refunded_by_the_log).threads(4),
        test!(it_lives_and_answers_while_the_broker_is_down_and_ends_when_asked).threads(2),
    ]
}

const DEADLINE: Duration = Duration::from_secs(60);

/// A running service.
struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    service: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn start(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let service = payment_service::run_on(listener, config, shutdown.clone());
        Self {
            address,
            shutdown,
            service: tokio::spawn(service),
        }
    }

    /// Status and JSON body of an answer.
    async fn get(&self, path: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    /// Waits until the payment of the order is in this state, and gives it.
    async fn payment(&self, order: &WireOrder, state: &str) -> Value {
        let path = format!("/api/v1/payments/{}", order.order_id);
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (_, body) = self.get(&path).await;
            if body["state"] == state {
                return body;
            }
            assert!(Instant::now() < deadline, "not {state}: {body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(self) {
        self.shutdown.trigger();
        let ended = tokio::time::timeout(DEADLINE, self.service).await;
        ended.unwrap().unwrap().unwrap();
    }
}

struct Log {
    // Alive until every client is gone.
    mock: MockCluster<'static, DefaultProducerContext>,
    kafka: KafkaConfig,
    producer: KafkaProducer,
}

impl Log {
    fn new() -> Self {
        let mock = MockCluster::new(1).unwrap();
        for topic in ["orders", "orders.payment.dlt"] {
            mock.create_topic(topic, 3, 1).unwrap();
        }
        let mut kafka = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
        kafka.create_topics = false;
        Self {
            producer: KafkaProducer::new(&kafka).unwrap(),
            mock,
            kafka,
        }
    }

    async fn append(&self, order: &WireOrder, status: OrderStatus) {
        let encoder = Encoder {
            writer: "test".to_owned(),
            type_id: None,
        };
        let event = OrderEvent::new(status, order.clone());
        let now = jiff::Timestamp::now();
        let encoded = encoder.encode(&event, now, None).unwrap();
        let record = NewRecord::event("orders", &encoded);
        self.producer.enqueue(&record).unwrap().await.unwrap();
    }

    /// The events of one order, in their order.
    async fn of(&self, order: &WireOrder) -> Vec<OrderEvent> {
        let records = read_all(&self.kafka, "orders", DEADLINE).await.unwrap();
        let key = order.order_id.to_string().into_bytes();
        records
            .iter()
            .filter(|record| record.key.as_ref() == Some(&key))
            .map(|record| OrderEvent::from_json(record.value.as_deref().unwrap()).unwrap())
            .collect()
    }
}

fn statuses(events: &[OrderEvent]) -> Vec<&str> {
    events.iter().map(|event| event.status.as_str()).collect()
}

async fn orders_are_charged_declined_and_refunded_by_the_log(database: TestDatabase) {
    let log = Log::new();
    let bootstrap = log.mock.bootstrap_servers();
    let environment = [
        ("KAFKA_BOOTSTRAP_SERVERS", &*bootstrap),
        ("DATABASE_URL", database.url()),
        ("PAYMENT_TIMEOUT", "50ms"),
        ("PAYMENT_RETRY_MAX_DELAY", "10ms"),
    ];
    let (mut config, _) = Config::load(None, environment).unwrap();
    config.common.kafka.create_topics = false;
    config.common.kafka.fetch_wait_max = Duration::from_millis(20);
    let running = Running::start(config).await;
    let [paid, declined, late, cancelled] = [1_000, 1_002, 1_004, 2_000].map(order);
    for order in [&paid, &declined, &late, &cancelled] {
        log.append(order, OrderStatus::Pending).await;
        log.append(order, OrderStatus::Reserved).await;
    }
    let payment = running.payment(&paid, "charged").await;
    assert_eq!(payment["amount"], 10.0);
    let job = format!("/api/v1/jobs/charge%2F{}", paid.order_id);
    let (status, job) = running.get(&job).await;
    assert_eq!((status, &job["state"]), (200, &"done".into()), "{job}");
    running.payment(&declined, "declined").await;
    let payment = running.payment(&late, "charged").await;
    assert_eq!(payment["charge"]["attempts"], 2);
    running.payment(&cancelled, "charged").await;
    log.append(&cancelled, OrderStatus::Cancelled).await;
    running.payment(&cancelled, "refunded").await;
    running.stop().await;

    for order in [&paid, &late] {
        let events = log.of(order).await;
        assert_eq!(statuses(&events), ["PENDING", "RESERVED", "PAID"]);
        let payment = events[2].payment.clone().unwrap();
        assert_eq!(
            payment.payment_id,
            format!("sandbox-charge-{}", order.order_id)
        );
    }
    let events = log.of(&declined).await;
    assert_eq!(statuses(&events), ["PENDING", "RESERVED", "REJECTED"]);
    assert_eq!(events[2].reason.as_deref(), Some(reason::PAYMENT_DECLINED));
}

async fn it_lives_and_answers_while_the_broker_is_down_and_ends_when_asked(database: TestDatabase) {
    let environment = [
        // Nobody listens on the port of tcpmux.
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"),
        ("DATABASE_URL", database.url()),
    ];
    let (config, _) = Config::load(None, environment).unwrap();
    let running = Running::start(config).await;
    let deadline = Instant::now() + DEADLINE;
    let reasons = loop {
        let (status, report) = running.get("/health/ready").await;
        assert_eq!(status, 503);
        if report["components"]["database"]["status"] == "ready" {
            break report["components"].clone();
        }
        assert!(Instant::now() < deadline, "{report}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(
        reasons["consumer of payment"]["status"], "not ready",
        "{reasons}"
    );
    assert_eq!(running.get("/health/live").await.0, 200);
    let unknown = "/api/v1/payments/01890a5d-ac96-774b-bcce-b302099a8057";
    let (status, body) = running.get(unknown).await;
    assert_eq!((status, body["status"].as_u64()), (404, Some(404)));
    let (status, api) = running.get("/openapi.json").await;
    assert_eq!(status, 200);
    let path = &api["paths"]["/api/v1/payments/{orderId}"]["get"];
    assert!(path.is_object(), "{api}");
    running.stop().await;
}
