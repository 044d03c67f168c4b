//! Orders placed by several clients at a bounded rate, with every answer kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};

use crate::client::{Answer, Client};
use crate::invariants::{Wish, watch_stock};
use crate::system::{System, order};

/// Between an answer and the next order of the same client.
const PAUSE: Duration = Duration::from_millis(100);

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
    wish: Wish,
    sent: Instant,
    took: Duration,
    answer: Answer,
}

/// What became of an order.
#[derive(Debug, Clone)]
pub struct Answered {
    /// What was ordered.
    pub wish: Wish,
    /// When.
    pub sent: Instant,
    /// How long the answer took.
    pub took: Duration,
}

/// All answers, by order id.
#[derive(Debug)]
pub struct Answers {
    /// 201.
    pub accepted: BTreeMap<String, Answered>,
    /// 503.
    pub unknown: BTreeMap<String, Answered>,
}

impl Traffic {
    /// So many clients of the order service, each with one request at a time. Meanwhile the stock
    /// is watched.
    #[must_use]
    pub fn start(system: &System, clients: usize) -> Self {
        let ended: Arc<AtomicBool> = Arc::default();
        let watching = watch_stock(system.stock[0].clone(), Arc::clone(&ended));
        let mut traffic = Self {
            ended,
            accepted: Arc::default(),
            clients: JoinSet::new(),
            watcher: tokio::spawn(watching),
        };
        for client in 0..clients {
            let (ended, accepted) = (Arc::clone(&traffic.ended), Arc::clone(&traffic.accepted));
            let order_service = system.order.clone();
            traffic.clients.spawn(async move {
                let mut all = Vec::new();
                while !ended.load(Ordering::SeqCst) {
                    let wish = Wish::number(client + clients * all.len());
                    let placed = place(&order_service, wish).await;
                    let accepts = usize::from(placed.answer.status == 201);
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

    /// Waits for the answers of what is under way; all answers, each checked.
    ///
    /// # Panics
    /// An order was not answered, or otherwise than [`Answers`] says, or stock was not conserved.
    pub async fn end(mut self) -> Answers {
        self.ended.store(true, Ordering::SeqCst);
        let mut answers = Answers {
            accepted: BTreeMap::new(),
            unknown: BTreeMap::new(),
        };
        while let Some(placed) = self.clients.join_next().await {
            for placed in placed.expect("a client that does not panic") {
                answers.sort_in(placed);
            }
        }
        let looks = self.watcher.await.expect("stock that is conserved");
        assert!(looks > 0, "nobody looked at the stock");
        answers
    }
}

async fn place(order_service: &Client, wish: Wish) -> Placed {
    let (sent, body) = (Instant::now(), order(wish.product, wish.qty));
    let answer = order_service.post("/api/v1/orders", &body, &[]).await;
    Placed {
        wish,
        sent,
        took: sent.elapsed(),
        answer: answer.expect("an answer to every order"),
    }
}

impl Answers {
    /// Invariant 1: accepted, or unknown and then with the order id and when to try again.
    fn sort_in(&mut self, placed: Placed) {
        let answer = placed.answer;
        let group = match answer.status {
            201 => &mut self.accepted,
            503 => {
                assert!(answer.retry_after.is_some(), "{}", answer.text);
                assert_eq!(answer.content_type, "application/problem+json");
                &mut self.unknown
            }
            other => panic!("{other}: {}", answer.text),
        };
        let order_id = answer.member("orderId");
        let answered = Answered {
            wish: placed.wish,
            sent: placed.sent,
            took: placed.took,
        };
        let before = group.insert(order_id, answered);
        assert!(before.is_none(), "every order has an id of its own");
    }

    /// Everything that was ordered, whatever the answer was.
    #[must_use]
    pub fn wishes(&self) -> BTreeMap<String, Wish> {
        let all = self.accepted.iter().chain(&self.unknown);
        all.map(|(id, answered)| (id.clone(), answered.wish))
            .collect()
    }

    /// The longest that anybody waited for an answer.
    #[must_use]
    pub fn slowest(&self) -> Duration {
        let all = self.accepted.values().chain(self.unknown.values());
        all.map(|answered| answered.took).max().unwrap_or_default()
    }
}
