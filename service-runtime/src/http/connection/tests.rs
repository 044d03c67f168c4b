#![allow(clippy::unwrap_used)]

use std::time::Instant;

use axum::routing;
use hyper_util::rt::TokioTimer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};

use super::*;
use crate::http::{HttpConfig, places::Places};

/// Nothing that these tests wait for takes longer.
const DEADLINE: Duration = Duration::from_secs(20);
/// Longer than any of these tests.
const NEVER: Duration = Duration::from_secs(3600);

/// A connection whose socket holds `capacity` bytes of each direction.
struct Served {
    client: DuplexStream,
    place: Arc<Place>,
    shutdown: Shutdown,
    running: JoinHandle<()>,
}

async fn serve(capacity: usize, places: &Places, config: &HttpConfig, router: Router) -> Served {
    let (client, server) = duplex(capacity);
    let place = places.take().await.unwrap();
    let stream = ClientStream::new(server, config, Arc::clone(&place));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout);
    let shutdown = Shutdown::new();
    let running = serve_connection(http, stream, router, Arc::clone(&place), shutdown.clone());
    Served {
        client,
        place,
        shutdown,
        running: tokio::spawn(running),
    }
}

fn patient() -> HttpConfig {
    HttpConfig {
        header_timeout: NEVER,
        write_timeout: NEVER,
        answer_timeout: NEVER,
        ..HttpConfig::default()
    }
}

/// Waits until it holds.
async fn until(holds: impl Fn() -> bool) {
    let polling = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, polling).await.unwrap();
}

/// A client that sent part of a request, which the server has read; and its connection, which alone holds the place.
async fn half_sent(places: &Places) -> (DuplexStream, JoinHandle<()>) {
    let mut served = serve(16, places, &patient(), Router::new()).await;
    served.client.write_all(b"GET / HT").await.unwrap();
    until(|| served.place.is_arriving()).await;
    (served.client, served.running)
}

#[tokio::test]
async fn a_client_that_does_not_read_its_farewell_holds_up_nobody() {
    let places = Places::new(1);
    let (mut client, running) = half_sent(&places).await;
    let start = Instant::now();
    let next = timeout(DEADLINE, places.take()).await;
    assert!(next.unwrap().is_some());
    assert!(start.elapsed() >= FAREWELL, "{:?}", start.elapsed());
    running.await.unwrap();
    let mut words = Vec::new();
    client.read_to_end(&mut words).await.unwrap();
    assert_eq!(words, b"HTTP/1.1 503 Ser");
}

#[tokio::test]
async fn a_client_that_reads_its_farewell_gets_all_of_it() {
    let places = Places::new(1);
    let (mut client, _) = half_sent(&places).await;
    let mut words = String::new();
    let (next, read) = tokio::join!(
        timeout(DEADLINE, places.take()),
        client.read_to_string(&mut words)
    );
    assert!(next.unwrap().is_some() && read.is_ok());
    assert!(words.contains("too many connections"), "{words}");
}

/// Reads one byte after the other, each long before something has to be taken.
async fn drip(mut client: DuplexStream, write_timeout: Duration) {
    while let Ok(1..) = client.read(&mut [0; 1]).await {
        tokio::time::sleep(write_timeout / 100).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_taken_byte_by_byte_is_cut_off_in_the_end() {
    let config = HttpConfig {
        write_timeout: Duration::from_secs(2),
        answer_timeout: Duration::from_millis(500),
        ..patient()
    };
    let places = Places::new(1);
    let router = Router::new().route("/", routing::get(async || "x".repeat(10_000)));
    let mut served = serve(64, &places, &config, router).await;
    let start = Instant::now();
    let request = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n";
    served.client.write_all(request).await.unwrap();
    let dripping = tokio::spawn(drip(served.client, config.write_timeout));
    drop(served.place);
    assert!(timeout(DEADLINE, places.take()).await.unwrap().is_some());
    assert!(start.elapsed() >= config.answer_timeout);
    dripping.abort();
}

#[tokio::test]
async fn what_a_shutdown_finds_half_read_is_answered_and_what_rests_is_closed() {
    let places = Places::new(2);
    let passes = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&passes);
    let wait = async move || {
        waiting.acquire().await.unwrap().forget();
        "done"
    };
    let router = Router::new().route("/", routing::get(wait));
    let mut busy = serve(4096, &places, &patient(), router.clone()).await;
    let mut idle = serve(4096, &places, &patient(), router).await;
    let request = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n";
    busy.client.write_all(request).await.unwrap();
    until(|| busy.place.is_at_work()).await;
    // Half of the next one, which the server has read as well.
    busy.client.write_all(&request[..10]).await.unwrap();
    passes.add_permits(2);
    let mut answer = [0; 512];
    let read = busy.client.read(&mut answer).await.unwrap();
    let first = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(first.ends_with("done") && !first.contains("connection: close"));
    until(|| busy.place.is_arriving()).await;

    busy.shutdown.trigger();
    idle.shutdown.trigger();
    let mut rest = String::new();
    idle.client.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "");
    busy.client.write_all(&request[10..]).await.unwrap();
    timeout(DEADLINE, busy.client.read_to_string(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(
        rest.contains("connection: close") && rest.ends_with("done"),
        "{rest}"
    );
}
