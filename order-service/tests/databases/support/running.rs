//! The whole service on librdkafka's mock cluster, and the log beside it.

use std::net::SocketAddr;
use std::time::Duration;

use base_domains::{Encoder, OrderEvent};
use order_service::{Config, run_on};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use service_runtime::kafka::{
    EventProducer as _, KafkaConfig, KafkaProducer, NewRecord, Record, read_all,
};
use service_runtime::lifecycle::{ServiceConfig as _, Shutdown};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::{Answer, DEADLINE, PARTITIONS, Request};

/// A broker with the topics of the service.
pub(crate) struct Broker {
    // Alive until every client is gone.
    pub(crate) mock: MockCluster<'static, DefaultProducerContext>,
    pub(crate) kafka: KafkaConfig,
    producer: KafkaProducer,
}

/// A running service.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    shutdown: Shutdown,
    service: JoinHandle<anyhow::Result<()>>,
}

impl Broker {
    pub(crate) fn new() -> Self {
        let mock = MockCluster::new(1).unwrap();
        for topic in ["orders", "orders.orders.dlt", "orders.orders-view.dlt"] {
            mock.create_topic(topic, PARTITIONS, 1).unwrap();
        }
        let mut kafka = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
        kafka.create_topics = false;
        Self {
            producer: KafkaProducer::new(&kafka).unwrap(),
            mock,
            kafka,
        }
    }

    /// A service on this broker and this database, ready.
    pub(crate) async fn start(&self, url: &str, settings: &[(&str, &str)]) -> Running {
        let bootstrap = self.mock.bootstrap_servers();
        let fixed = [
            ("KAFKA_BOOTSTRAP_SERVERS", &*bootstrap),
            ("DATABASE_URL", url),
            ("KAFKA_SESSION_TIMEOUT", "6s"),
        ];
        let environment = fixed.into_iter().chain(settings.iter().copied());
        let (mut config, _) = Config::load(None, environment).unwrap();
        config.common.kafka.create_topics = false;
        config.common.kafka.fetch_wait_max = Duration::from_millis(20);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
        let running = Running {
            service: tokio::spawn(run_on(listener, config, shutdown.clone())),
            address,
            shutdown,
        };
        running
            .until(&Request::get("/health/ready"), |answer| {
                answer.status == 200
            })
            .await;
        running
    }

    /// Appends events as other services do, in this order and with no time between them.
    pub(crate) async fn append(&self, events: &[OrderEvent]) {
        let encoder = Encoder {
            writer: "test".to_owned(),
            type_id: None,
        };
        let enqueue = |event: &OrderEvent| {
            let encoded = encoder.encode(event, jiff::Timestamp::now(), None).unwrap();
            let record = NewRecord::event("orders", &encoded);
            self.producer.enqueue(&record).unwrap()
        };
        let deliveries: Vec<_> = events.iter().map(enqueue).collect();
        for delivery in deliveries {
            delivery.await.unwrap();
        }
    }

    pub(crate) async fn produce(&self, record: &NewRecord) {
        self.producer.enqueue(record).unwrap().await.unwrap();
    }

    pub(crate) async fn read(&self, topic: &str) -> Vec<Record> {
        read_all(&self.kafka, topic, DEADLINE).await.unwrap()
    }

    /// The records of one order.
    pub(crate) async fn records_of(&self, id: &str) -> Vec<Record> {
        let mut records = self.read("orders").await;
        records.retain(|record| record.key.as_deref() == Some(id.as_bytes()));
        records
    }
}

/// Status and reason of each event.
pub(crate) fn events_of(records: &[Record]) -> Vec<(String, Option<String>)> {
    let event = |record: &Record| OrderEvent::from_json(record.value.as_deref().unwrap()).unwrap();
    records
        .iter()
        .map(event)
        .map(|event| (event.status.as_str().to_owned(), event.reason))
        .collect()
}

/// [`events_of`], with what was appended again told once: an instance that takes a partition over repeats
/// what it cannot know to be acknowledged, byte for byte.
pub(crate) fn distinct_events_of(records: &[Record]) -> Vec<(String, Option<String>)> {
    let mut distinct: Vec<Record> = Vec::new();
    for record in records {
        let same =
            |other: &Record| (&other.headers, &other.value) == (&record.headers, &record.value);
        if !distinct.iter().any(same) {
            distinct.push(record.clone());
        }
    }
    events_of(&distinct)
}

impl Running {
    /// Asks until the answer is as wanted, and gives it.
    pub(crate) async fn until(
        &self,
        request: &Request,
        wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let deadline = Instant::now() + 2 * DEADLINE;
        loop {
            let answer = request.send(self.address).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "waited in vain: {answer:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn end(self) {
        self.shutdown.trigger();
        let ended = timeout(2 * DEADLINE, self.service).await.unwrap();
        ended.unwrap().unwrap();
    }
}
