//! One broker of three is killed: the leader of a partition.

use std::time::{Duration, Instant};

use base_domains::home_partition;
use integration_tests::aftermath::{kept_every_promise, one_more_order, verify};
use integration_tests::broker::containers;
use integration_tests::history::{Kind, Recorder};
use integration_tests::pace::lasting;
use integration_tests::traffic::{Answers, Traffic};
use test_support::{Test, test};

use crate::brokers::{self, all_in_sync, leader, system_on};

const CLIENTS: usize = 6;
/// Traffic before the kill.
const BEFORE: Duration = Duration::from_secs(3);

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(nothing_accepted_is_lost_when_the_leader_of_a_partition_is_killed_under_load, no database)
            .threads(2)
            .needs(containers()),
    ]
}

async fn nothing_accepted_is_lost_when_the_leader_of_a_partition_is_killed_under_load() {
    let cluster = brokers::whole().await;
    let mut system = system_on(&cluster).await;
    let recorder = Recorder::new();
    let traffic = Traffic::start(&system, &recorder, CLIENTS);
    tokio::time::sleep(BEFORE).await;
    let killed = leader(&system, None).await;
    recorder.interrupted("broker", Kind::Kill);
    cluster.kill(killed).unwrap();
    let kill = Instant::now();
    let successor = leader(&system, Some(killed)).await;
    let leaderless = kill.elapsed();
    // The scenario itself: an ordinary while with two brokers.
    tokio::time::sleep(lasting(Duration::from_secs(30), Duration::from_secs(10))).await;
    let answers = traffic.end().await;

    let served = first_accepted_after(&answers, kill);
    let summary = verify(&mut system, &recorder, &answers).await;

    cluster.start_again(killed).unwrap();
    let started = Instant::now();
    all_in_sync(&system).await;
    let joined = started.elapsed();
    one_more_order(&system, &recorder).await;
    kept_every_promise(&system, &recorder).await;
    println!(
        "broker {killed} killed: {summary}; partition 0 had no leader for {leaderless:.1?} (then broker {successor}) \
         and no accepted order for {served:.1?}; the killed broker was in sync {joined:.1?} after its start"
    );
}

/// How long after the kill the first order of partition 0 that was sent later was accepted.
fn first_accepted_after(answers: &Answers, kill: Instant) -> Duration {
    let accepted = answers.accepted.iter();
    let times = accepted
        .filter(|(order_id, answered)| answered.sent > kill && home_partition(**order_id, 3) == 0)
        .map(|(_, answered)| (answered.sent + answered.took).duration_since(kill));
    times
        .min()
        .expect("orders of partition 0 are accepted again")
}
