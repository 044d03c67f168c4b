//! More connections than places: those that have rested longest give way.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use service_runtime::http::{HttpConfig, bind};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Client, DEADLINE, Server};

/// How many idle connections there are at a time, where the system allows it.
const CROWD: u64 = 5_000;

async fn with_places(max_connections: usize) -> Server {
    Server::start(HttpConfig {
        max_connections,
        ..HttpConfig::default()
    })
    .await
}

/// A connection that has had one answer.
async fn used(server: &Server) -> Client {
    let mut client = server.connect().await;
    again(&mut client).await;
    client
}

async fn again(client: &mut Client) {
    client.get("/items/1").await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn the_connection_that_has_rested_longest_gives_way() {
    let server = with_places(3).await;
    let mut first = used(&server).await;
    let mut second = used(&server).await;
    let mut third = used(&server).await;
    again(&mut first).await;
    let mut fourth = used(&server).await;
    assert_eq!(second.closed().await, b"");
    for client in [&mut third, &mut first, &mut fourth] {
        again(client).await;
    }
}

#[tokio::test]
async fn a_request_in_flight_never_gives_way() {
    let server = with_places(2).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = server.connect().await;
        client.get("/wait").await;
        server.gate.entered().await;
        busy.push(client);
    }
    let mut waiting = server.connect().await;
    waiting.get("/items/1").await;
    let early = timeout(Duration::from_millis(500), waiting.answer()).await;
    assert!(early.is_err(), "there was no place: {early:?}");
    server.gate.open(2);
    for client in &mut busy {
        assert_eq!(client.answer().await.text(), "done");
    }
    assert_eq!(waiting.answer().await.status, 200);
}

#[tokio::test]
async fn a_request_that_drips_gives_way_and_is_told_so() {
    let server = with_places(2).await;
    let mut head = server.connect().await;
    head.send(b"GET /items/1 HTTP/1.1\r\nX: ").await;
    let mut body = server.connect().await;
    body.send(
        b"POST /orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n\
          Content-Length: 100\r\n\r\n{",
    )
    .await;
    let mut others = Vec::new();
    for dripping in [&mut head, &mut body] {
        // Bytes that come later do not make a request younger.
        dripping.send(b" ").await;
        others.push(used(&server).await);
        let answer = dripping.answer().await;
        assert_eq!(answer.problem(503)["detail"], "too many connections");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(dripping.closed().await, b"");
    }
}

#[tokio::test]
async fn a_next_request_that_drips_is_told_so_too() {
    let server = with_places(1).await;
    let mut client = server.connect().await;
    client
        .send(b"GET /items/1 HTTP/1.1\r\nHost: t\r\n\r\nGET /items/1 HTTP/1.1\r\nX: ")
        .await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(server.get("/items/1").await.status, 200);
    let answer = client.answer().await;
    assert_eq!(answer.problem(503)["detail"], "too many connections");
    assert_eq!(client.closed().await, b"");
}

#[tokio::test]
async fn clients_that_come_all_at_once_are_taken_into_the_queue() {
    const CLIENTS: usize = 1000;
    let config = HttpConfig {
        address: Ipv4Addr::LOCALHOST.into(),
        ..HttpConfig::default()
    };
    let listener = bind(&config).await.unwrap();
    let address = listener.local_addr().unwrap();
    let allowed = test_support::allowed_sockets(CLIENTS as u64, 1) as usize;
    // Nobody accepts them. Who finds the queue full is not answered, and tries again after 1, 3, 7 and 15 seconds.
    let connecting = async {
        let mut clients = Vec::new();
        for _ in 0..allowed.min(longest_queue()) {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        clients.len()
    };
    assert!(timeout(DEADLINE, connecting).await.unwrap() > 100);
}

/// How many clients the system lets wait at most; elsewhere than on Linux often no more than this.
fn longest_queue() -> usize {
    let setting = fs::read_to_string("/proc/sys/net/core/somaxconn");
    setting.map_or(128, |text| text.trim().parse().unwrap())
}

#[tokio::test]
async fn a_long_answer_does_not_give_way_while_it_is_read() {
    let server = with_places(1).await;
    let mut client = server.connect().await;
    client.get("/large").await;
    let mut other = server.connect().await;
    other.get("/items/1").await;
    assert_eq!(client.answer().await.body.len(), crate::support::LARGE);
    assert_eq!(other.answer().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_connections_shut_nobody_out() {
    const PLACES: usize = 500;
    let server = with_places(PLACES).await;
    let allowed = test_support::allowed_sockets(CROWD + PLACES as u64, 1);
    let crowd = allowed.saturating_sub(PLACES as u64);
    assert!(
        crowd >= 100 + PLACES as u64,
        "too few sockets for a crowd: {allowed}"
    );
    let mut healthy = used(&server).await;
    let mut idle = Vec::new();
    for n in 0..crowd {
        idle.push(TcpStream::connect(server.address).await.unwrap());
        if n % 100 == 0 {
            // A new client has its turn after all that came before it.
            assert_eq!(server.get("/items/1").await.status, 200);
            again(&mut healthy).await;
        }
    }
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(server.get("/items/1").await.status, 200);
    }
    assert!(start.elapsed() < DEADLINE);
    again(&mut healthy).await;
    // Of the first, none has kept its place; the last are there until others come.
    for stream in idle.iter_mut().take(100) {
        let read = timeout(DEADLINE, stream.read(&mut [0; 1])).await.unwrap();
        assert_eq!(read.unwrap(), 0);
    }
    let last = idle.last_mut().unwrap();
    assert!(
        matches!(last.try_read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    );
}
