//! The points of the order service between a request and its answer, and of the deadline.

use std::time::Instant;

use integration_tests::Client;
use integration_tests::invariants::Wish;
use serde_json::json;
use test_support::{Test, test};
use tokio::task::LocalSet;
use uuid::Uuid;

use crate::bench::{Bench, cell};
use crate::rows::{CANCELLING, OVERDUE, PLACING};
use crate::table::{Blow, MODES, note};

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(no_order_is_lost_or_doubled_when_the_order_service_dies, no database).threads(2)]
}

const WISH: Wish = Wish {
    product: "book order",
    qty: 2,
};
/// The sandbox gateway answers at the second try.
const PAID_LATE: f64 = 10_000.03;

async fn no_order_is_lost_or_doubled_when_the_order_service_dies() {
    let (mut failed, mut bench) = (Vec::new(), None);
    for point in PLACING.into_iter().chain(CANCELLING).chain([OVERDUE]) {
        let started = Instant::now();
        let scenario = async move |bench: &mut Bench| {
            bench.end("order").await;
            match point {
                OVERDUE => overdue(bench).await,
                _ if CANCELLING.contains(&point) => cancelling(bench, point).await,
                _ => placing(bench, point).await,
            }
            bench.verify(&["order", "orders-view"]).await;
        };
        let ended = cell(bench.take(), MODES[0], scenario);
        bench = LocalSet::new().run_until(ended).await;
        note(point, MODES[0], bench.is_some());
        println!("{point}: {:.1?}", started.elapsed());
        if bench.is_none() {
            failed.push(point);
        }
    }
    assert_eq!(failed, [""; 0]);
}

/// Who does not know what became of an order repeats it under its key: it is the same order.
async fn placing(bench: &mut Bench, point: &'static str) {
    bench.arm("order", point, Blow::Abort).await;
    let key = Uuid::new_v4().to_string();
    let nothing = place(&bench.system.order, &key).await;
    assert!(nothing.is_none(), "an answer although it died");
    bench.until_struck("order", point, Blow::Abort).await;
    bench.system.spawn("order").await;
    bench.system.until_ready().await;
    let first = place(&bench.system.order, &key).await.unwrap();
    let second = place(&bench.system.order, &key).await.unwrap();
    assert_eq!(first, second);
    bench.asked.wishes.insert(first, WISH);
}

async fn place(client: &Client, key: &str) -> Option<String> {
    let body = json!({"name": WISH.product, "qty": WISH.qty, "price": PAID_LATE});
    let headers = [("idempotency-key", key)];
    let answer = client.post("/api/v1/orders", &body, &headers).await.ok()?;
    assert_eq!(answer.status, 201, "{}", answer.text);
    Some(answer.member("orderId"))
}

/// A cancellation that was answered by nobody is made, or can be repeated.
async fn cancelling(bench: &mut Bench, point: &'static str) {
    bench.arm("order", point, Blow::Abort).await;
    bench.system.until_ready().await;
    let key = Uuid::new_v4().to_string();
    let order_id = place(&bench.system.order, &key).await.unwrap();
    bench.asked.wishes.insert(order_id.clone(), WISH);
    let path = format!("/api/v1/orders/{order_id}/cancel");
    let nothing = bench.system.order.post(&path, &json!({}), &[]).await;
    assert!(nothing.is_err(), "an answer although it died");
    bench.until_struck("order", point, Blow::Abort).await;
    bench.system.spawn("order").await;
    bench.system.until_ready().await;
    let answer = bench.system.order.post(&path, &json!({}), &[]).await;
    let end = bench.system.ended(&order_id).await;
    let expected = match end["status"].as_str() {
        Some("CANCELLED") => 200,
        _ => 409,
    };
    assert_eq!(answer.unwrap().status, expected, "{end}");
}

/// Nobody pays, and the order service dies with the cancellation stored and not published.
async fn overdue(bench: &mut Bench) {
    bench.end("payment").await;
    let failpoints = format!("{OVERDUE}=1*return(abort)");
    let settings = [("FAILPOINTS", &*failpoints), ("ORDER_DEADLINE", "1s")];
    bench.system.spawn_with("order", &settings).await;
    let key = Uuid::new_v4().to_string();
    let order_id = place(&bench.system.order, &key).await.unwrap();
    bench.asked.wishes.insert(order_id.clone(), WISH);
    bench.until_struck("order", OVERDUE, Blow::Abort).await;
    bench.system.spawn("order").await;
    bench.system.spawn("payment").await;
    let end = bench.system.ended(&order_id).await;
    assert_eq!(
        (&end["status"], &end["reason"]),
        (&json!("CANCELLED"), &json!("deadline"))
    );
}
