//! Three stock-service processes on one database share the three partitions of the log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use base_domains::home_partition;
use integration_tests::aftermath::kept_every_promise;
use integration_tests::history::{Kind, Recorder};
use integration_tests::system::stock_name;
use integration_tests::traffic::{Answers, Traffic};
use integration_tests::wait::eventually_within;
use integration_tests::{Client, System, SystemBuilder};
use test_support::{Test, test};

const PARTITIONS: i32 = 3;
const ORDERS: usize = 300;
const CLIENTS: usize = 16;
/// Of them one leaves.
const LEAVER: usize = 1;
/// A rebalance takes heartbeats of all members.
const REBALANCE: Duration = Duration::from_secs(90);

/// Partitions by instance; an instance that owns nothing is not in it.
type Shares = BTreeMap<usize, BTreeSet<i32>>;

async fn three_instances_share_the_work_and_two_go_on_with_all_of_it_when_one_leaves() {
    let mut system = SystemBuilder::new()
        .keep_mail()
        .stock_instances(3)
        // Only a member that leaves should change who has what, on a slow machine too.
        .set("KAFKA_SESSION_TIMEOUT", "30s")
        .start()
        .await;
    let started = Instant::now();
    let three = shared_by(&system, &[0, 1, 2]).await;
    let spread = started.elapsed();
    for (instance, partitions) in &three {
        assert_eq!(partitions.len(), 1, "stock-{instance}: {partitions:?}");
    }
    let recorder = Recorder::new();
    let mut orders = work(&system, &recorder, &three).await;

    let traffic = Traffic::start(&system, &recorder, CLIENTS);
    recorder.interrupted(&stock_name(LEAVER), Kind::End);
    let left = Instant::now();
    system.dismiss_stock(LEAVER, REBALANCE).await;
    let two = shared_by(&system, &[0, 2]).await;
    let moved = left.elapsed();
    orders += all_accepted(traffic).await.accepted.len();
    kept_every_promise(&system, &recorder).await;
    for instance in [0, 2] {
        let kept = three[&instance].is_subset(&two[&instance]);
        assert!(kept, "stock-{instance}: {three:?}, then {two:?}");
    }

    orders += work(&system, &recorder, &two).await;
    let history = kept_every_promise(&system, &recorder).await;
    assert_eq!(history.databases.views.len(), orders, "what was accepted");
    let others = ["order", "email", "payment", "shipping", "webhook"];
    system.nobody_ended(&[&others[..], &["stock-0", "stock-2"]].concat());
    println!(
        "{orders} orders; the partitions were shared {spread:.1?} after all were ready: {three:?}; {moved:.1?} after SIGTERM \
         to stock-{LEAVER}: {two:?}"
    );
}

/// Waits until each partition is owned by exactly one of `instances`, and each of them has some.
async fn shared_by(system: &System, instances: &[usize]) -> Shares {
    let labels = format!(r#"group="{}","#, system.group("stock"));
    eventually_within("share for everybody", REBALANCE, || async {
        let mut shares = Shares::new();
        for instance in instances {
            let owned = owned(&system.stock[*instance], &labels).await;
            if !owned.is_empty() {
                shares.insert(*instance, owned);
            }
        }
        let mut all: Vec<i32> = shares.values().flatten().copied().collect();
        all.sort_unstable();
        let shared = shares.len() == instances.len() && all.into_iter().eq(0..PARTITIONS);
        shared.then_some(shares)
    })
    .await
}

async fn owned(client: &Client, labels: &str) -> BTreeSet<i32> {
    let series = client.metric("consumer_partition_owned", labels).await;
    let owned = series.into_iter().filter(|(_, value)| *value > 0.0);
    owned
        .map(|(label, _)| label.split('"').nth(1).unwrap().parse().unwrap())
        .collect()
}

/// Places [`ORDERS`] orders, and waits until they have ended; each instance has decided about
/// those whose home partition is its own. How many there were.
async fn work(system: &System, recorder: &Recorder, shares: &Shares) -> usize {
    let before = decided(system, shares).await;
    let traffic = Traffic::start(system, recorder, CLIENTS);
    eventually_within("orders", REBALANCE, || async {
        (traffic.accepted() >= ORDERS).then_some(())
    })
    .await;
    let answers = all_accepted(traffic).await;
    kept_every_promise(system, recorder).await;
    let after = decided(system, shares).await;
    for (instance, partitions) in shares {
        let its_own = answers.accepted.keys().filter(|order_id| {
            let home = home_partition(**order_id, PARTITIONS);
            partitions.contains(&home)
        });
        let its_own = its_own.count() as f64;
        let decided = after[instance] - before[instance];
        // An outcome that is published again counts again; that each order has one is checked above.
        assert!(
            decided >= its_own,
            "stock-{instance}: {decided} of {its_own}"
        );
        assert!(decided > 0.0, "stock-{instance} had nothing to do");
        println!("stock-{instance} with {partitions:?} decided about {decided} orders");
    }
    answers.accepted.len()
}

async fn all_accepted(traffic: Traffic) -> Answers {
    let answers = traffic.end().await;
    assert!(answers.unknown.is_empty(), "{:?}", answers.unknown);
    answers
}

/// Decisions of each instance so far.
async fn decided(system: &System, shares: &Shares) -> BTreeMap<usize, f64> {
    let mut decided = BTreeMap::new();
    for instance in shares.keys() {
        let client = &system.stock[*instance];
        let series = client
            .metric("outcomes_published_total", r#"participant="stock""#)
            .await;
        decided.insert(*instance, series.into_values().sum());
    }
    decided
}

fn tests() -> Vec<Test> {
    vec![
        test!(three_instances_share_the_work_and_two_go_on_with_all_of_it_when_one_leaves, no database)
            .threads(2),
    ]
}

fn main() -> std::process::ExitCode {
    integration_tests::suite::run(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scale_out"),
        tests(),
    )
}
