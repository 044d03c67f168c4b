//! A server on a free port and a client that writes and reads bytes.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::IntoResponse,
    routing,
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service_runtime::{
    health::Health,
    http::{HttpConfig, Json, Path, Problem, Query, ServiceInfo, bind, router, serve},
    lifecycle::Shutdown,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::{Notify, Semaphore},
    task::JoinHandle,
    time::timeout,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Nothing that these tests wait for takes longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Bytes of an answer that fits into no socket's buffers.
pub(crate) const LARGE: usize = 64 * 1024 * 1024;

/// How much a client that reads slowly takes at a time.
const SIP: usize = 64 * 1024;

/// Holds requests to `/wait` until it is opened.
pub(crate) struct Gate {
    entered: Notify,
    passes: Semaphore,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            entered: Notify::new(),
            passes: Semaphore::new(0),
        })
    }

    /// Waits until one more request stands at the gate.
    pub(crate) async fn entered(&self) {
        timeout(DEADLINE, self.entered.notified()).await.unwrap();
    }

    /// Lets this many requests through.
    pub(crate) fn open(&self, requests: usize) {
        self.passes.add_permits(requests);
    }

    async fn pass(&self) {
        self.entered.notify_one();
        self.passes.acquire().await.unwrap().forget();
    }
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct Order {
    name: String,
    qty: u32,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct Item {
    price: f64,
}

#[derive(Debug, Deserialize)]
struct Page {
    limit: Option<u8>,
}

/// Takes an order
#[utoipa::path(post, path = "/orders", responses(
    (status = 201, body = Order),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
async fn place(Json(order): Json<Order>) -> (StatusCode, Json<Order>) {
    (StatusCode::CREATED, Json(order))
}

async fn item(Path(id): Path<u32>, Query(page): Query<Page>) -> Json<Value> {
    Json(json!({"id": id, "limit": page.limit}))
}

async fn panicking() -> StatusCode {
    panic!("hunter2")
}

async fn failing() -> Problem {
    Problem::internal("hunter2")
}

async fn unavailable() -> Problem {
    Problem::unavailable("the result is unknown", Duration::from_millis(1500))
        .with_kind("urn:problem:order:unknown", "Unknown result")
        .with_extension("orderId", "o-1")
        .with_extension("status", "ignored")
}

/// Says when it is gone.
struct Guard(Arc<Semaphore>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// An answer of this media type without an end, which always has something to tell.
async fn endless(ended: Arc<Semaphore>, media_type: &'static str) -> impl IntoResponse {
    let guard = Guard(ended);
    let events = stream::repeat_with(move || {
        let _ = &guard;
        Ok::<_, Infallible>(Bytes::from(format!("data: {}\n\n", "x".repeat(SIP))))
    });
    (
        [(header::CONTENT_TYPE, media_type)],
        Body::from_stream(events),
    )
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) health: Health,
    pub(crate) gate: Arc<Gate>,
    /// A permit for each answer without an end that was cut off.
    pub(crate) streams_ended: Arc<Semaphore>,
    pub(crate) running: JoinHandle<io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(config: HttpConfig) -> Self {
        let config = HttpConfig {
            address: Ipv4Addr::LOCALHOST.into(),
            ..config
        };
        let gate = Gate::new();
        let waiting = Arc::clone(&gate);
        let wait = async move || {
            waiting.pass().await;
            "done"
        };
        let streams_ended = Arc::new(Semaphore::new(0));
        let ended = Arc::clone(&streams_ended);
        let live = move || endless(ended, "text/event-stream");
        let ended = Arc::clone(&streams_ended);
        let endless = move || endless(ended, "text/plain");
        let routes = OpenApiRouter::new()
            .routes(routes!(place))
            .route("/live", routing::get(live))
            .route("/endless", routing::get(endless))
            .route("/wait", routing::get(wait))
            .route("/items/{id}", routing::get(item))
            .route("/bare", routing::get(async || StatusCode::CONFLICT))
            .route("/large", routing::get(async || vec![b'x'; LARGE]))
            .route("/panic", routing::get(panicking))
            .route("/fail", routing::get(failing))
            .route("/unavailable", routing::get(unavailable));
        let info = ServiceInfo {
            name: "test-service",
            version: "1.2.3",
            description: "A service for tests.",
        };
        let shutdown = Shutdown::new();
        let health = Health::new(&shutdown);
        let router = router(info, routes, &health, &config);
        let listener = bind(&config).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = shutdown.clone();
        let running = tokio::spawn(async move { serve(listener, router, &config, stop).await });
        Self {
            address,
            shutdown,
            health,
            gate,
            streams_ended,
            running,
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// One GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let mut client = self.connect().await;
        client.get(path).await;
        client.answer().await
    }

    /// One POST of JSON to `/orders` on a connection of its own.
    pub(crate) async fn post(&self, body: &[u8]) -> Answer {
        let mut client = self.connect().await;
        let head = format!(
            "POST /orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        client.send(head.as_bytes()).await;
        client.send(body).await;
        client.answer().await
    }

    /// Waits until the server ended by itself.
    pub(crate) async fn ended(self) {
        timeout(DEADLINE, self.running)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n");
        self.send(request.as_bytes()).await;
    }

    /// Reads one whole answer.
    pub(crate) async fn answer(&mut self) -> Answer {
        timeout(DEADLINE, self.read_answer()).await.unwrap()
    }

    async fn read_answer(&mut self) -> Answer {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        let status = line.split(' ').nth(1).unwrap_or_default();
        let status = status
            .parse()
            .unwrap_or_else(|_| panic!("no status in {line:?}"));
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_owned(), value.to_owned());
        }
        let length = headers
            .get("content-length")
            .map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        Answer {
            status,
            headers,
            body,
        }
    }

    /// Reads a little now and then, and never stops to.
    pub(crate) async fn sip(&mut self, pause: Duration) {
        let mut bytes = vec![0; SIP];
        while let Ok(1..) = self.0.read(&mut bytes).await {
            tokio::time::sleep(pause).await;
        }
        std::future::pending().await
    }

    /// Waits until the server closes the connection; what it still sent.
    pub(crate) async fn closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match timeout(DEADLINE, self.0.read_to_end(&mut rest))
            .await
            .unwrap()
        {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
        rest
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The problem document, after checking that it is one of this status.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["status"], status);
        problem
    }
}
