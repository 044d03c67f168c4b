//! The checker on a real run: nothing is broken, and what is made to look broken is found.

use std::time::Duration;

use base_domains::{OrderId, OrderStatus};
use integration_tests::history::{
    History, Injected, Invariant, Kind, Outcome, Recorder, check, collect,
};
use integration_tests::receiver::Registered;
use integration_tests::system::order;
use integration_tests::{Signal, System, SystemBuilder, eventually};
use serde_json::json;
use test_support::{Test, test};
use uuid::Uuid;

const DRAIN: Duration = Duration::from_secs(30);

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_run_with_poison_cancellations_and_kills_keeps_every_promise_and_a_planted_breach_is_found, no database)
            .threads(2),
    ]
}

async fn a_run_with_poison_cancellations_and_kills_keeps_every_promise_and_a_planted_breach_is_found()
 {
    let mut system = SystemBuilder::new()
        .keep_mail()
        .set("SHIPPING_DISPATCH_DELAY", "300ms")
        .set("PAYMENT_TIMEOUT", "200ms")
        .set("PAYMENT_RETRY_MAX_DELAY", "100ms")
        .start()
        .await;
    let recorder = Recorder::new();
    let receiver = Registered::with(&system).await;
    inject(&system, &recorder).await;
    place_all(&system, &recorder).await;
    for process in ["stock-0", "email", "order"] {
        kill(&mut system, &recorder, process).await;
        place_all(&system, &recorder).await;
    }
    let mut history = collect(&system, &recorder).await;
    history.webhooks.push(receiver.webhook());
    let found = check(&history);
    assert!(found.is_empty(), "{found:#?}");
    println!(
        "{} attempts, {} records, {} mails, {} notifications: nothing is broken",
        history.attempts.len(),
        history.log.len(),
        history.mails.len(),
        history.webhooks[0].told.len()
    );
    plant(&history);
}

/// The tutorial's record, and two that nobody can read.
async fn inject(system: &System, recorder: &Recorder) {
    let order_id = Uuid::new_v4();
    let event = json!({
        "message": "order status is in pending state",
        "status": "PENDING",
        "order": {"orderId": order_id, "name": "notebook", "qty": 1, "price": 3.5},
    });
    let bare = Injected {
        value: Some(event.to_string().into_bytes()),
        ..Injected::default()
    };
    let placed = recorder.inject(&system.log, bare).await.place;
    assert!(placed.is_some(), "the tutorial's record is not there");
    let garbage = Injected {
        key: Some(b"somebody".to_vec()),
        headers: vec![("mine".to_owned(), b"kept".to_vec())],
        value: Some(b"\xff garbage \0".to_vec()),
        ..Injected::default()
    };
    for poison in [garbage, Injected::default()] {
        let poison = recorder.poison(&system.log, poison).await;
        assert!(poison.place.is_some(), "the poison is not there");
    }
}

/// Orders that are shipped, declined, refused, repeated and cancelled.
async fn place_all(system: &System, recorder: &Recorder) {
    let mut mailed = order("book order", 2);
    mailed["email"] = json!("customer@example.org");
    let placed = recorder.place(&system.order, &mailed).await;
    spoil(system, recorder, placed.order_id.unwrap()).await;
    for (product, price) in [
        ("book order", 10.02),
        ("book order", 10.04),
        ("book of sand", 1.0),
    ] {
        let body = json!({"name": product, "qty": 1, "price": price});
        recorder.place(&system.order, &body).await;
    }
    let bad = recorder.place(&system.order, &order("book order", 0)).await;
    assert_eq!(bad.outcome, Outcome::Failed);
    let (key, id) = (Uuid::new_v4().to_string(), Uuid::new_v4());
    for _ in 0..3 {
        recorder
            .place_keyed(&system.order, &key, &order("notebook", 2))
            .await;
        recorder
            .put(&system.order, id.to_string().parse().unwrap(), &mailed)
            .await;
    }
    for pause in [0, 100, 400] {
        let placed = recorder.place(&system.order, &order("book order", 1)).await;
        let Some(order_id) = placed.order_id else {
            continue;
        };
        // The scenario itself: some are reserved, some are paid, some are shipped by then.
        tokio::time::sleep(Duration::from_millis(pause)).await;
        eventually("answer to a cancellation", || async {
            let cancelled = recorder.cancel(&system.order, order_id).await;
            let answered = cancelled.answer.map(|answer| answer.status);
            [Some(200), Some(409)].contains(&answered).then_some(())
        })
        .await;
    }
    assert!(recorder.look_at_stock(&system.stock[0], "book order").await);
}

/// Appends events of this order that have a heading and no body: one that comes too late, and one that may be the
/// first to say so.
async fn spoil(system: &System, recorder: &Recorder, order_id: OrderId) {
    for status in [OrderStatus::Pending, OrderStatus::Paid] {
        let poison = Injected::spoilt(order_id, status);
        let poison = recorder.poison(&system.log, poison).await;
        assert!(poison.place.is_some(), "the poison is not there");
    }
}

/// Kills a service and lets it go on; meanwhile somebody orders.
async fn kill(system: &mut System, recorder: &Recorder, process: &str) {
    recorder.interrupted(process, Kind::Kill);
    system.process(process).signal(Signal::Kill);
    recorder.place(&system.order, &order("book order", 1)).await;
    system.process(process).ended(DRAIN).await;
    system.spawn(process).await;
    system.until_ready().await;
}

/// The same history with one thing missing or another.
fn plant(history: &History) {
    assert!(history.log.len() > 20, "{} records", history.log.len());
    for gone in 0..history.log.len() {
        let mut without = history.clone();
        without.log.remove(gone);
        assert!(
            finds(&without, Invariant::LogIsWhole) || finds(&without, Invariant::OffsetIsInTheLog),
            "nobody misses {:?}",
            history.log[gone]
        );
    }
    let mut unmailed = history.clone();
    unmailed.mails.clear();
    assert!(finds(&unmailed, Invariant::MailIsSent));
    let mut unnotified = history.clone();
    unnotified.webhooks[0].told.clear();
    assert!(finds(&unnotified, Invariant::NotificationIsSent));
    let mut free = history.clone();
    free.databases.gateway.clear();
    assert!(finds(&free, Invariant::MoneyIsConserved));
    let mut undelivered = history.clone();
    undelivered.dead_letters.clear();
    assert!(finds(&undelivered, Invariant::PoisonIsDeadLettered));
}

fn finds(history: &History, invariant: Invariant) -> bool {
    let found = check(history);
    found
        .iter()
        .any(|violation| violation.invariant == invariant)
}
