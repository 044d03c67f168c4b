//! Notes what clients and disturbers do, while they do it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base_domains::OrderId;
use serde_json::{Value, json};

use super::{
    Answered, Attempt, Content, History, Injected, Interruption, Kind, Observation, Operation,
    Outcome, StockLevel, StockRow,
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
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let since_epoch = since_epoch.expect("a clock that is set").as_millis();
        let history = History {
            started: i64::try_from(since_epoch).expect("a clock that is set"),
            ..History::default()
        };
        Self {
            started: Instant::now(),
            history: Arc::new(Mutex::new(history)),
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

    /// Every order that was accepted so far, by the time of its answer.
    #[must_use]
    pub fn accepted(&self) -> Vec<OrderId> {
        let history = self.lock();
        let attempts = history.attempts.iter();
        let accepted = attempts.filter(|one| one.places() && one.outcome == Outcome::Ok);
        accepted.filter_map(|one| one.order_id).collect()
    }

    /// Appends a good record, such as the tutorial's.
    pub async fn inject(&self, log: &Log, record: Injected) -> Injected {
        let record = appended(log, record).await;
        self.lock().injected.push(record.clone());
        record
    }

    /// Appends a bad record.
    pub async fn poison(&self, log: &Log, record: Injected) -> Injected {
        let record = appended(log, record).await;
        self.lock().poison.push(record.clone());
        record
    }

    /// Processes run with this `ORDER_DEADLINE`, which is shorter than the usual one.
    pub fn deadline(&self, deadline: Duration) {
        let bounds = &mut self.lock().bounds;
        bounds.deadline = bounds.deadline.min(deadline);
    }

    /// Makes so many pieces of a product available, of which nobody has any yet.
    ///
    /// # Panics
    /// The stock service does not do it.
    pub async fn stock_up(&self, stock_service: &Client, product: &str, pieces: i64) {
        let path = format!("/api/v1/stock/{product}");
        let level = json!({"available": pieces});
        let answer = stock_service.put(&path, &level).await.expect("an answer");
        assert_eq!(answer.status, 200, "{product}: {}", answer.text);
        let stock = &mut self.lock().stock;
        stock.retain(|level| level.product != product);
        let product = product.to_owned();
        stock.push(StockLevel { product, pieces });
    }

    /// Looks at a product; whether the stock service could say something.
    ///
    /// # Panics
    /// It says that something else is wrong than that its database is away.
    pub async fn look_at_stock(&self, stock_service: &Client, product: &str) -> bool {
        let since = self.now();
        let path = format!("/api/v1/stock/{product}");
        let Ok(answer) = stock_service.try_get(&path).await else {
            return false;
        };
        if answer.status == 503 {
            return false;
        }
        assert_eq!(answer.status, 200, "{product}: {}", answer.text);
        let stock = answer.json();
        let pieces = |name: &str| stock[name].as_i64().expect("a number of pieces");
        let row = StockRow {
            product: product.to_owned(),
            available: pieces("available"),
            reserved: pieces("reserved"),
            shipped: pieces("shipped"),
        };
        let at = self.now();
        let seen = Observation { since, at, row };
        self.lock().observations.push(seen);
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
