//! Places that are all taken by clients with a request under way: a new client gets its turn all the same.

use std::net::SocketAddr;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use std::time::Duration;

use service_runtime::http::HttpConfig;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Client, DEADLINE, Server};

async fn with_places(max_connections: usize) -> Server {
    Server::start(HttpConfig {
        max_connections,
        ..HttpConfig::default()
    })
    .await
}

#[tokio::test]
async fn a_connection_that_is_always_at_work_ends_after_an_answer_when_others_wait() {
    let server = with_places(1).await;
    let mut busy = server.connect().await;
    busy.get("/wait").await;
    server.gate.entered().await;
    let mut probe = server.connect().await;
    probe.get("/health/ready").await;
    let early = timeout(Duration::from_millis(500), probe.answer()).await;
    assert!(early.is_err(), "there was no place: {early:?}");
    // Were it not told to go, it would have a request under way for ever.
    for _ in 0..50 {
        server.gate.open(1);
        let answer = busy.answer().await;
        assert_eq!((answer.status, answer.text()), (200, "done"));
        if answer.header("connection") == Some("close") {
            assert_eq!(busy.closed().await, b"");
            assert_eq!(probe.answer().await.status, 200);
            return;
        }
        busy.get("/wait").await;
        server.gate.entered().await;
    }
    panic!("the connection was never told to close");
}

/// Sends the next request before it reads the answer to the last one, until it is over, and so hardly ever rests. What it sent behind the last answer of a connection was not taken up (RFC 9112, 9.6).
async fn keep_busy(server: SocketAddr, over: Arc<AtomicBool>, told: Arc<AtomicUsize>) {
    let mut client = Client::connect(server).await;
    client.get("/items/1").await;
    while !over.load(Ordering::Relaxed) {
        client.get("/items/1").await;
        let answer = client.answer().await;
        assert_eq!((answer.status, &answer.json()["id"]), (200, &1.into()));
        if answer.header("connection") == Some("close") {
            told.fetch_add(1, Ordering::Relaxed);
            assert_eq!(client.closed().await, b"");
            client = Client::connect(server).await;
            client.get("/items/1").await;
        }
    }
}

#[tokio::test]
async fn a_probe_is_answered_though_busy_clients_have_all_places() {
    const PLACES: usize = 4;
    let server = with_places(PLACES).await;
    let (over, told) = (Arc::default(), Arc::default());
    let mut clients = JoinSet::new();
    for _ in 0..PLACES {
        let (over, told) = (Arc::clone(&over), Arc::clone(&told));
        clients.spawn(keep_busy(server.address, over, told));
    }
    for _ in 0..10 {
        assert_eq!(server.get("/health/ready").await.status, 200);
    }
    over.store(true, Ordering::Relaxed);
    clients.join_all().await;
    assert!(told.load(Ordering::Relaxed) > 0);
}

/// The server does not run for a while, again and again; its clients, on a thread of their own, do.
#[tokio::test]
async fn a_server_that_was_held_up_cuts_off_nobody_whose_request_is_here() {
    const PLACES: usize = 4;
    let server = with_places(PLACES).await;
    let (over, told) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let (address, is_over) = (server.address, Arc::clone(&over));
    let clients = tokio::task::spawn_blocking(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut clients = JoinSet::new();
        for _ in 0..=PLACES {
            let (over, told) = (Arc::clone(&is_over), Arc::clone(&told));
            clients.spawn_on(keep_busy(address, over, told), runtime.handle());
        }
        runtime.block_on(clients.join_all());
    });
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(300));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    over.store(true, Ordering::Relaxed);
    timeout(DEADLINE, clients).await.unwrap().unwrap();
}

#[tokio::test]
async fn nobody_is_told_to_go_while_there_is_a_place() {
    let server = with_places(3).await;
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::new(AtomicUsize::new(0));
    let busy = tokio::spawn(keep_busy(
        server.address,
        Arc::clone(&over),
        Arc::clone(&told),
    ));
    for _ in 0..50 {
        assert_eq!(server.get("/health/ready").await.status, 200);
    }
    over.store(true, Ordering::Relaxed);
    busy.await.unwrap();
    assert_eq!(told.load(Ordering::Relaxed), 0);
}
