//! librdkafka's mock cluster, for a service as a whole.

use std::collections::BTreeSet;
use std::time::Duration;

use base_domains::{Encoder, OrderEvent, OrderId, OrderStatus, WireOrder};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::{DEADLINE, PARTITIONS};
use crate::kafka::{
    EventProducer as _, KafkaConfig, KafkaProducer, NewRecord, dead_letter_topic, read_all,
};

/// A broker with the topic `orders` and the dead letters of one group. Keep it until every client
/// of it is gone.
pub struct MockLog {
    mock: MockCluster<'static, DefaultProducerContext>,
    kafka: KafkaConfig,
    producer: KafkaProducer,
}

impl std::fmt::Debug for MockLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MockLog({})", self.kafka.bootstrap_servers)
    }
}

impl MockLog {
    /// A broker for a participant in `group`.
    #[must_use]
    pub fn new(group: &str) -> Self {
        let mock = MockCluster::new(1).unwrap();
        for topic in ["orders", &dead_letter_topic("orders", group)] {
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

    /// What a service needs to use it: it makes no topics, and gives the place of a member that left
    /// only to the end of its session.
    pub fn adapt(&self, kafka: &mut KafkaConfig) {
        kafka.bootstrap_servers = self.mock.bootstrap_servers();
        kafka.create_topics = false;
        kafka.session_timeout = Duration::from_secs(4);
        kafka.fetch_wait_max = Duration::from_millis(20);
    }

    /// No broker answers until [`MockLog::up`].
    pub fn down(&self) {
        self.mock.broker_down(1).unwrap();
    }

    /// The broker answers again.
    pub fn up(&self) {
        self.mock.broker_up(1).unwrap();
    }

    /// Appends an event of another service.
    pub async fn append(&self, order: &WireOrder, status: OrderStatus) {
        self.append_life(order, &[status]).await;
    }

    /// Appends events of other services, in this order and with no time between them.
    pub async fn append_life(&self, order: &WireOrder, statuses: &[OrderStatus]) {
        let encoder = Encoder {
            writer: "test".to_owned(),
            type_id: None,
        };
        let enqueue = |status: &OrderStatus| {
            let event = OrderEvent::new(*status, order.clone());
            let now = jiff::Timestamp::now();
            let encoded = encoder.encode(&event, now, None).unwrap();
            let record = NewRecord::event("orders", &encoded);
            self.producer.enqueue(&record).unwrap()
        };
        let deliveries: Vec<_> = statuses.iter().map(enqueue).collect();
        for delivery in deliveries {
            delivery.await.unwrap();
        }
    }

    /// The events of one order, in their order. What was appended again, byte for byte, is told once: work
    /// is repeated after a rebalance, and on a slow machine the sweep does not wait for what is on its way.
    pub async fn of(&self, order_id: OrderId) -> Vec<OrderEvent> {
        let records = read_all(&self.kafka, "orders", DEADLINE).await.unwrap();
        let key = order_id.to_string().into_bytes();
        let mut seen = BTreeSet::new();
        let of = records
            .iter()
            .filter(|record| record.key.as_ref() == Some(&key))
            .filter(|record| seen.insert((&record.headers, &record.value)));
        of.map(|record| OrderEvent::from_json(record.value.as_deref().unwrap()).unwrap())
            .collect()
    }

    /// What the order went through, by its events.
    pub async fn statuses(&self, order_id: OrderId) -> Vec<String> {
        let events = self.of(order_id).await;
        let status = |event: &OrderEvent| event.status.as_str().to_owned();
        events.iter().map(status).collect()
    }
}
