//! The whole service: on librdkafka's mock cluster, and without the things it needs.

use std::net::SocketAddr;

use base_domains::{Encoder, OrderEvent, OrderId, OrderStatus, WireOrder};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use service_runtime::kafka::{EventProducer as _, KafkaConfig, KafkaProducer, NewRecord};
use service_runtime::lifecycle::{ServiceConfig as _, Shutdown};
use test_support::{Test, TestDatabase, test};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use webhook_service::Config;

use crate::receiver::{Receiver, Reply};
use crate::world::{DEADLINE, SHOP, eventually, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_receiver_is_told_once_of_what_it_registered_for_also_across_a_restart).threads(4),
        test!(it_lives_and_answers_while_the_broker_is_down_and_ends_when_asked).threads(2),
    ]
}

use OrderStatus::{Paid, Pending, Reserved, Shipped};

/// A running service.
struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    service: JoinHandle<anyhow::Result<()>>,
    client: Client,
}

impl Running {
    async fn start(config: Config) -> Self {
        service_runtime::lifecycle::install_crypto();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let service = webhook_service::run_on(listener, config, shutdown.clone());
        Self {
            address,
            shutdown,
            service: tokio::spawn(service),
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Status and JSON body of an answer.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://{}{path}", self.address);
        let request = self.client.request(method, url).json(body);
        let response = request.timeout(DEADLINE).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, &Value::Null).await
    }

    /// The states of a webhook's deliveries.
    async fn deliveries(&self, webhook: &str) -> Vec<String> {
        let (_, body) = self.get(&format!("{webhook}/deliveries")).await;
        let deliveries = body["deliveries"].as_array().unwrap();
        let state = |delivery: &Value| delivery["state"].as_str().unwrap().to_owned();
        deliveries.iter().map(state).collect()
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
    producer: KafkaProducer,
}

impl Log {
    fn new() -> Self {
        let mock = MockCluster::new(1).unwrap();
        for topic in ["orders", "orders.webhook.dlt"] {
            mock.create_topic(topic, 3, 1).unwrap();
        }
        let mut kafka = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
        kafka.create_topics = false;
        Self {
            producer: KafkaProducer::new(&kafka).unwrap(),
            mock,
        }
    }

    async fn append(&self, order_id: OrderId, statuses: &[OrderStatus]) {
        let encoder = Encoder {
            writer: "test".to_owned(),
            type_id: None,
        };
        let order = WireOrder {
            order_id,
            name: "book order".to_owned(),
            qty: 5,
            price: 10_000.0,
            email: Some("ann@example.org".to_owned()),
            items: None,
        };
        for status in statuses {
            let event = OrderEvent::new(*status, order.clone());
            let encoded = encoder
                .encode(&event, jiff::Timestamp::now(), None)
                .unwrap();
            let record = NewRecord::event("orders", &encoded);
            self.producer.enqueue(&record).unwrap().await.unwrap();
        }
    }
}

async fn a_receiver_is_told_once_of_what_it_registered_for_also_across_a_restart(
    database: TestDatabase,
) {
    let log = Log::new();
    let receiver = Receiver::start(&[Reply::Say(500)]).await;
    let bootstrap = log.mock.bootstrap_servers();
    let environment = [
        ("KAFKA_BOOTSTRAP_SERVERS", &*bootstrap),
        // After the restart the mock cluster waits for the member that left.
        ("KAFKA_SESSION_TIMEOUT", "4s"),
        ("DATABASE_URL", database.url()),
        ("PUBLIC_URL", SHOP),
        ("WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "true"),
        ("WEBHOOK_RETRY_MAX_DELAY", "10ms"),
    ];
    let (mut config, _) = Config::load(None, environment).unwrap();
    config.common.kafka.create_topics = false;
    config.common.kafka.fetch_wait_max = std::time::Duration::from_millis(20);
    let [before, first, second] = [order(), order(), order()];

    let running = Running::start(config.clone()).await;
    eventually("it is ready", async || {
        running.get("/health/ready").await.0 == 200
    })
    .await;
    let wish = json!({"url": receiver.url, "states": ["SHIPPED"]});
    let registered = running.ask(Method::POST, "/api/v1/webhooks", &wish).await;
    let (201, registered) = registered else {
        panic!("{registered:?}");
    };
    let webhook = format!("/api/v1/webhooks/{}", registered["id"].as_str().unwrap());
    log.append(before, &[Pending, Reserved, Paid]).await;
    log.append(first, &[Pending, Reserved, Paid, Shipped]).await;
    eventually("it is delivered", async || {
        running.deliveries(&webhook).await == ["delivered"]
    })
    .await;
    running.stop().await;

    // Repeated, late and new, while nobody reads.
    log.append(first, &[Shipped, OrderStatus::Cancelled]).await;
    log.append(second, &[Pending, Shipped]).await;
    let running = Running::start(config).await;
    eventually("the other one is delivered", async || {
        running.deliveries(&webhook).await == ["delivered", "delivered"]
    })
    .await;
    let (status, _) = running.ask(Method::DELETE, &webhook, &Value::Null).await;
    assert_eq!(status, 204);
    running.stop().await;

    let got = receiver.got();
    // The first answer was 500.
    let orders: Vec<OrderId> = got
        .iter()
        .map(|request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            serde_json::from_value(body["data"]["orderId"].clone()).unwrap()
        })
        .collect();
    assert_eq!(orders, [first, first, second]);
    assert_eq!((got[0].id(), &got[0].body), (got[1].id(), &got[1].body));
    assert_ne!(got[1].id(), got[2].id());
    let secret = registered["secret"].as_str().unwrap();
    assert!(got.iter().all(|request| request.is_signed_with(secret)));
    let body: Value = serde_json::from_slice(&got[0].body).unwrap();
    let link = format!("{SHOP}/api/v1/orders/{first}");
    let expected = json!({
        "type": "order.shipped", "timestamp": body["timestamp"],
        "data": {"orderId": first, "status": "SHIPPED", "link": link},
    });
    assert_eq!(body, expected);
}

async fn it_lives_and_answers_while_the_broker_is_down_and_ends_when_asked(database: TestDatabase) {
    let environment = [
        // Nobody listens on the port of tcpmux.
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"),
        ("DATABASE_URL", database.url()),
    ];
    let (config, _) = Config::load(None, environment).unwrap();
    let running = Running::start(config).await;
    let mut report = Value::Null;
    eventually("the database is ready", async || {
        let (status, body) = running.get("/health/ready").await;
        assert_eq!(status, 503);
        report = body["components"].clone();
        report["database"]["status"] == "ready"
    })
    .await;
    assert_eq!(
        report["consumer of webhook"]["status"], "not ready",
        "{report}"
    );
    assert_eq!(running.get("/health/live").await.0, 200);
    let webhooks = running.get("/api/v1/webhooks").await;
    assert_eq!(webhooks, (200, json!({"webhooks": []})));
    let (status, api) = running.get("/openapi.json").await;
    assert_eq!(status, 200);
    let path = &api["paths"]["/api/v1/webhooks/{id}/deliveries"]["get"];
    assert!(path.is_object(), "{api}");
    running.stop().await;
}
