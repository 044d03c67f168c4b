//! Server-Sent Events, as a client that may go away reads them.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

/// An event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What `Last-Event-ID` goes on from.
    pub id: String,
    /// The data.
    pub data: Value,
}

/// An open stream. Dropping it closes the connection.
#[derive(Debug)]
pub struct Stream {
    answer: reqwest::Response,
    read: String,
}

/// How long a stream may say nothing of use.
const PATIENCE: Duration = Duration::from_secs(60);

impl Stream {
    pub(crate) fn new(answer: reqwest::Response) -> Self {
        Self {
            answer,
            read: String::new(),
        }
    }

    /// The next event; `None` at the end of the stream.
    ///
    /// # Panics
    /// None comes in time, or something else than an event.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.read.split_once("\n\n") {
                let event = parsed(block);
                self.read = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            let chunk = timeout(PATIENCE, self.answer.chunk()).await;
            let chunk = chunk.expect("an event in time").ok().flatten()?;
            self.read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// So many events.
    ///
    /// # Panics
    /// The stream ends before.
    pub async fn take(&mut self, events: usize) -> Vec<Event> {
        let mut taken = Vec::new();
        while taken.len() < events {
            taken.push(self.next().await.expect("one more event"));
        }
        taken
    }
}

/// `None`: a comment, which keeps the connection alive, or a hint when to come again.
fn parsed(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let prefix = format!("{name}: ");
        block.lines().find_map(|line| line.strip_prefix(&prefix))
    };
    let data = field("data")?;
    Some(Event {
        id: field("id").unwrap_or_default().to_owned(),
        data: serde_json::from_str(data).unwrap(),
    })
}
