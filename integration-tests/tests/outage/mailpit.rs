//! Mailpit is stopped while orders are placed.

use std::time::{Duration, Instant};

use integration_tests::aftermath::{MAILS, kept_every_promise};
use integration_tests::broker::containers;
use integration_tests::history::{Kind, Recorder};
use integration_tests::mail::Mail;
use integration_tests::system::{PROCESSES, order};
use integration_tests::{System, SystemBuilder, eventually};
use serde_json::Value;
use test_support::containers::Mailpit;
use test_support::{Test, test};

use crate::support::{ALONE, logged, outage, rebalances};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(mail_waits_while_mailpit_is_gone_and_nothing_else_does, no database)
            .threads(2)
            .needs(containers()),
    ]
}

async fn mail_waits_while_mailpit_is_gone_and_nothing_else_does() {
    let _alone = ALONE.lock().await;
    let mailpit = Mailpit::start_to_be_stopped().unwrap();
    let mut system = SystemBuilder::new()
        .mail_to(Mail::to(&mailpit))
        .set("EMAIL_RETRY_MAX_DELAY", "5s")
        // Nobody is to leave a group here, however slow the machine is.
        .set("KAFKA_SESSION_TIMEOUT", "30s")
        .start()
        .await;
    let rebalances_before = rebalances(&mut system);
    let paused_before = logged(&mut system, "Partitions paused");
    let recorder = Recorder::new();
    let mut orders = vec![shipped_without_mail(&system, &recorder).await];
    // Handed over before the outage: a mail whose reply is lost would rightly come twice.
    each_arrives_once(&system, &orders[0]).await;

    recorder.interrupted("mailpit", Kind::End);
    mailpit.stop().unwrap();
    let gone_since = Instant::now();
    // At least one, however short the outage is.
    while orders.len() == 1 || gone_since.elapsed() < outage() {
        orders.push(shipped_without_mail(&system, &recorder).await);
        all_are_ready(&system).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let waiting = waiting_mail(&system, &orders[1]).await;
    assert!(waiting["nextTryAt"].is_string(), "{waiting}");
    mailpit.start_again().unwrap();

    for order_id in &orders {
        each_arrives_once(&system, order_id).await;
    }
    kept_every_promise(&system, &recorder).await;
    system.nobody_ended(&PROCESSES);
    assert_eq!(logged(&mut system, "Partitions paused"), paused_before);
    assert_eq!(rebalances(&mut system), rebalances_before);
    println!(
        "the mails of {} orders waited, and each arrived once",
        orders.len() - 1
    );
}

/// Places an order, which is shipped as ever; its id.
async fn shipped_without_mail(system: &System, recorder: &Recorder) -> String {
    let placed = recorder.place(&system.order, &order("book order", 1)).await;
    let order_id = placed.order_id.unwrap().to_string();
    assert_eq!(system.ended(&order_id).await["status"], "SHIPPED");
    order_id
}

async fn all_are_ready(system: &System) {
    for client in system.clients() {
        let answer = client.get("/health/ready").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}

/// A mail of an order, as it waits after it failed.
async fn waiting_mail(system: &System, order_id: &str) -> Value {
    eventually("attempt that failed", || async {
        let path = format!("/api/v1/emails?orderId={order_id}");
        let listed = system.email.get(&path).await.json();
        let mut mails = listed["emails"].as_array()?.iter();
        let tried = mails.find(|mail| mail["lastError"].is_string() && mail["state"] == "due");
        tried.cloned()
    })
    .await
}

async fn each_arrives_once(system: &System, order_id: &str) {
    let mails = system.mails(order_id, MAILS).await;
    assert_eq!(mails.len(), MAILS, "{order_id}");
    for mail in mails {
        let message_id = mail["messageId"].as_str().unwrap();
        let arrived = system.mail.arrived(message_id).await;
        assert_eq!(arrived.len(), 1, "{message_id}");
    }
}
