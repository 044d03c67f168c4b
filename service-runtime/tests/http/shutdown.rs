//! What happens to clients when the service ends.

use std::time::Duration;

use service_runtime::http::HttpConfig;
use tokio::net::TcpStream;

use crate::support::{LARGE, Server};

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

/// Whatever was sent before this has been read by the server.
async fn catch_up(server: &Server) {
    assert_eq!(server.get("/items/1").await.status, 200);
}

#[tokio::test]
async fn a_request_of_which_the_server_has_a_part_is_answered_after_the_shutdown() {
    let server = Server::start(HttpConfig::default()).await;
    let mut client = server.connect().await;
    client.get("/items/1").await;
    assert_eq!(client.answer().await.status, 200);
    client.send(b"GET /items/2 HTTP/1.1\r\nHo").await;
    // On a connection that has had no answer yet, it is no different.
    let mut new = server.connect().await;
    new.send(b"GET /items/2 HTTP/1.1\r\nHo").await;
    // The head came together with the request before it, the body does later.
    let mut order = server.connect().await;
    order
        .send(
            b"GET /items/1 HTTP/1.1\r\nHost: t\r\n\r\nPOST /orders HTTP/1.1\r\nHost: t\r\n\
              Content-Type: application/json\r\nContent-Length: 23\r\n\r\n",
        )
        .await;
    assert_eq!(order.answer().await.status, 200);
    catch_up(&server).await;

    server.shutdown.trigger();
    order.send(br#"{"name":"book","qty":5}"#).await;
    let answer = order.answer().await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("connection"), Some("close"));
    for client in [&mut client, &mut new] {
        client.send(b"st: t\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!((answer.status, &answer.json()["id"]), (200, &2.into()));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(client.closed().await, b"");
    }
    server.ended().await;
}

#[tokio::test]
async fn part_of_a_request_behind_another_one_is_refused_at_the_shutdown() {
    let server = Server::start(HttpConfig::default()).await;
    let mut client = server.connect().await;
    client
        .send(b"GET /items/1 HTTP/1.1\r\nHost: t\r\n\r\nGET /items/2 HTTP/1.1\r\nHo")
        .await;
    assert_eq!(client.answer().await.status, 200);
    catch_up(&server).await;
    server.shutdown.trigger();
    let refused = client.answer().await;
    assert_eq!(refused.problem(503)["detail"], "shutting down");
    assert_eq!(refused.header("connection"), Some("close"));
    drop(client);
    server.ended().await;
}

#[tokio::test]
async fn what_is_sent_behind_an_answer_that_has_begun_is_answered_too() {
    let server = Server::start(HttpConfig::default()).await;
    let mut client = server.connect().await;
    client.get("/large").await;
    catch_up(&server).await;
    client.send(b"GET /items/2 HTTP/1.1\r\nHo").await;
    catch_up(&server).await;
    server.shutdown.trigger();
    let large = client.answer().await;
    assert_eq!(
        (large.header("connection"), large.body.len()),
        (None, LARGE)
    );
    client.send(b"st: t\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.json()["id"], 2);
    assert_eq!(answer.header("connection"), Some("close"));
    server.ended().await;
}

#[tokio::test]
async fn an_answer_to_a_client_that_is_still_sending_outlives_the_shutdown() {
    let server = Server::start(HttpConfig::default()).await;
    let mut client = server.connect().await;
    let head = "POST /orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n\
                Content-Length: 1000000000\r\n\r\n";
    client.send(head.as_bytes()).await;
    catch_up(&server).await;
    server.shutdown.trigger();
    // Of a closed connection these writes would fail, and with that many clients never read the answer.
    for _ in 0..50 {
        client.send(&[b' '; 1024]).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    client.answer().await.problem(413);
    drop(client);
    server.ended().await;
}
