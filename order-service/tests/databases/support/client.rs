//! A client that writes and reads bytes, so that a test decides about each of them.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::DEADLINE;

/// A request to be sent on a connection of its own.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    head: String,
    body: Vec<u8>,
    narrow: bool,
}

/// An answer, read to its end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn get(path: &str) -> Self {
        Self {
            head: format!("GET {path} HTTP/1.1\r\nHost: test\r\n"),
            body: Vec::new(),
            narrow: false,
        }
    }

    /// POST of an order as JSON.
    pub(crate) fn post(body: &Value) -> Self {
        Self::with_body("POST /api/v1/orders", body.to_string().as_bytes())
            .header("Content-Type", "application/json")
    }

    /// PUT of an order as JSON.
    pub(crate) fn put(id: &str, body: &Value) -> Self {
        let line = format!("PUT /api/v1/orders/{id}");
        Self::with_body(&line, body.to_string().as_bytes())
            .header("Content-Type", "application/json")
    }

    /// POST that cancels an order.
    pub(crate) fn cancel(id: &str) -> Self {
        Self::with_body(&format!("POST /api/v1/orders/{id}/cancel"), b"")
    }

    pub(crate) fn with_body(line: &str, body: &[u8]) -> Self {
        let length = body.len();
        Self {
            head: format!("{line} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n"),
            body: body.to_vec(),
            narrow: false,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("Idempotency-Key", key)
    }

    /// On a connection that holds little of an answer that is not read.
    pub(crate) fn narrow(mut self) -> Self {
        self.narrow = true;
        self
    }

    /// Sends it; dropping the connection abandons the request.
    pub(crate) async fn start(&self, address: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        if self.narrow {
            socket.set_recv_buffer_size(4096).unwrap();
        }
        let mut stream = socket.connect(address).await.unwrap();
        let head = format!("{}Connection: close\r\n\r\n", self.head);
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&self.body).await.unwrap();
        stream
    }

    pub(crate) async fn send(&self, address: SocketAddr) -> Answer {
        let stream = self.start(address).await;
        timeout(DEADLINE, Answer::read(stream)).await.unwrap()
    }
}

impl Answer {
    pub(crate) async fn read(stream: TcpStream) -> Self {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let mut body = String::new();
        stream.read_to_string(&mut body).await.unwrap();
        Self {
            status,
            headers,
            body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        values.next().map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The id of the order that this answer says is placed, after checking everything else in it.
    #[track_caller]
    pub(crate) fn placed(&self) -> String {
        assert_eq!(self.status, 201, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        let body = self.json();
        let id = body["orderId"].as_str().unwrap().to_owned();
        assert_eq!(
            body,
            serde_json::json!({
                "message": "Order placed successfully ...", "orderId": id, "status": "PENDING",
            })
        );
        let location = format!("/api/v1/orders/{id}");
        assert_eq!(self.header("location"), Some(location.as_str()));
        id
    }

    /// The problem document, after checking that it is one of this status.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let content_type = self.header("content-type");
        assert_eq!(content_type, Some("application/problem+json"));
        assert_eq!(self.header("location"), None);
        let problem = self.json();
        assert_eq!(problem["status"], status);
        problem
    }

    /// The fields that the problem names, in its order.
    #[track_caller]
    pub(crate) fn fields(&self, status: u16) -> Vec<String> {
        let problem = self.problem(status);
        let errors = problem["errors"].as_array().unwrap().iter();
        errors
            .map(|error| {
                assert_ne!(error["message"], "");
                error["field"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    /// The order that a 503 names, after checking that the client is asked to come back.
    #[track_caller]
    pub(crate) fn unconfirmed(&self) -> String {
        let problem = self.problem(503);
        let seconds: u64 = self.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds));
        problem["orderId"].as_str().unwrap().to_owned()
    }
}
