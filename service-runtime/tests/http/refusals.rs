//! What is no request, or never becomes one, is answered with a problem document as well.

use std::time::Duration;

use service_runtime::http::HttpConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{DEADLINE, Server};

const CHUNKED: &str = "POST /orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n\
                       Transfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn what_is_no_request_is_answered_with_a_problem_and_the_end() {
    let server = Server::start(HttpConfig::default()).await;
    let large = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101));
    let target = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    let requests: [(&[u8], u16); 14] = [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"hello\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: \x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (large.as_bytes(), 431),
        (many.as_bytes(), 431),
        (target.as_bytes(), 431),
    ];
    for (request, status) in requests {
        let mut client = server.connect().await;
        client.send(request).await;
        let answer = client.answer().await;
        let problem = answer.problem(status);
        assert_ne!(problem["detail"], "", "{problem}");
        assert!(answer.header("date").is_some(), "{answer:?}");
        assert_eq!(client.closed().await, b"");
    }
    let mut client = server.connect().await;
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.answer().await.problem(400);
    assert_eq!(client.closed().await, b"");
}

#[tokio::test]
async fn an_answer_before_a_refusal_is_left_as_it_is() {
    let server = Server::start(HttpConfig::default()).await;
    let mut client = server.connect().await;
    client
        .send(b"GET /items/1 HTTP/1.1\r\nHost: t\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 200);
    client.send(b"HEAD /nowhere HTTP/1.1\r\n\r\n").await;
    client.send(b"garbage\r\n\r\n").await;
    let both = String::from_utf8(client.closed().await).unwrap();
    let (head, refusal) = both.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 404 "), "{both}");
    assert!(head.contains("application/problem+json"), "{both}");
    assert!(refusal.starts_with("HTTP/1.1 400 "), "{both}");
}

#[tokio::test]
async fn part_of_a_head_is_answered_with_408_and_silence_with_nothing() {
    let server = Server::start(HttpConfig {
        header_timeout: Duration::from_secs(1),
        ..HttpConfig::default()
    })
    .await;
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    slow.send(b"GET /items/1 HTTP/1.1\r\nX: ").await;
    let answer = slow.answer().await;
    assert_eq!(
        answer.problem(408)["detail"],
        "the request's head did not arrive in time"
    );
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(answer.header("date").is_some(), "{answer:?}");
    assert_eq!(slow.closed().await, b"");
    assert_eq!(silent.closed().await, b"");
}

#[tokio::test]
async fn a_gigabyte_in_chunks_is_413_after_little_of_it() {
    const GIGABYTE: usize = 1024 * 1024 * 1024;
    let server = Server::start(HttpConfig::default()).await;
    let (mut reader, mut writer) = TcpStream::connect(server.address)
        .await
        .unwrap()
        .into_split();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(64 * 1024));
    // Sends on whatever the server does, as a client that reads only afterwards.
    let sender = tokio::spawn(async move {
        writer.write_all(CHUNKED.as_bytes()).await.unwrap();
        let mut sent = 0;
        while sent < GIGABYTE && writer.write_all(chunk.as_bytes()).await.is_ok() {
            sent += chunk.len();
        }
        sent
    });
    let mut answer = vec![0; 12];
    timeout(DEADLINE, reader.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
    let sent = timeout(DEADLINE, sender).await.unwrap().unwrap();
    // What was read and thrown away, and what the system held of it.
    assert!(sent < 32 * 1024 * 1024, "{sent}");
    assert_eq!(server.get("/items/1").await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_announced_as_too_large_is_413_before_it_is_sent() {
    let server = Server::start(HttpConfig::default()).await;
    let mut client = server.connect().await;
    let head = "POST /orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n\
                Expect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n";
    client.send(head.as_bytes()).await;
    let answer = client.answer().await;
    answer.problem(413);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(client.closed().await, b"");
}

#[tokio::test]
async fn chunks_that_are_none_are_400() {
    let server = Server::start(HttpConfig::default()).await;
    for chunks in ["zz\r\n", "ffffffffffffffffff\r\n", "5\r\n{\"nam__0\r\n\r\n"] {
        let mut client = server.connect().await;
        client.send(format!("{CHUNKED}{chunks}").as_bytes()).await;
        let answer = client.answer().await;
        let problem = answer.problem(400);
        assert_eq!(problem["detail"], "the body could not be read to its end");
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

#[tokio::test]
async fn trailers_end_a_body_and_the_next_request_is_answered() {
    let server = Server::start(HttpConfig::default()).await;
    let mut client = server.connect().await;
    let body = "17\r\n{\"name\":\"book\",\"qty\":5}\r\n0\r\nX-Sum: 1\r\n\r\n";
    for _ in 0..2 {
        client.send(format!("{CHUNKED}{body}").as_bytes()).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.json()["name"], "book");
        assert_eq!(answer.header("connection"), None);
    }
}

#[tokio::test]
async fn a_body_of_thousands_of_single_bytes_is_read() {
    let server = Server::start(HttpConfig::default()).await;
    let mut client = server.connect().await;
    client.send(CHUNKED.as_bytes()).await;
    let name = "x".repeat(3000);
    for byte in format!(r#"{{"name":"{name}","qty":5}}"#).chars() {
        client.send(format!("1\r\n{byte}\r\n").as_bytes()).await;
    }
    client.send(b"0\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["name"], name);
}
