//! Clients that take their answers slowly, but never stop to.

use std::time::{Duration, Instant};

use service_runtime::http::HttpConfig;
use tokio::time::timeout;

use crate::support::{DEADLINE, LARGE, Server};

const ANSWER_TIMEOUT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_client_that_drips_in_its_answer_gives_up_its_place() {
    let server = Server::start(HttpConfig {
        answer_timeout: ANSWER_TIMEOUT,
        max_connections: 1,
        ..HttpConfig::default()
    })
    .await;
    let mut slow = server.connect().await;
    slow.get("/large").await;
    let start = Instant::now();
    let other = tokio::select! {
        other = server.get("/items/1") => other,
        // With that it needs nearly a minute for all of it.
        () = slow.sip(Duration::from_millis(50)) => unreachable!(),
    };
    assert_eq!(other.status, 200);
    assert!(start.elapsed() >= ANSWER_TIMEOUT, "{:?}", start.elapsed());
    assert!(slow.closed().await.len() < LARGE);
}

#[tokio::test]
async fn an_answer_in_many_pieces_is_one_answer() {
    let server = Server::start(HttpConfig {
        answer_timeout: ANSWER_TIMEOUT,
        ..HttpConfig::default()
    })
    .await;
    let mut client = server.connect().await;
    client.get("/endless").await;
    let cut_off = tokio::select! {
        cut_off = timeout(DEADLINE, server.streams_ended.acquire()) => cut_off.is_ok(),
        () = client.sip(Duration::from_millis(5)) => unreachable!(),
    };
    assert!(cut_off);
}

#[tokio::test]
async fn each_answer_of_a_connection_has_its_own_time() {
    let server = Server::start(HttpConfig {
        answer_timeout: Duration::from_secs(2),
        ..HttpConfig::default()
    })
    .await;
    let mut client = server.connect().await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2500) {
        client.get("/large").await;
        assert_eq!(client.answer().await.body.len(), LARGE);
    }
}

#[tokio::test]
async fn a_live_stream_goes_on_while_its_client_reads_and_is_cut_when_it_stops() {
    let server = Server::start(HttpConfig {
        answer_timeout: ANSWER_TIMEOUT,
        write_timeout: Duration::from_secs(2),
        ..HttpConfig::default()
    })
    .await;
    let mut client = server.connect().await;
    client.get("/live").await;
    let ended = timeout(4 * ANSWER_TIMEOUT, server.streams_ended.acquire());
    let early = tokio::select! {
        ended = ended => ended.is_ok(),
        () = client.sip(Duration::from_millis(5)) => unreachable!(),
    };
    assert!(!early, "a stream that was read has ended");
    let ended = timeout(DEADLINE, server.streams_ended.acquire()).await;
    assert!(ended.is_ok(), "a stream that nobody reads goes on");
}
