//! Customers, and strangers who write to the log themselves. Each one's choices come from the seed; when they are
//! made, and so what becomes of them, depends on the answers and on the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base_domains::OrderId;
use base_domains::OrderStatus::{Cancelled, Paid, Pending, Reserved};
use fastrand::Rng;
use integration_tests::history::{Attempt, Injected, Outcome, Recorder};
use integration_tests::log::Log;
use integration_tests::traffic::Wish;
use integration_tests::{Client, System};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::{Builder, Uuid};

use crate::world::STOCK;

const CUSTOMERS: u64 = 6;
/// Between two orders of a customer, in milliseconds.
const BETWEEN: std::ops::Range<u64> = 200..800;
/// How long a customer thinks before a cancellation: some orders are shipped by then.
const DOUBT: std::ops::Range<u64> = 0..1500;
/// Before the same is tried again.
const AGAIN: Duration = Duration::from_millis(600);
/// How often, at most.
const TRIES: usize = 5;
/// Orders that a stranger knows of.
const NEWEST: usize = 3;
/// Between two looks at the stock.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Everybody who acts until the end.
pub(crate) struct Load {
    ended: Arc<AtomicBool>,
    everybody: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(system: &System, recorder: &Recorder, seed: u64) -> Self {
        // One stream each: with a sum for a seed, a customer would do what its neighbour does under the next seed.
        let mut streams = Rng::with_seed(seed);
        let mut load = Self {
            ended: Arc::default(),
            everybody: JoinSet::new(),
        };
        let mut order_services = vec![system.order.clone()];
        order_services.extend(system.others.get("order-1").cloned());
        for _ in 0..CUSTOMERS {
            let customer = Customer {
                order_services: order_services.clone(),
                recorder: recorder.clone(),
                random: streams.fork(),
            };
            load.everybody.spawn(customer.act(Arc::clone(&load.ended)));
        }
        let stranger = Stranger {
            log: system.log.clone(),
            recorder: recorder.clone(),
            random: streams.fork(),
        };
        load.everybody.spawn(stranger.act(Arc::clone(&load.ended)));
        for stock_service in system.stock.clone() {
            let (recorder, ended) = (recorder.clone(), Arc::clone(&load.ended));
            load.everybody.spawn(async move {
                while !ended.load(Ordering::SeqCst) {
                    for (product, _) in STOCK {
                        recorder.look_at_stock(&stock_service, product).await;
                    }
                    sleep(LOOK_AGAIN).await;
                }
            });
        }
        load
    }

    /// Waits for what is under way.
    pub(crate) async fn end(mut self) {
        self.ended.store(true, Ordering::SeqCst);
        while let Some(one) = self.everybody.join_next().await {
            one.expect("nobody who panics");
        }
    }
}

struct Customer {
    order_services: Vec<Client>,
    recorder: Recorder,
    random: Rng,
}

impl Customer {
    async fn act(mut self, ended: Arc<AtomicBool>) {
        while !ended.load(Ordering::SeqCst) {
            let body = self.order();
            let attempt = match self.random.u8(..10) {
                0..5 => self.place(&body).await,
                5..8 => self.place_keyed(&body).await,
                _ => self.put(&body).await,
            };
            if let Some(order_id) = attempt.order_id
                && attempt.outcome != Outcome::Failed
                && self.random.u8(..4) == 0
            {
                self.cancel(order_id).await;
            }
            sleep(Duration::from_millis(self.random.u64(BETWEEN))).await;
        }
    }

    /// One in twenty breaks a rule. Half have an address, and some several lines, of products that all customers want.
    fn order(&mut self) -> Value {
        let wish = Wish::number(self.random.usize(..));
        let cents = match self.random.u8(..10) {
            0 => 2, // declined
            1 => 3, // answered at the second try, which is the first that has an effect
            2 => 4, // the answer to the first try is lost
            _ => 0,
        };
        let qty = if self.random.u8(..20) == 0 {
            0
        } else {
            wish.qty
        };
        let line = |name: &str, qty: i64, cents: i32| {
            let price = 10.0 + f64::from(cents) / 100.0;
            json!({"name": name, "qty": qty, "price": price})
        };
        // The total has these cents.
        let mut order = match wish.qty {
            1 => line(wish.product, qty, cents),
            _ => {
                let other = ["book order", "notebook"].into_iter();
                let other = other.filter(|other| *other != wish.product);
                let others = other.map(|other| line(other, 1, cents));
                let lines = [line(wish.product, qty, 0)].into_iter().chain(others);
                json!({"items": lines.collect::<Vec<_>>()})
            }
        };
        if self.random.bool() {
            let number = self.random.u8(..4);
            order["email"] = json!(format!("customer-{number}@example.org"));
        }
        order
    }

    /// Under no key. Where the answer names the order, it can be tried again.
    async fn place(&mut self, body: &Value) -> Attempt {
        let order_service = self.one();
        let attempt = self.recorder.place(&order_service, body).await;
        match (attempt.outcome, attempt.order_id) {
            (Outcome::Unknown, Some(order_id)) if self.random.bool() => {
                self.put_as(order_id, body).await
            }
            _ => attempt,
        }
    }

