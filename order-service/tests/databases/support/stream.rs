//! A client of Server-Sent Events.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{DEADLINE, Request};

/// An open stream.
pub(crate) struct EventStream(BufReader<TcpStream>);

/// One event of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl EventStream {
    /// Opens a stream; it goes on after `last` where there is one.
    pub(crate) async fn open(address: SocketAddr, path: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(path);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        Self::open_by(address, request).await
    }

    pub(crate) async fn open_by(address: SocketAddr, request: Request) -> Self {
        let request = request.header("Accept", "text/event-stream");
        let mut stream = Self(BufReader::new(request.start(address).await));
        let status = stream.line().await.unwrap();
        assert!(status.contains(" 200 "), "{status}");
        let mut kind = String::new();
        loop {
            let line = stream.line().await.unwrap().to_lowercase();
            match line.strip_prefix("content-type: ") {
                Some(value) => value.clone_into(&mut kind),
                None if line.is_empty() => break,
                None => {}
            }
        }
        assert_eq!(kind, "text/event-stream");
        stream
    }

    /// The next event; `None` at the end, also when that cuts an event in two.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        let (mut id, mut data) = (None, None);
        loop {
            // Between the lines of the stream are those of the chunked transfer.
            let line = self.line().await?;
            if let Some(value) = line.strip_prefix("id: ") {
                id = Some(value.to_owned());
            } else if let Some(value) = line.strip_prefix("data: ") {
                data = Some(serde_json::from_str(value).ok()?);
            } else if line.is_empty()
                && let (Some(id), Some(data)) = (&id, &data)
            {
                let (id, data) = (String::clone(id), Value::clone(data));
                return Some(Told { id, data });
            }
        }
    }

    /// The statuses of the next `count` events.
    pub(crate) async fn statuses(&mut self, count: usize) -> Vec<String> {
        let mut statuses = Vec::new();
        for _ in 0..count {
            let told = self.next().await.unwrap();
            statuses.push(told.data["status"].as_str().unwrap().to_owned());
        }
        statuses
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(DEADLINE, self.0.read_line(&mut line)).await;
        match read.unwrap() {
            Ok(1..) => Some(line.trim_end().to_owned()),
            Ok(0) | Err(_) => None,
        }
    }
}
