//! Slow, large and too many requests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, routing};
use service_runtime::{
    http::{HttpConfig, bind, serve},
    lifecycle::Shutdown,
};
use tokio::task::JoinSet;

use crate::support::{DEADLINE, LARGE, Server};

#[tokio::test]
async fn headers_that_drip_are_cut_off_after_the_timeout() {
    let header_timeout = Duration::from_secs(1);
    let server = Server::start(HttpConfig {
        header_timeout,
        ..HttpConfig::default()
    })
    .await;
    // The server's time may begin as soon as the connection does.
    let start = Instant::now();
    let stream = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    stream.try_write(b"GET /items/1 HTTP/1.1\r\nX: ").unwrap();
    // A byte every few milliseconds must not put the end off.
    loop {
        assert!(start.elapsed() < DEADLINE);
        let closed = tokio::time::timeout(Duration::from_millis(5), stream.readable()).await;
        if closed.is_ok() && !matches!(stream.try_read(&mut [0; 64]), Ok(1..)) {
            break;
        }
        if stream.try_write(b"x").is_err() {
            break;
        }
    }
    assert!(start.elapsed() >= header_timeout, "{:?}", start.elapsed());
    assert_eq!(server.get("/items/1").await.status, 200);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_header_timeout() {
    let server = Server::start(HttpConfig {
        header_timeout: Duration::from_secs(1),
        ..HttpConfig::default()
    })
    .await;
    let mut client = server.connect().await;
    client.get("/items/1").await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(client.closed().await, b"");
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_gives_up_its_place() {
    let server = Server::start(HttpConfig {
        write_timeout: Duration::from_millis(200),
        max_connections: 1,
        ..HttpConfig::default()
    })
    .await;
    let mut deaf = server.connect().await;
    deaf.get("/large").await;
    assert_eq!(server.get("/items/1").await.status, 200);
    assert!(deaf.closed().await.len() < LARGE);
}

#[tokio::test]
async fn a_body_above_the_limit_is_413_and_at_the_limit_is_read() {
    let server = Server::start(HttpConfig {
        max_body: 1000,
        ..HttpConfig::default()
    })
    .await;
    let body = |length: usize| {
        let frame = r#"{"name":"","qty":5}"#.len();
        format!(r#"{{"name":"{}","qty":5}}"#, "x".repeat(length - frame))
    };
    assert_eq!(server.post(body(1000).as_bytes()).await.status, 201);
    let problem = server.post(body(1001).as_bytes()).await.problem(413);
    assert_eq!(
        problem["detail"],
        "the body is larger than this service takes"
    );
}

#[tokio::test]
async fn the_body_limit_holds_without_a_content_length() {
    let server = Server::start(HttpConfig {
        max_body: 1000,
        ..HttpConfig::default()
    })
    .await;
    let head = "POST /orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("64\r\n{}\r\n", " ".repeat(100));
    let last = "17\r\n{\"name\":\"book\",\"qty\":5}\r\n0\r\n\r\n";

    let mut client = server.connect().await;
    let below = format!("{head}{}{last}", chunk.repeat(9));
    client.send(below.as_bytes()).await;
    assert_eq!(client.answer().await.status, 201);

    // Without an end: the answer must not wait for one.
    let mut client = server.connect().await;
    let above = format!("{head}{}", chunk.repeat(11));
    client.send(above.as_bytes()).await;
    client.answer().await.problem(413);
}

#[tokio::test]
async fn a_request_above_the_limit_is_shed_at_once_but_health_and_metrics_are_not() {
    let server = Server::start(HttpConfig {
        max_in_flight: 1,
        ..HttpConfig::default()
    })
    .await;
    let mut first = server.connect().await;
    first.get("/wait").await;
    server.gate.entered().await;

    let shed = server.get("/items/1").await;
    assert_eq!(shed.problem(503)["detail"], "too many requests at a time");
    assert_eq!(shed.header("retry-after"), Some("1"));
    for path in ["/health/live", "/health/ready", "/metrics", "/openapi.json"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }

    server.gate.open(1);
    assert_eq!(first.answer().await.text(), "done");
    assert_eq!(server.get("/items/1").await.status, 200);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_503_and_makes_room() {
    let server = Server::start(HttpConfig {
        request_timeout: Duration::from_secs(1),
        max_in_flight: 1,
        ..HttpConfig::default()
    })
    .await;
    let answer = server.get("/wait").await;
    assert_eq!(answer.problem(503)["detail"], "the request took too long");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(server.get("/items/1").await.status, 200);
}

#[tokio::test]
async fn a_body_that_drips_is_answered_with_408() {
    let server = Server::start(HttpConfig {
        request_timeout: Duration::from_millis(300),
        ..HttpConfig::default()
    })
    .await;
    let mut client = server.connect().await;
    let head = "POST /orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n\
                Content-Length: 100\r\n\r\n{";
    client.send(head.as_bytes()).await;
    let answer = client.answer().await;
    assert_eq!(
        answer.problem(408)["detail"],
        "the request's body did not arrive in time"
    );
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn bodies_that_drip_take_none_of_the_requests_that_may_be_under_way() {
    let server = Server::start(HttpConfig {
        max_in_flight: 1,
        ..HttpConfig::default()
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        let head = "POST /orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n\
                    Content-Length: 23\r\n\r\n{\"name\":";
        client.send(head.as_bytes()).await;
        slow.push(client);
    }
    for _ in 0..20 {
        assert_eq!(server.get("/items/1").await.status, 200);
    }
    for mut client in slow {
        client.send(br#""book","qty":5}"#).await;
        client.send(b" ").await;
        assert_eq!(client.answer().await.status, 201);
    }
}

#[tokio::test]
async fn connections_above_the_cap_wait_for_their_turn() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = (Arc::clone(&open), Arc::clone(&most));
    let handler = async move || {
        let (open, most) = seen;
        most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Others would come in here if the cap let them.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        open.fetch_sub(1, Ordering::SeqCst);
        "done"
    };
    let config = HttpConfig {
        max_connections: 2,
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        ..HttpConfig::default()
    };
    let listener = bind(&config).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", routing::get(handler));
    let server =
        tokio::spawn(async move { serve(listener, router, &config, Shutdown::new()).await });
    let mut clients = JoinSet::new();
    for _ in 0..20 {
        clients.spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let request = b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        });
    }
    let answers = tokio::time::timeout(DEADLINE, clients.join_all())
        .await
        .unwrap();
    assert!(
        answers.iter().all(|answer| answer.ends_with("done")),
        "{answers:?}"
    );
    assert_eq!(most.load(Ordering::SeqCst), 2);
    server.abort();
}
