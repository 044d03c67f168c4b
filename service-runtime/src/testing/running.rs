//! A whole service, behind HTTP.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::DEADLINE;
use crate::lifecycle::Shutdown;

/// A running service.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    service: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Starts `run_on` of a service on a free port.
    pub async fn start<F>(run_on: impl FnOnce(TcpListener, Shutdown) -> F) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let service = tokio::spawn(run_on(listener, shutdown.clone()));
        Self {
            address,
            shutdown,
            service,
        }
    }

    /// Status and JSON body of the answer to a GET.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path).await
    }

    /// Status and JSON body of the answer to a POST without a body.
    pub async fn post(&self, path: &str) -> (u16, Value) {
        self.ask("POST", path).await
    }

    async fn ask(&self, method: &str, path: &str) -> (u16, Value) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let mut answer = String::new();
        let asking = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.read_to_string(&mut answer).await.unwrap();
        };
        tokio::time::timeout(DEADLINE, asking).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    /// Waits until a GET is answered with 200 and what `wanted` takes, and gives that.
    pub async fn eventually(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut found = Value::Null;
        eventually(path, async || {
            let (status, body) = self.get(path).await;
            found = body;
            status == 200 && wanted(&found)
        })
        .await;
        found
    }

    /// Ends it, and waits for its end.
    pub async fn stop(self) {
        self.shutdown.trigger();
        let ended = tokio::time::timeout(DEADLINE, self.service).await;
        ended.unwrap().unwrap().unwrap();
    }
}

/// Waits until the condition holds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
