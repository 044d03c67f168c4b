//! A little load that reaches every crash point of the runtime: orders that are shipped, declined,
//! and cancelled while they are charged, and records that nobody can read.

use std::time::Duration;

use base_domains::OrderStatus;
use integration_tests::System;
use integration_tests::history::{Injected, Recorder};
use serde_json::{Value, json};

/// By the cents the sandbox gateway knows what to do.
pub(crate) const PRICE: f64 = 10_000.0;
const DECLINED: f64 = 10_000.02;
/// Paid at the second try, which is a second after the first: by then the offset of RESERVED is committed.
pub(crate) const PAID_LATE: f64 = 10_000.03;
/// Charged at once, which becomes known at the second try.
const ANSWERED_LATE: f64 = 10_000.04;
/// The charge is under way by then, and has no answer yet.
const UNTIL_CANCELLED: Duration = Duration::from_millis(300);

/// One of each kind, all at once: with and without an address, of one line and of several.
pub(crate) async fn some_of_everything(system: &System, recorder: &Recorder) {
    let client = &system.order;
    let (shipped, other) = (order("book order", PRICE), order("notebook", PRICE));
    let mut declined = order("book order", DECLINED);
    declined["email"] = json!("declined@example.org");
    let answered_late = order("notebook", ANSWERED_LATE);
    let cancelled = async {
        let placed = recorder.place(client, &answered_late).await;
        let order_id = placed.order_id.expect("an order that is named");
        // The scenario itself, not a wait for something.
        tokio::time::sleep(UNTIL_CANCELLED).await;
        recorder.cancel(client, order_id).await;
    };
    let spoilt = async {
        let placed = recorder.place(client, &other).await;
        let order_id = placed.order_id.expect("an order that is named");
        // One that comes too late, and one that may come first.
        for status in [OrderStatus::Pending, OrderStatus::Paid] {
            let poison = Injected::spoilt(order_id, status);
            recorder.poison(&system.log, poison).await;
        }
    };
    let poison = Injected {
        value: Some(b"\xff garbage \0".to_vec()),
        ..Injected::default()
    };
    let several = several();
    tokio::join!(
        recorder.place(client, &shipped),
        recorder.place(client, &several),
        recorder.place(client, &several),
        recorder.place(client, &declined),
        recorder.poison(&system.log, poison),
        cancelled,
        spoilt,
    );
}

/// Both products, for somebody who has an address.
fn several() -> Value {
    let item = |name: &str, qty: i64| json!({"name": name, "qty": qty, "price": PRICE});
    let items = [item("book order", 2), item("notebook", 1)];
    json!({"items": items, "email": "customer@example.org"})
}

/// One order, which is paid after everything before was committed.
pub(crate) async fn an_order_that_is_paid_late(system: &System, recorder: &Recorder) {
    let body = order("book order", PAID_LATE);
    recorder.place(&system.order, &body).await;
}

/// Some orders that come to their ends.
pub(crate) async fn orders_that_end(system: &System, recorder: &Recorder) {
    for _ in 0..3 {
        let body = order("book order", PRICE);
        let placed = recorder.place(&system.order, &body).await;
        if let Some(order_id) = placed.order_id {
            system.ended(&order_id.to_string()).await;
        }
    }
}

/// One piece of a product.
pub(crate) fn order(product: &str, price: f64) -> Value {
    json!({"name": product, "qty": 1, "price": price})
}