    async fn place_keyed(&mut self, body: &Value) -> Attempt {
        let key = self.uuid().to_string();
        let mut attempt;
        let mut tries = 0;
        loop {
            let order_service = self.one();
            let trying = self.recorder.place_keyed(&order_service, &key, body);
            attempt = trying.await;
            tries += 1;
            // Some do not care any more.
            if attempt.outcome != Outcome::Unknown || tries == TRIES || self.random.u8(..5) == 0 {
                break;
            }
            sleep(AGAIN).await;
        }
        if self.random.u8(..20) == 0 {
            let (order_service, other) = (self.one(), self.order());
            let trying = self.recorder.place_keyed(&order_service, &key, &other);
            trying.await;
        }
        attempt
    }

    async fn put(&mut self, body: &Value) -> Attempt {
        let order_id = self.uuid().to_string().parse().unwrap();
        self.put_as(order_id, body).await
    }

    async fn put_as(&mut self, order_id: OrderId, body: &Value) -> Attempt {
        let mut tries = 0;
        loop {
            let order_service = self.one();
            let trying = self.recorder.put(&order_service, order_id, body);
            let attempt = trying.await;
            tries += 1;
            if attempt.outcome != Outcome::Unknown || tries == TRIES {
                return attempt;
            }
            sleep(AGAIN).await;
        }
    }

    async fn cancel(&mut self, order_id: OrderId) {
        match self.random.u8(..3) {
            // However slow the machine is, somebody gets money back.
            0 => self.until_paid(order_id).await,
            _ => sleep(Duration::from_millis(self.random.u64(DOUBT))).await,
        }
        for _ in 0..TRIES {
            let order_service = self.one();
            let trying = self.recorder.cancel(&order_service, order_id);
            if trying.await.outcome == Outcome::Ok {
                return;
            }
            sleep(AGAIN).await;
        }
    }

    /// Or until it is not worth waiting any longer.
    async fn until_paid(&mut self, order_id: OrderId) {
        let path = format!("/api/v1/orders/{order_id}?wait=5s&until=PAID");
        self.one().try_get(&path).await.ok();
    }

    /// One of the instances.
    fn one(&mut self) -> Client {
        let one = self.random.usize(..self.order_services.len());
        self.order_services[one].clone()
    }

    fn uuid(&mut self) -> Uuid {
        random_uuid(&mut self.random)
    }
}

/// Writes the tutorial's records, and some that nobody can use.
struct Stranger {
    log: Log,
    recorder: Recorder,
    random: Rng,
}

impl Stranger {
    async fn act(mut self, ended: Arc<AtomicBool>) {
        while !ended.load(Ordering::SeqCst) {
            let appended = match self.random.u8(..4) {
                0 => {
                    let record = self.bare();
                    self.recorder.inject(&self.log, record).await
                }
                1 => {
                    let record = self.spoilt();
                    self.recorder.poison(&self.log, record).await
                }
                _ => {
                    let record = self.poison();
                    self.recorder.poison(&self.log, record).await
                }
            };
            if appended.place.is_none() {
                // A producer that failed for good would append nothing any more.
                self.log = self.log.afresh();
            }
            sleep(Duration::from_millis(self.random.u64(500..2500))).await;
        }
    }

    fn bare(&mut self) -> Injected {
        let (order_id, wish) = (self.uuid(), Wish::number(self.random.usize(..)));
        let order =
            json!({"orderId": order_id, "name": wish.product, "qty": wish.qty, "price": 10.0});
        let message = "order status is in pending state";
        let value = json!({"message": message, "status": "PENDING", "order": order});
        Injected {
            value: Some(value.to_string().into_bytes()),
            ..Injected::default()
        }
    }

    /// An event without a body, of an order that was placed a moment ago: it moves the order on, or comes too late.
    fn spoilt(&mut self) -> Injected {
        let accepted = self.recorder.accepted();
        let newest = accepted.len().saturating_sub(NEWEST);
        let Some(order_id) = self.random.choice(&accepted[newest..]) else {
            return self.poison();
        };
        let statuses = [Pending, Reserved, Paid, Cancelled];
        let status = self.random.choice(statuses).expect("one of them");
        Injected::spoilt(*order_id, status)
    }

    /// Each with a number of its own, so that it is known again.
    fn poison(&mut self) -> Injected {
        let number = self.uuid();
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let (headers, value) = match self.random.u8(..3) {
            0 => (vec![], format!("no event {number}").into_bytes()),
            1 => {
                let event = [
                    header("ce_type", "order.paid"),
                    header("ce_subject", "nobody"),
                ];
                (
                    event.to_vec(),
                    format!("{{\"n\":\"{number}\"}}").into_bytes(),
                )
            }
            _ => {
                let mut bytes = vec![0xff, 0xfe];
                bytes.extend(number.as_bytes());
                (vec![], bytes)
            }
        };
        Injected {
            key: (self.random.bool()).then(|| number.to_string().into_bytes()),
            headers,
            value: Some(value),
            ..Injected::default()
        }
    }

    fn uuid(&mut self) -> Uuid {
        random_uuid(&mut self.random)
    }
}

fn random_uuid(random: &mut Rng) -> Uuid {
    Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid()
}
