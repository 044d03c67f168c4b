//! Two brokers of three are killed: no record can have the two copies that it needs.

use std::time::{Duration, Instant};

use integration_tests::aftermath::{kept_every_promise, one_more_order, verify};
use integration_tests::broker::containers;
use integration_tests::history::{Kind, Recorder};
use integration_tests::pace::lasting;
use integration_tests::traffic::Traffic;
use integration_tests::wait::eventually_within;
use test_support::{Test, test};

use crate::brokers::{self, all_in_sync, leader, system_on};

const CLIENTS: usize = 6;
/// Traffic before the kill, and after the recovery.
const AROUND: Duration = Duration::from_secs(3);
/// From the start of the brokers to the first order.
const RECOVERY: Duration = Duration::from_secs(120);

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(with_two_of_three_brokers_down_orders_are_answered_503_until_they_are_back, no database)
            .threads(2)
            .needs(containers()),
    ]
}

async fn with_two_of_three_brokers_down_orders_are_answered_503_until_they_are_back() {
    let cluster = brokers::whole().await;
    let mut system = system_on(&cluster).await;
    let survivor = leader(&system, None).await;
    let killed: Vec<i32> = cluster.nodes().filter(|node| *node != survivor).collect();
    let recorder = Recorder::new();
    let traffic = Traffic::start(&system, &recorder, CLIENTS);
    tokio::time::sleep(AROUND).await;
    for node in &killed {
        recorder.interrupted("broker", Kind::Kill);
        cluster.kill(*node).unwrap();
    }
    let gone = Instant::now();
    // The scenario itself.
    tokio::time::sleep(lasting(Duration::from_secs(30), Duration::from_secs(10))).await;
    let back = Instant::now();
    for node in &killed {
        cluster.start_again(*node).unwrap();
    }
    let accepted = traffic.accepted();
    eventually_within("order accepted again", RECOVERY, || async {
        (traffic.accepted() > accepted).then_some(())
    })
    .await;
    let recovered = back.elapsed();
    tokio::time::sleep(AROUND).await;
    let answers = traffic.end().await;

    for (order_id, answered) in &answers.accepted {
        let during = answered.sent > gone && answered.sent + answered.took < back;
        assert!(!during, "{order_id} was accepted by one broker");
    }
    let during = answers
        .unknown
        .values()
        .filter(|answered| answered.sent > gone);
    assert!(during.count() >= CLIENTS, "every client got its 503");

    all_in_sync(&system).await;
    let summary = verify(&mut system, &recorder, &answers).await;
    one_more_order(&system, &recorder).await;
    kept_every_promise(&system, &recorder).await;
    println!(
        "brokers {killed:?} killed: {summary}; the first order was accepted {recovered:.1?} after their start"
    );
}
