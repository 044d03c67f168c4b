//! Thousands of orders, some declined and some cancelled, while every service is killed and restarted
//! again and again: each order comes to one end, the same everywhere, and its effects agree with it.
//!
//! `TEST_SEED` repeats the choices of a run, `TEST_SHORT` makes fewer orders.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod customer;
mod restarts;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use integration_tests::history::{Recorder, StockLevel, check, collect};
use integration_tests::invariants::nobody_ended;
use integration_tests::mail::Mail;
use integration_tests::pace::sized;
use integration_tests::system::PROCESSES;
use integration_tests::{System, SystemBuilder};
use serde_json::json;
use test_support::{Test, test};
use tokio::task::JoinSet;

use customer::{Customer, Orders};
use restarts::Restarts;

const ORDERS: usize = 5000;
const SHORT_ORDERS: usize = 600;
const CUSTOMERS: usize = 16;

/// What there is: the first two for nearly everybody, the last for nearly nobody.
const STOCK: [(&str, i64); 3] = [("book order", 9000), ("notebook", 1500), ("last copy", 1)];

async fn every_order_comes_to_one_end_whatever_is_killed_declined_or_cancelled() {
    let seed = seed();
    println!("TEST_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let mut system = SystemBuilder::new()
        .mail_to(Mail::Folder(folder.path().join("mail")))
        // Long enough that some cancellations meet a paid order, and some a shipped one.
        .set("SHIPPING_DISPATCH_DELAY", "300ms")
        // The sandbox lets some charges wait for so long.
        .set("PAYMENT_TIMEOUT", "200ms")
        .set("PAYMENT_RETRY_MAX_DELAY", "200ms")
        .set("PAYMENT_CONCURRENCY", "16")
        .set("PAYMENT_PAUSE_AFTER", "1000000")
        .start()
        .await;
    stock_up(&system).await;

    let recorder = Recorder::new();
    let (started, orders) = (
        Instant::now(),
        Arc::new(Orders::new(sized(ORDERS, SHORT_ORDERS))),
    );
    let mut customers = JoinSet::new();
    for n in 0..CUSTOMERS {
        let customer = Customer::new(
            system.order.clone(),
            recorder.clone(),
            seed.wrapping_add(n as u64),
        );
        customers.spawn(customer.order_all(Arc::clone(&orders)));
    }
    let restarts = Restarts::until(&mut system, &recorder, seed, || orders.all_placed()).await;
    while let Some(ended) = customers.join_next().await {
        ended.expect("a customer that does not panic");
    }
    let placing = started.elapsed();

    system.until_ready().await;
    let mut history = collect(&system, &recorder).await;
    history
        .stock
        .extend(STOCK.map(|(product, pieces)| StockLevel {
            product: product.to_owned(),
            pieces,
        }));
    let found = check(&history);
    assert!(found.is_empty(), "{found:#?}");
    nobody_ended(&mut system, &PROCESSES);
    let accepted = verdict::accepted(&history);
    assert_eq!(accepted, sized(ORDERS, SHORT_ORDERS));
    println!(
        "{accepted} orders in {placing:.1?}, at rest after {:.1?}; cancellations and ends: {:?}; {restarts}; {}",
        started.elapsed(),
        verdict::cases(&history),
        verdict::mails(&history),
    );
}

async fn stock_up(system: &System) {
    for (product, available) in STOCK {
        let path = format!("/api/v1/stock/{product}");
        let level = json!({"available": available});
        let answer = system.stock[0].put(&path, &level);
        assert_eq!(answer.await.unwrap().status, 200, "{product}");
    }
}

fn seed() -> u64 {
    let given = std::env::var("TEST_SEED").ok();
    let given = given.map(|seed| seed.parse().expect("TEST_SEED is a number"));
    given.unwrap_or_else(|| fastrand::u64(..u64::from(u32::MAX)))
}

/// Between two looks of those who wait for the others.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

fn tests() -> Vec<Test> {
    vec![
        test!(every_order_comes_to_one_end_whatever_is_killed_declined_or_cancelled, no database)
            .threads(2),
    ]
}

fn main() -> std::process::ExitCode {
    integration_tests::suite::run(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lives"), tests())
}
