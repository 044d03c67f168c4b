//! What a proxy does to the connections through it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use test_support::{Direction, Fault, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// Long enough that what comes at all has come.
const A_WHILE: Duration = Duration::from_millis(300);
const DEADLINE: Duration = Duration::from_secs(20);

/// A server that answers with what it hears, and tells what it heard.
async fn echo() -> (u16, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, hears) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let heard = heard.clone();
            tokio::spawn(async move {
                let mut bytes = [0; 1024];
                while let Ok(read @ 1..) = client.read(&mut bytes).await {
                    let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                    heard.send(text).unwrap();
                    client.write_all(&bytes[..read]).await.unwrap();
                }
            });
        }
    });
    (port, hears)
}

async fn before_echo() -> (Proxy, UnboundedReceiver<String>) {
    let (port, hears) = echo().await;
    let proxy = Proxy::listen().await.unwrap();
    proxy.lead_to("127.0.0.1", port);
    (proxy, hears)
}

async fn connected(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn say(client: &mut TcpStream, text: &str) {
    client.write_all(text.as_bytes()).await.unwrap();
}

async fn answer(client: &mut TcpStream) -> String {
    let mut bytes = [0; 1024];
    let read = timeout(DEADLINE, client.read(&mut bytes)).await.unwrap();
    String::from_utf8_lossy(&bytes[..read.unwrap()]).into_owned()
}

/// No answer, and nobody says why.
async fn stays_silent(client: &mut TcpStream) {
    let read = timeout(A_WHILE, client.read(&mut [0; 1024])).await;
    assert!(read.is_err(), "{read:?}");
}

async fn is_reset(client: &mut TcpStream) {
    let read = timeout(DEADLINE, client.read(&mut [0; 1024])).await;
    let error = read.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn bytes_come_through_and_a_close_does_too() {
    let (proxy, mut heard) = before_echo().await;
    let mut client = connected(&proxy).await;
    say(&mut client, "hello").await;
    assert_eq!(answer(&mut client).await, "hello");
    assert_eq!(heard.recv().await.unwrap(), "hello");
    client.shutdown().await.unwrap();
    assert_eq!(answer(&mut client).await, "", "the server closed in turn");
}

#[tokio::test]
async fn a_cut_resets_connections_old_and_new_until_it_is_healed() {
    let (proxy, _heard) = before_echo().await;
    let mut old = connected(&proxy).await;
    say(&mut old, "hello").await;
    assert_eq!(answer(&mut old).await, "hello");
    proxy.inject(Fault::Cut);
    is_reset(&mut old).await;
    is_reset(&mut connected(&proxy).await).await;
    proxy.heal();
    let mut new = connected(&proxy).await;
    say(&mut new, "again").await;
    assert_eq!(answer(&mut new).await, "again");
}

#[tokio::test]
async fn a_question_into_silence_arrives_when_it_is_healed() {
    let (proxy, mut heard) = before_echo().await;
    let mut client = connected(&proxy).await;
    proxy.inject(Fault::Silent(Direction::ToServer));
    say(&mut client, "hello").await;
    stays_silent(&mut client).await;
    assert!(heard.try_recv().is_err(), "the server heard nothing");
    proxy.heal();
    assert_eq!(answer(&mut client).await, "hello");
}

#[tokio::test]
async fn an_answer_into_silence_is_of_a_server_that_heard_the_question() {
    let (proxy, mut heard) = before_echo().await;
    let mut client = connected(&proxy).await;
    proxy.inject(Fault::Silent(Direction::ToClient));
    say(&mut client, "hello").await;
    assert_eq!(heard.recv().await.unwrap(), "hello");
    stays_silent(&mut client).await;
    proxy.heal();
    assert_eq!(answer(&mut client).await, "hello");
}

#[tokio::test]
async fn latency_delays_both_ways() {
    let (proxy, _heard) = before_echo().await;
    let mut client = connected(&proxy).await;
    proxy.inject(Fault::Latency(A_WHILE));
    let asked = Instant::now();
    say(&mut client, "hello").await;
    assert_eq!(answer(&mut client).await, "hello");
    assert!(asked.elapsed() >= 2 * A_WHILE, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn the_reply_to_a_commit_is_cut_after_the_server_has_done_it() {
    let (proxy, mut heard) = before_echo().await;
    let mut client = connected(&proxy).await;
    proxy.inject(Fault::CutReplyTo("COMMIT".to_owned()));
    say(&mut client, "INSERT").await;
    assert_eq!(answer(&mut client).await, "INSERT");
    say(&mut client, "\0COMMIT\0").await;
    is_reset(&mut client).await;
    assert_eq!(proxy.replies_cut(), 1);
    assert_eq!(heard.recv().await.unwrap(), "INSERT");
    assert_eq!(heard.recv().await.unwrap(), "\0COMMIT\0");
    proxy.heal();
    let mut client = connected(&proxy).await;
    say(&mut client, "COMMIT").await;
    assert_eq!(answer(&mut client).await, "COMMIT");
}

#[tokio::test]
async fn a_server_that_vanished_leaves_its_connections_silent_for_good() {
    let (proxy, mut heard) = before_echo().await;
    let mut old = connected(&proxy).await;
    proxy.vanish_at("fatal");
    say(&mut old, "a fatal word").await;
    stays_silent(&mut old).await;
    assert!(proxy.has_vanished());
    let mut new = connected(&proxy).await;
    say(&mut new, "hello").await;
    stays_silent(&mut new).await;
    proxy.come_back();
    stays_silent(&mut old).await;
    let mut new = connected(&proxy).await;
    say(&mut new, "again").await;
    assert_eq!(answer(&mut new).await, "again");
    assert_eq!(heard.recv().await.unwrap(), "again");
}

#[tokio::test]
async fn without_a_server_connections_are_reset() {
    let proxy = Proxy::listen().await.unwrap();
    is_reset(&mut connected(&proxy).await).await;
}
