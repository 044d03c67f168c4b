//! Notes what clients and disturbers do, while they do it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use base_domains::OrderId;
use serde_json::{Value, json};

use super::{
    Answered, Attempt, Content, History, Injected, Interruption, Kind, Observation, Operation,
    Outcome, Poison, StockRow,
};
use crate::client::{Answer, Client};
use crate::log::Log;

/// Shared by everybody who acts in a run; clones write into one history.
#[derive(Debug, Clone)]
pub struct Recorder {
    started: Instant,
    history: Arc<Mutex<History>>,
}

impl Recorder {
    /// A recorder whose time begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            history: Arc::default(),
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Everything that was noted so far; the rest of the history is empty.
    #[must_use]
    pub fn history(&self) -> History {
        self.lock().clone()
    }

    /// Places an order by `POST`.
    pub async fn place(&self, client: &Client, body: &Value) -> Attempt {
        let start = self.now();
        let answer = client.post("/api/v1/orders", body, &[]).await.ok();
        self.answered(Operation::Place, None, body, start, answer.as_ref())
    }

    /// Places an order under an `Idempotency-Key`.
    pub async fn place_keyed(&self, client: &Client, key: &str, body: &Value) -> Attempt {
        let (start, headers) = (self.now(), [("idempotency-key", key)]);
        let answer = client.post("/api/v1/orders", body, &headers).await.ok();
        let operation = Operation::PlaceKeyed(key.to_owned());
        self.answered(operation, None, body, start, answer.as_ref())
    }

    /// Places an order under the client's own id.
    pub async fn put(&self, client: &Client, order_id: OrderId, body: &Value) -> Attempt {
        let start = self.now();
        let path = format!("/api/v1/orders/{order_id}");
        let answer = client.put(&path, body).await.ok();
        self.answered(Operation::Put, Some(order_id), body, start, answer.as_ref())
    }

    /// Cancels an order.
    pub async fn cancel(&self, client: &Client, order_id: OrderId) -> Attempt {
        let start = self.now();
        let path = format!("/api/v1/orders/{order_id}/cancel");
        let answer = client.post(&path, &json!({}), &[]).await.ok();
        let (operation, nothing) = (Operation::Cancel, Value::Null);
        self.answered(operation, Some(order_id), &nothing, start, answer.as_ref())
    }

    /// Notes how a request ended that was sent at `start`; for clients that send by themselves.
    pub fn answered(
        &self,
        operation: Operation,
        order_id: Option<OrderId>,
        body: &Value,
        start: Duration,
        answer: Option<&Answer>,
    ) -> Attempt {
        let said = answer.map(Answered::from);
        let attempt = Attempt {
            order_id: order_id.or_else(|| said.as_ref()?.order_id),
            operation,
            content: Content(body.clone()),
            start,
            end: self.now(),
            outcome: answer.map_or(Outcome::Unknown, |answer| Outcome::of(answer.status)),
            answer: said,
        };
        self.attempted(attempt.clone());
        attempt
    }

    /// Notes an attempt.
    pub fn attempted(&self, attempt: Attempt) {
        self.lock().attempts.push(attempt);
    }

    /// Notes that `process` is interrupted now.
    pub fn interrupted(&self, process: &str, kind: Kind) {
        let at = self.now();
        self.lock().interruptions.push(Interruption {
            process: process.to_owned(),
            at,
            kind,
        });
    }

    /// Notes that `process` was found ended, or ended otherwise than it was asked to; it may say how.
    pub fn ended_by_itself(&self, process: &str) {
        self.lock().ended_by_themselves.push(process.to_owned());
    }

    /// Appends a good record, such as the tutorial's.
    pub async fn inject(&self, log: &Log, record: Injected) -> Injected {
        let record = appended(log, record).await;
        self.lock().injected.push(record.clone());
        record
    }

    /// Appends a bad record, which these groups have to dead-letter; `None` for all of them.
    pub async fn poison(
        &self,
        log: &Log,
        record: Injected,
        groups: Option<BTreeSet<String>>,
    ) -> Poison {
        let record = appended(log, record).await;
        let poison = Poison { record, groups };
        self.lock().poison.push(poison.clone());
        poison
    }

    /// Looks at a product; whether the stock service answered.
    pub async fn look_at_stock(&self, stock_service: &Client, product: &str) -> bool {
        let path = format!("/api/v1/stock/{product}");
        let Ok(answer) = stock_service.try_get(&path).await else {
            return false;
        };
        let Ok(stock) = serde_json::from_str::<Value>(&answer.text) else {
            return false;
        };
        let pieces = |name: &str| stock[name].as_i64();
        let (Some(available), Some(reserved), Some(shipped)) =
            (pieces("available"), pieces("reserved"), pieces("shipped"))
        else {
            return false;
        };
        let product = product.to_owned();
        let row = StockRow {
            product,
            available,
            reserved,
            shipped,
        };
        let at = self.now();
        self.lock().observations.push(Observation { at, row });
        true
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().expect("nobody panics while it notes")
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

async fn appended(log: &Log, record: Injected) -> Injected {
    let place = log.append(&record).await;
    Injected { place, ..record }
}
