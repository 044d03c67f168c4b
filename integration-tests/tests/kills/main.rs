//! Two stock-service processes on one database, one killed and one frozen under load.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use integration_tests::aftermath::kept_every_promise;
use integration_tests::history::{Kind, Outcome, Recorder};
use integration_tests::system::{order, stock_name};
use integration_tests::traffic::Wish;
use integration_tests::{Signal, System, SystemBuilder, eventually};
use test_support::{Test, test};
use tokio::task::JoinSet;

/// Longer than the session timeout of 6 s: the group gives the frozen member's partitions away.
const FROZEN: Duration = Duration::from_secs(9);
const PHASE: usize = 500;
/// Requests at a time.
const CONCURRENCY: usize = 16;

/// Places the orders of `phase`, which all together ask for more than there is of each product, so that the order of
/// the log decides who gets something. After half of them `signal` goes to the stock-service `instance`.
async fn place(
    system: &mut System,
    recorder: &Recorder,
    phase: usize,
    disturbance: Option<(usize, Signal)>,
) {
    let done = Arc::new(AtomicUsize::new(0));
    let mut requests = JoinSet::new();
    for worker in 0..CONCURRENCY {
        let (client, done) = (system.order.clone(), Arc::clone(&done));
        let recorder = recorder.clone();
        requests.spawn(async move {
            for n in (phase * PHASE..(phase + 1) * PHASE)
                .skip(worker)
                .step_by(CONCURRENCY)
            {
                let wish = Wish::number(n);
                let body = order(wish.product, wish.qty);
                let placed = recorder.place(&client, &body).await;
                assert_eq!(placed.outcome, Outcome::Ok, "{:?}", placed.answer);
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    if let Some((instance, signal)) = disturbance {
        eventually("half of the orders", || async {
            (done.load(Ordering::SeqCst) >= PHASE / 2).then_some(())
        })
        .await;
        let name = stock_name(instance);
        match signal {
            Signal::Kill => recorder.interrupted(&name, Kind::Kill),
            Signal::Stop => recorder.interrupted(&name, Kind::Freeze),
            _ => {}
        }
        system.process(&name).signal(signal);
    }
    while let Some(placed) = requests.join_next().await {
        placed.unwrap();
    }
}

async fn no_order_is_lost_and_none_reserved_twice_when_one_instance_dies_and_one_freezes() {
    let mut system = SystemBuilder::new()
        .keep_mail()
        .stock_instances(2)
        // The frozen one may hold row locks: PostgreSQL ends its transaction before it thaws.
        .set("DATABASE_STATEMENT_TIMEOUT", "3s")
        .start()
        .await;
    let recorder = Recorder::new();
    place(&mut system, &recorder, 0, None).await;

    let frozen_since = Instant::now();
    place(&mut system, &recorder, 1, Some((1, Signal::Stop))).await;
    place(&mut system, &recorder, 2, Some((0, Signal::Kill))).await;
    system.spawn(&stock_name(0)).await;
    // The scenario itself, not a wait for something.
    tokio::time::sleep(FROZEN.saturating_sub(frozen_since.elapsed())).await;
    place(&mut system, &recorder, 3, Some((1, Signal::Continue))).await;

    let history = kept_every_promise(&system, &recorder).await;
    assert_eq!(history.databases.views.len(), 4 * PHASE);
    all_that_could_be_sold_was(&system).await;
    print_redelivered(&system).await;
}

async fn all_that_could_be_sold_was(system: &System) {
    for product in Wish::PRODUCTS {
        let (available, _, _) = system.stock_of(product).await;
        assert!(available < 2, "{product}: {available}");
    }
}

/// Events of one effect on the fold, counted since the process started.
fn counted(metrics: &str, effect: &str) -> u64 {
    let name = format!(r#"events_total{{participant="stock",effect="{effect}"}}"#);
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

async fn print_redelivered(system: &System) {
    let orders = system.log.orders().await;
    let records: usize = orders.values().map(|story| story.records).sum();
    let events: usize = orders.values().map(|story| story.distinct()).sum();
    let repeated = records - events;
    let (mut redelivered, mut effective) = (0, 0);
    for stock in &system.stock {
        let metrics = stock.get("/metrics").await.text;
        redelivered += counted(&metrics, "ignored");
        effective += counted(&metrics, "effective");
    }
    assert!(effective > 0, "the metric has another name");
    println!(
        "{} orders, {records} records; the running stock-services were given {redelivered} events again ({:.2} %), \
         and {repeated} outcomes were appended again",
        orders.len(),
        100.0 * redelivered as f64 / records as f64
    );
}

fn tests() -> Vec<Test> {
    vec![test!(no_order_is_lost_and_none_reserved_twice_when_one_instance_dies_and_one_freezes, no database).threads(2)]
}

fn main() -> std::process::ExitCode {
    integration_tests::suite::run(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kills"), tests())
}
