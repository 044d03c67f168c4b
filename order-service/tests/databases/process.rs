//! The whole service while there is no broker.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use order_service::{Config, run, run_on};
use serde_json::json;
use service_runtime::database::DatabaseConfig;
use service_runtime::lifecycle::{ServiceConfig as _, Shutdown};
use test_support::{Kind, Proxy, Test, TestDatabase, test};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{DEADLINE, Request, eventually};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(without_a_broker_the_process_is_live_and_not_ready_and_ends_when_asked).threads(2),
        test!(without_a_broker_an_order_is_answered_with_503_that_names_it).threads(2),
        test!(a_database_that_vanished_does_not_hold_the_end_back)
            .only(Kind::Postgres)
            .threads(2),
        test!(a_port_that_is_taken_is_an_error),
    ]
}

struct Process {
    address: SocketAddr,
    shutdown: Shutdown,
    running: JoinHandle<anyhow::Result<()>>,
}

fn config(database: &TestDatabase) -> Config {
    let (mut config, _) = Config::load(
        None,
        [
            // Nobody listens on port 1.
            ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"),
            ("KAFKA_DELIVERY_TIMEOUT", "500ms"),
            ("HTTP_ADDRESS", "127.0.0.1"),
        ],
    )
    .unwrap();
    config.common.database = DatabaseConfig::new(database.url());
    config
}

impl Process {
    async fn start(database: TestDatabase) -> Self {
        Self::with(config(&database)).await
    }

    async fn with(config: Config) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let running = tokio::spawn(run_on(listener, config, shutdown.clone()));
        Self {
            address,
            shutdown,
            running,
        }
    }

    async fn end(self) {
        self.shutdown.trigger();
        let ended = timeout(DEADLINE, self.running).await.unwrap();
        ended.unwrap().unwrap();
    }
}

async fn without_a_broker_the_process_is_live_and_not_ready_and_ends_when_asked(
    database: TestDatabase,
) {
    let process = Process::start(database).await;
    let live = Request::get("/health/live").send(process.address).await;
    assert_eq!(live.status, 200);
    let ready = Request::get("/health/ready").send(process.address).await;
    assert_eq!(ready.status, 503);
    let components = ready.json()["components"].clone();
    for consumer in ["consumer of orders-view", "consumer of orders"] {
        assert_eq!(components[consumer]["status"], "not ready", "{components}");
    }
    process.end().await;
}

async fn without_a_broker_an_order_is_answered_with_503_that_names_it(database: TestDatabase) {
    let process = Process::start(database).await;
    let body = json!({"name": "book order", "qty": 5, "price": 10000});
    let answer = Request::post(&body).send(process.address).await;
    let id = answer.unconfirmed();
    assert_eq!(answer.json()["title"], "Order not confirmed");
    // Unknown to the read model, which works without a broker.
    let get = Request::get(&format!("/api/v1/orders/{id}?wait=0s"));
    let deadline = Instant::now() + DEADLINE;
    while get.send(process.address).await.status == 503 {
        assert!(Instant::now() < deadline, "the database is not ready");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    get.send(process.address).await.problem(404);
    process.end().await;
}

/// From the network, in the middle of a look at the oldest orders.
async fn a_database_that_vanished_does_not_hold_the_end_back(database: TestDatabase) {
    let proxy = Proxy::to(database.url()).await.unwrap();
    let mut config = config(&database);
    config.common.database = DatabaseConfig::new(proxy.url());
    proxy.vanish_at("SELECT MIN(created_at)");
    let process = Process::with(config).await;
    eventually("the outage", || proxy.has_vanished()).await;
    // Within a deadline, where the connection itself would wait for ever.
    process.end().await;
}

async fn a_port_that_is_taken_is_an_error(database: TestDatabase) {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut config = config(&database);
    config.common.http.port = taken.local_addr().unwrap().port();
    let error = run(config, Shutdown::new()).await.unwrap_err();
    assert!(error.to_string().contains("cannot listen on"), "{error}");
}
