//! Who orders: places an order under an id of its own until that is acknowledged, and sometimes
//! cancels it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base_domains::OrderId;
use fastrand::Rng;
use integration_tests::Client;
use integration_tests::history::Recorder;
use integration_tests::traffic::Wish;
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

pub(crate) struct Customer {
    order_service: Client,
    recorder: Recorder,
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
    pub(crate) fn new(order_service: Client, recorder: Recorder, random: Rng) -> Self {
        Self {
            order_service,
            recorder,
            random,
        }
    }

    pub(crate) async fn order_all(mut self, orders: Arc<Orders>) {
        while orders.take() {
            self.order_one().await;
            orders.placed.fetch_add(1, Ordering::SeqCst);
        }
    }

    async fn order_one(&mut self) {
        let order_id = Builder::from_random_bytes(self.random.u128(..).to_be_bytes());
        let order_id = OrderId::new(order_id.into_uuid());
        let wish = Wish::number(self.random.usize(..));
        let body = json!({"name": wish.product, "qty": wish.qty, "price": self.price(wish.qty)});
        // Whatever the answer was, or if there was none: the same again makes no second order.
        loop {
            let placed = self.recorder.put(&self.order_service, order_id, &body);
            match placed.await.answer.map(|answer| answer.status) {
                Some(201) => break,
                // Not confirmed, or the service is away.
                Some(503) | None => tokio::time::sleep(LOOK_AGAIN).await,
                Some(other) => panic!("{order_id} was answered {other}"),
            }
        }
        if self.random.u8(..4) == 0 {
            self.cancel(order_id).await;
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

    async fn cancel(&mut self, order_id: OrderId) {
        if self.random.u8(..4) == 0 {
            // Too late, however slow the machine is.
            self.until_ended(order_id).await;
        } else {
            let doubt = Duration::from_millis(self.random.u64(..LONGEST_DOUBT));
            tokio::time::sleep(doubt).await;
        }
        loop {
            let cancelled = self.recorder.cancel(&self.order_service, order_id);
            match cancelled.await.answer.map(|answer| answer.status) {
                Some(200 | 409) => return,
                // Not read by the order service yet, not confirmed in time, or the service is away.
                Some(404 | 503) | None => tokio::time::sleep(LOOK_AGAIN).await,
                Some(other) => panic!("cancelling {order_id} was answered {other}"),
            }
        }
    }

    async fn until_ended(&self, order_id: OrderId) {
        let path = format!("/api/v1/orders/{order_id}?wait=5s");
        loop {
            if let Ok(answer) = self.order_service.try_get(&path).await
                && answer.status == 200
                && ["SHIPPED", "REJECTED"].contains(&answer.member("status").as_str())
            {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
