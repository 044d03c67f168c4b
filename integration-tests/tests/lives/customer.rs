//! Who orders: places an order under an id of its own until that is acknowledged, and sometimes
//! cancels it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use integration_tests::Client;
use integration_tests::invariants::Wish;
use serde_json::json;
use uuid::Builder;

use crate::LOOK_AGAIN;

/// Longest wait before an order is cancelled: some are shipped by then.
const LONGEST_DOUBT: u64 = 800;

/// How many orders are still to be placed, by all customers together.
pub(crate) struct Orders {
    taken: AtomicUsize,
    placed: AtomicUsize,
    all: usize,
}

/// An order that was acknowledged.
pub(crate) struct Placed {
    pub(crate) order_id: String,
    pub(crate) wish: Wish,
    /// What the cancellation was answered with.
    pub(crate) cancelled: Option<Cancelled>,
}

/// The answer to a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// 200: it is CANCELLED.
    Yes,
    /// 409: it came to another end before.
    TooLate,
}

pub(crate) struct Customer {
    order_service: Client,
    random: Rng,
}

impl Orders {
    pub(crate) fn new(all: usize) -> Self {
        Self {
            taken: AtomicUsize::new(0),
            placed: AtomicUsize::new(0),
            all,
        }
    }

    /// Whether there is one more to be placed.
    fn take(&self) -> bool {
        self.taken.fetch_add(1, Ordering::SeqCst) < self.all
    }

    pub(crate) fn all_placed(&self) -> bool {
        self.placed.load(Ordering::SeqCst) >= self.all
    }
}

impl Customer {
    pub(crate) fn new(order_service: Client, seed: u64) -> Self {
        Self {
            order_service,
            random: Rng::with_seed(seed),
        }
    }

    pub(crate) async fn order_all(mut self, orders: Arc<Orders>) -> Vec<Placed> {
        let mut all = Vec::new();
        while orders.take() {
            all.push(self.order_one().await);
            orders.placed.fetch_add(1, Ordering::SeqCst);
        }
        all
    }

    async fn order_one(&mut self) -> Placed {
        let order_id = Builder::from_random_bytes(self.random.u128(..).to_be_bytes());
        let order_id = order_id.into_uuid().to_string();
        let wish = Wish::number(self.random.usize(..));
        let body = json!({"name": wish.product, "qty": wish.qty, "price": self.price(wish.qty)});
        let path = format!("/api/v1/orders/{order_id}");
        // Whatever the answer was, or if there was none: the same again makes no second order.
        loop {
            match self.order_service.put(&path, &body).await {
                Ok(answer) if answer.status == 201 => break,
                Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text),
                Err(_) => {} // the service is away
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let cancelled = match self.random.u8(..4) {
            0 => Some(self.cancel(&path).await),
            _ => None,
        };
        Placed {
            order_id,
            wish,
            cancelled,
        }
    }

    /// A price at which the sandbox answers to `qty` pieces in one of its ways.
    fn price(&mut self, qty: i64) -> f64 {
        let cents = match self.random.u8(..10) {
            0 => 2, // declined
            1 => 4, // answered at the second try: the first request is lost, or its answer
            _ => 0,
        };
        // So that the total has these cents.
        10.0 + cents as f64 / 100.0 / qty as f64
    }

    async fn cancel(&mut self, path: &str) -> Cancelled {
        let doubt = Duration::from_millis(self.random.u64(..LONGEST_DOUBT));
        tokio::time::sleep(doubt).await;
        let path = format!("{path}/cancel");
        loop {
            match self.order_service.post(&path, &json!({}), &[]).await {
                Ok(answer) if answer.status == 200 => {
                    assert_eq!(answer.member("status"), "CANCELLED", "{}", answer.text);
                    return Cancelled::Yes;
                }
                Ok(answer) if answer.status == 409 => return Cancelled::TooLate,
                // Not read by the order service yet, or not confirmed in time.
                Ok(answer) => assert!([404, 503].contains(&answer.status), "{}", answer.text),
                Err(_) => {}
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
