//! What happens to clients when the service ends.

use std::time::Duration;

use service_runtime::http::HttpConfig;
use tokio::net::TcpStream;

use crate::support::Server;

#[tokio::test]
async fn a_request_in_flight_is_answered_and_then_the_server_ends() {
    let server = Server::start(HttpConfig::default()).await;
    let mut busy = server.connect().await;
    busy.get("/wait").await;
    server.gate.entered().await;
    let mut idle = server.connect().await;
    idle.get("/items/1").await;
    assert_eq!(idle.answer().await.status, 200);
    let mut unused = server.connect().await;

    server.shutdown.trigger();
    assert_eq!(idle.closed().await, b"");
    assert_eq!(unused.closed().await, b"");
    assert!(!server.running.is_finished());
    assert_eq!(server.shutdown.running_parts(), ["http"]);

    server.gate.open(1);
    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.text()), (200, "done"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(busy.closed().await, b"");
    let (address, shutdown) = (server.address, server.shutdown.clone());
    server.ended().await;
    assert!(shutdown.running_parts().is_empty());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_is_cut_off() {
    let server = Server::start(HttpConfig {
        drain_timeout: Duration::from_millis(50),
        ..HttpConfig::default()
    })
    .await;
    let mut client = server.connect().await;
    client.get("/wait").await;
    server.gate.entered().await;
    server.shutdown.trigger();
    assert_eq!(client.closed().await, b"");
    server.ended().await;
}

#[tokio::test]
async fn requests_are_still_taken_between_announcement_and_shutdown() {
    let server = Server::start(HttpConfig::default()).await;
    server.shutdown.announce();
    assert_eq!(server.get("/items/1").await.status, 200);
    let ready = server.get("/health/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["status"], "shutting down");
}
