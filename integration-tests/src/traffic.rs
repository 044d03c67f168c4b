//! Orders placed by several clients at a bounded rate, with every answer kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base_domains::OrderId;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use crate::client::Client;
use crate::history::{Attempt, Operation, Recorder};
use crate::system::{System, order};

/// Between an answer and the next order of the same client.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two looks at the stock.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// What an order asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Product.
    pub product: &'static str,
    /// Pieces.
    pub qty: i64,
}

impl Wish {
    /// Every product of the catalogue that can be sold out.
    pub const PRODUCTS: [&str; 3] = ["book order", "notebook", "last copy"];

    /// The `n`-th of a sequence that asks for each of them.
    #[must_use]
    pub fn number(n: usize) -> Self {
        let (product, qty) = match n % 4 {
            0 => ("book order", 1),
            1 => ("book order", 2),
            2 => ("notebook", 2),
            _ => ("last copy", 1),
        };
        Self { product, qty }
    }
}

/// Clients that place orders until [`Traffic::end`].
#[derive(Debug)]
pub struct Traffic {
    ended: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    clients: JoinSet<Vec<Placed>>,
    watcher: JoinHandle<usize>,
}

/// One order and how it was answered.
#[derive(Debug)]
struct Placed {
    sent: Instant,
    took: Duration,
    attempt: Attempt,
}

/// What became of an order.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Under an `Idempotency-Key`, which the order service keeps in its database.
    pub keyed: bool,
    /// When.
    pub sent: Instant,
    /// How long the answer took.
    pub took: Duration,
}

/// All answers, by order.
#[derive(Debug)]
pub struct Answers {
    /// 201.
    pub accepted: BTreeMap<OrderId, Answered>,
    /// 503.
    pub unknown: BTreeMap<OrderId, Answered>,
}

impl Traffic {
    /// So many clients of the order service, each with one request at a time. Meanwhile the stock
    /// is watched. `recorder` notes it all.
    #[must_use]
    pub fn start(system: &System, recorder: &Recorder, clients: usize) -> Self {
        Self::start_keyed(system, recorder, clients, 0)
    }

    /// The same, and so many of the clients order under keys.
    #[must_use]
    pub fn start_keyed(system: &System, recorder: &Recorder, clients: usize, keyed: usize) -> Self {
        let ended: Arc<AtomicBool> = Arc::default();
        let watching = watch_stock(
            recorder.clone(),
            system.stock[0].clone(),
            Arc::clone(&ended),
        );
        let mut traffic = Self {
            ended,
            accepted: Arc::default(),
            clients: JoinSet::new(),
            watcher: tokio::spawn(watching),
        };
        for client in 0..clients {
            let (ended, accepted) = (Arc::clone(&traffic.ended), Arc::clone(&traffic.accepted));
            let (order_service, recorder) = (system.order.clone(), recorder.clone());
            traffic.clients.spawn(async move {
                let mut all = Vec::new();
                while !ended.load(Ordering::SeqCst) {
                    let wish = Wish::number(client + clients * all.len());
                    let placed = place(&recorder, &order_service, wish, client < keyed).await;
                    let accepts = usize::from(placed.status() == 201);
                    accepted.fetch_add(accepts, Ordering::SeqCst);
                    all.push(placed);
                    tokio::time::sleep(PAUSE).await;
                }
                all
            });
        }
        traffic
    }

    /// Orders accepted so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Waits for the answers of what is under way; all answers.
    ///
    /// # Panics
    /// An order was not answered, or otherwise than [`Answers`] says, or nobody could look at the stock.
    pub async fn end(mut self) -> Answers {
        self.ended.store(true, Ordering::SeqCst);
        let mut answers = Answers {
            accepted: BTreeMap::new(),
            unknown: BTreeMap::new(),
        };
        while let Some(placed) = self.clients.join_next().await {
            for placed in placed.expect("a client that does not panic") {
                answers.sort_in(&placed);
            }
        }
        let looks = self.watcher.await.expect("somebody who watches");
        assert!(looks > 0, "nobody looked at the stock");
        answers
    }
}

/// Looks at the products until `ended`; how often it saw something, since without its database the stock service
/// answers 503.
async fn watch_stock(recorder: Recorder, stock_service: Client, ended: Arc<AtomicBool>) -> usize {
    let mut looks = 0;
    while !ended.load(Ordering::SeqCst) {
        for product in Wish::PRODUCTS {
            let seen = recorder.look_at_stock(&stock_service, product).await;
            looks += usize::from(seen);
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    looks
}

async fn place(recorder: &Recorder, client: &Client, wish: Wish, keyed: bool) -> Placed {
    let (sent, body) = (Instant::now(), order(wish.product, wish.qty));
    let attempt = match keyed {
        true => {
            let key = Uuid::new_v4().to_string();
            recorder.place_keyed(client, &key, &body).await
        }
        false => recorder.place(client, &body).await,
    };
    Placed {
        sent,
        took: sent.elapsed(),
        attempt,
    }
}

impl Placed {
    fn status(&self) -> u16 {
        let answer = self.attempt.answer.as_ref();
        answer.expect("an answer to every order").status
    }
}

impl Answers {
    /// Invariant 1: accepted, or unknown and then with the order id.
    fn sort_in(&mut self, placed: &Placed) {
        let group = match placed.status() {
            201 => &mut self.accepted,
            503 => &mut self.unknown,
            other => panic!("{other}: {:?}", placed.attempt.answer),
        };
        let order_id = placed.attempt.order_id.expect("an order that is named");
        let answered = Answered {
            keyed: placed.attempt.operation != Operation::Place,
            sent: placed.sent,
            took: placed.took,
        };
        let before = group.insert(order_id, answered);
        assert!(before.is_none(), "every order has an id of its own");
    }

    /// The longest that anybody waited for an answer.
    #[must_use]
    pub fn slowest(&self) -> Duration {
        let all = self.accepted.values().chain(self.unknown.values());
        all.map(|answered| answered.took).max().unwrap_or_default()
    }
}
