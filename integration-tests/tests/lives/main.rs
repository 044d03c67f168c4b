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

use fastrand::Rng;
use integration_tests::SystemBuilder;
use integration_tests::aftermath::kept_every_promise;
use integration_tests::history::Recorder;
use integration_tests::pace::sized;
use integration_tests::system::PROCESSES;
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
    let mut system = SystemBuilder::new()
        .keep_mail()
        // Long enough that some cancellations meet a paid order, and some a shipped one.
        .set("SHIPPING_DISPATCH_DELAY", "300ms")
        // The sandbox lets some charges wait for so long.
        .set("PAYMENT_TIMEOUT", "200ms")
        .set("PAYMENT_RETRY_MAX_DELAY", "200ms")
        .set("PAYMENT_CONCURRENCY", "16")
        .set("PAYMENT_PAUSE_AFTER", "1000000")
        .start()
        .await;
    let recorder = Recorder::new();
    for (product, pieces) in STOCK {
        recorder.stock_up(&system.stock[0], product, pieces).await;
    }
    let (started, orders) = (
        Instant::now(),
        Arc::new(Orders::new(sized(ORDERS, SHORT_ORDERS))),
    );
    let mut customers = JoinSet::new();
    // One stream each: with a sum for a seed, a customer would do what its neighbour does under the next seed.
    let mut streams = Rng::with_seed(seed);
    let restarting = streams.fork();
    for _ in 0..CUSTOMERS {
        let customer = Customer::new(system.order.clone(), recorder.clone(), streams.fork());
        customers.spawn(customer.order_all(Arc::clone(&orders)));
    }
    let restarts =
        Restarts::until(&mut system, &recorder, restarting, || orders.all_placed()).await;
    while let Some(ended) = customers.join_next().await {
        ended.expect("a customer that does not panic");
    }
    let placing = started.elapsed();

    let history = kept_every_promise(&system, &recorder).await;
    system.nobody_ended(&PROCESSES);
    let accepted = verdict::accepted(&history);
    assert_eq!(accepted, sized(ORDERS, SHORT_ORDERS));
    println!(
        "{accepted} orders in {placing:.1?}, at rest after {:.1?}; cancellations and ends: {:?}; {restarts}; {}",
        started.elapsed(),
        verdict::cases(&history),
        verdict::mails(&history),
    );
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
