//! The whole service, without the things it needs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use email_service::Config;
use serde_json::Value;
use service_runtime::lifecycle::{ServiceConfig as _, Shutdown};
use test_support::{Test, TestDatabase, test};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(it_lives_and_answers_while_the_broker_is_down_and_ends_when_asked).threads(2)]
}

const DEADLINE: Duration = Duration::from_secs(30);

/// Status and JSON body of an answer.
async fn get(address: SocketAddr, path: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

async fn it_lives_and_answers_while_the_broker_is_down_and_ends_when_asked(database: TestDatabase) {
    let environment = [
        // Nobody listens on the port of tcpmux.
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"),
        ("DATABASE_URL", database.url()),
    ];
    let (config, _) = Config::load(None, environment).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(email_service::run_on(listener, config, shutdown.clone()));

    let deadline = Instant::now() + DEADLINE;
    let reasons = loop {
        let (status, report) = get(address, "/health/ready").await;
        assert_eq!(status, 503);
        if report["components"]["database"]["status"] == "ready" {
            break report["components"].clone();
        }
        assert!(Instant::now() < deadline, "{report}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(
        reasons["consumer of email"]["status"], "not ready",
        "{reasons}"
    );
    assert_eq!(get(address, "/health/live").await.0, 200);
    let (status, body) = get(address, "/api/v1/emails").await;
    assert_eq!((status, body), (200, serde_json::json!({"emails": []})));
    let (status, api) = get(address, "/openapi.json").await;
    assert_eq!(status, 200);
    assert!(api["paths"]["/api/v1/emails"]["get"].is_object(), "{api}");
    let (status, body) = get(address, "/api/v1/jobs").await;
    assert_eq!((status, body), (200, serde_json::json!({"jobs": []})));

    shutdown.trigger();
    let ended = tokio::time::timeout(DEADLINE, running).await;
    ended.unwrap().unwrap().unwrap();
}
