//! A little load that reaches every crash point of the runtime: orders that are shipped, declined,
//! and cancelled while they are charged, and a record that nobody can read.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_tests::invariants::Wish;
use integration_tests::{Client, System};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Two pieces of one product and one of another, which are shipped.
const SHIPPED: [Wish; 3] = [
    wish("book order", 1),
    wish("book order", 1),
    wish("notebook", 1),
];
/// By the cents the sandbox gateway knows what to do.
const PRICE: f64 = 10_000.0;
const DECLINED: f64 = 10_000.02;
const ANSWERED_LATE: f64 = 10_000.04;
/// Paid a second after it is reserved: by then the offset of RESERVED is committed.
const PAID_LATE: f64 = 10_000.03;
/// The charge is under way by then, and has no answer yet.
const UNTIL_CANCELLED: Duration = Duration::from_millis(300);

const fn wish(product: &'static str, qty: i64) -> Wish {
    Wish { product, qty }
}

/// What was asked of the system so far.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// By accepted order.
    pub(crate) wishes: BTreeMap<String, Wish>,
    /// Records that nobody can read, by partition and offset.
    pub(crate) poison: BTreeMap<(i32, i64), Vec<u8>>,
}

impl Asked {
    /// Places one of each kind, all at once.
    pub(crate) async fn more(&mut self, system: &System) {
        let mut requests = JoinSet::new();
        let prices = [PRICE; SHIPPED.len()].into_iter().zip(SHIPPED);
        for (price, wish) in prices.chain([(DECLINED, SHIPPED[0])]) {
            let client = system.order.clone();
            requests.spawn(async move { (place(&client, wish, price).await, wish) });
        }
        let client = system.order.clone();
        requests.spawn(async move {
            let order_id = place(&client, SHIPPED[2], ANSWERED_LATE).await;
            // The scenario itself, not a wait for something.
            tokio::time::sleep(UNTIL_CANCELLED).await;
            let path = format!("/api/v1/orders/{order_id}/cancel");
            let answer = client.post(&path, &json!({}), &[]).await.unwrap();
            // Cancelled, too late, or not known in time: a member may lose its partitions for a moment.
            assert!([200, 409, 503].contains(&answer.status), "{}", answer.text);
            (order_id, SHIPPED[2])
        });
        let value = format!("poison {}\0", self.poison.len()).into_bytes();
        let place = system.log.append_bare(&value).await;
        self.poison.insert(place, value);
        while let Some(placed) = requests.join_next().await {
            let (order_id, wish) = placed.unwrap();
            self.wishes.insert(order_id, wish);
        }
    }

    /// One order, which is paid after everything before was committed.
    pub(crate) async fn paid_late(&mut self, system: &System) {
        let order_id = place(&system.order, SHIPPED[0], PAID_LATE).await;
        self.wishes.insert(order_id, SHIPPED[0]);
    }

    /// Some orders that come to their ends.
    pub(crate) async fn that_end(&mut self, system: &System) {
        for wish in SHIPPED {
            let order_id = place(&system.order, wish, PRICE).await;
            self.wishes.insert(order_id.clone(), wish);
            system.ended(&order_id).await;
        }
    }
}

async fn place(client: &Client, wish: Wish, price: f64) -> String {
    let body: Value = json!({"name": wish.product, "qty": wish.qty, "price": price});
    let answer = client.post("/api/v1/orders", &body, &[]).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.member("orderId")
}
