//! The points of the order service between a request and its answer, and of the deadline.

use std::time::{Duration, Instant};

use integration_tests::eventually;
use integration_tests::history::{Attempt, Kind, Outcome};
use serde_json::json;
use test_support::{Test, test};
use tokio::task::LocalSet;
use uuid::Uuid;

use crate::bench::{Bench, cell};
use crate::load::{PAID_LATE, order};
use crate::rows::{CANCELLING, OVERDUE, PLACING};
use crate::table::{Blow, MODES, note};

/// Of an order that nobody pays.
const DEADLINE: Duration = Duration::from_secs(1);

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(no_order_is_lost_or_doubled_when_the_order_service_dies, no database).threads(2)]
}

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
            bench.verify().await;
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
    bench.system.until_ready().await;
    let key = Uuid::new_v4().to_string();
    assert_eq!(place(bench, &key).await.outcome, Outcome::Unknown);
    bench.until_struck("order", point, Blow::Abort).await;
    bench.system.spawn("order").await;
    bench.system.until_ready().await;
    let first = certainly(async || place(bench, &key).await).await;
    let second = certainly(async || place(bench, &key).await).await;
    assert_eq!((first.outcome, second.outcome), (Outcome::Ok, Outcome::Ok));
    assert!(first.order_id.is_some());
    assert_eq!(first.order_id, second.order_id);
}

/// Asks until it is known what became of it.
async fn certainly(ask: impl AsyncFn() -> Attempt) -> Attempt {
    eventually("an answer that is certain", || async {
        let attempt = ask().await;
        (attempt.outcome != Outcome::Unknown).then_some(attempt)
    })
    .await
}

async fn place(bench: &Bench, key: &str) -> Attempt {
    let body = order("book order", PAID_LATE);
    bench
        .recorder
        .place_keyed(&bench.system.order, key, &body)
        .await
}

/// A cancellation that was answered by nobody is made, or can be repeated.
async fn cancelling(bench: &mut Bench, point: &'static str) {
    bench.arm("order", point, Blow::Abort).await;
    bench.system.until_ready().await;
    // Nobody pays, so it has not ended before.
    bench.end("payment").await;
    let placed = place(bench, &Uuid::new_v4().to_string()).await;
    let order_id = placed.order_id.unwrap();
    bench
        .system
        .reached(&order_id.to_string(), "RESERVED")
        .await;
    let nothing = bench.recorder.cancel(&bench.system.order, order_id).await;
    assert_eq!(nothing.answer, None, "it died");
    bench.until_struck("order", point, Blow::Abort).await;
    bench.system.spawn("order").await;
    let answer =
        certainly(async || bench.recorder.cancel(&bench.system.order, order_id).await).await;
    assert_eq!(answer.outcome, Outcome::Ok, "{answer:?}");
    let end = bench.system.ended(&order_id.to_string()).await;
    assert_eq!(end["status"], "CANCELLED");
    bench.system.spawn("payment").await;
}

/// Nobody pays, and the order service dies with the cancellation stored and not published.
async fn overdue(bench: &mut Bench) {
    bench.end("payment").await;
    bench.recorder.interrupted("order", Kind::Kill);
    bench.recorder.deadline(DEADLINE);
    let failpoints = format!("{OVERDUE}=1*return(abort)");
    let deadline = format!("{}s", DEADLINE.as_secs());
    let settings = [("FAILPOINTS", &*failpoints), ("ORDER_DEADLINE", &*deadline)];
    bench.system.spawn_with("order", &settings).await;
    let placed = place(bench, &Uuid::new_v4().to_string()).await;
    let order_id = placed.order_id.unwrap();
    bench.until_struck("order", OVERDUE, Blow::Abort).await;
    bench.system.spawn("order").await;
    let end = bench.system.ended(&order_id.to_string()).await;
    // Before, the log might have had PAID and SHIPPED first.
    bench.system.spawn("payment").await;
    assert_eq!(
        (&end["status"], &end["reason"]),
        (&json!("CANCELLED"), &json!("deadline"))
    );
}
