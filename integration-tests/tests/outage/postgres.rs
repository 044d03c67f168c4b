//! PostgreSQL is stopped under load.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use integration_tests::broker::containers;
use integration_tests::wait::eventually_within;
use integration_tests::{Client, System, SystemBuilder, database, eventually, invariants};
use test_support::containers::PostgresServer;
use test_support::{Test, test};

use crate::support::{ALONE, AROUND, PIECES, Traffic, Tried, all_run, logged, outage, rebalances};

/// How soon every service has to say that its database is gone.
const NOTICED: Duration = Duration::from_secs(15);

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(partitions_pause_while_postgresql_is_gone_and_no_order_is_lost, no database)
            .threads(2)
            .needs(containers()),
    ]
}

async fn partitions_pause_while_postgresql_is_gone_and_no_order_is_lost() {
    let _alone = ALONE.lock().await;
    let postgres = PostgresServer::start_to_be_stopped().unwrap();
    let mut system = SystemBuilder::new()
        .databases_on(postgres.url())
        .set("EMAIL_RETRY_MAX_DELAY", "5s")
        .start()
        .await;
    let first = system.place("book order", PIECES).await;
    assert_eq!(system.settled(&first).await["status"], "RESERVED");
    let rebalances_before = rebalances(&mut system);
    let paused_before = logged(&mut system, "Partitions paused");

    let traffic = Traffic::start(&system, 2, Duration::from_millis(100));
    tokio::time::sleep(AROUND).await;
    postgres.stop().unwrap();
    let gone_since = Instant::now();
    all_name_the_database(&system).await;
    tokio::time::sleep(outage().saturating_sub(gone_since.elapsed())).await;
    postgres.start_again().unwrap();
    system.until_ready().await;
    tokio::time::sleep(AROUND).await;
    let mut accepted = judged(&traffic.end().await);
    accepted.insert(first);

    let statuses = invariants::settled_everywhere(&system).await;
    assert!(statuses.keys().eq(&accepted), "exactly what was accepted");
    all_mail_is_sent(&system, accepted.len()).await;
    invariants::nothing_is_dead_lettered(&system).await;
    all_run(&mut system);
    let paused = logged(&mut system, "Partitions paused");
    let all_paused = paused
        .iter()
        .zip(&paused_before)
        .all(|(now, before)| now > before);
    assert!(all_paused, "{paused_before:?}, then {paused:?}");
    assert_eq!(logged(&mut system, "Partitions resumed"), paused);
    assert_eq!(rebalances(&mut system), rebalances_before);
    let reserved = statuses.values().filter(|status| *status == "RESERVED");
    let reserved = reserved.count() as i64;
    let pieces = reserved * PIECES;
    assert_eq!(
        system.stock_of("book order").await,
        (1000 - pieces, pieces, 0)
    );
    println!(
        "{} orders at rest: {reserved} RESERVED, the others REJECTED",
        accepted.len()
    );
}

/// Every service says that it is not ready, and that the database is why; all stay live.
async fn all_name_the_database(system: &System) {
    for client in [&system.order, &system.stock[0], &system.email] {
        eventually_within("not ready for want of the database", NOTICED, || async {
            let answer = client.get("/health/ready").await;
            (answer.status == 503 && names_the_database(&answer.json())).then_some(())
        })
        .await;
        is_live(client).await;
    }
}

fn names_the_database(report: &serde_json::Value) -> bool {
    let components = report["components"].as_object().unwrap();
    let mut reasons = components.values().filter_map(|one| one["reason"].as_str());
    reasons.any(|reason| reason.contains("database"))
}

async fn is_live(client: &Client) {
    let answer = client.get("/health/live").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// Placing an order needs the database only under a key; without it, the answer is 503. The orders
/// that were accepted.
fn judged(tried: &[Tried]) -> BTreeSet<String> {
    let mut accepted = BTreeSet::new();
    let mut refused = 0;
    for Tried { keyed, answer, .. } in tried {
        match (answer.status, keyed) {
            (201, _) => {
                assert!(accepted.insert(answer.member("orderId")));
            }
            (503, true) => {
                assert!(answer.retry_after.is_some(), "{}", answer.text);
                refused += 1;
            }
            (other, _) => panic!("{other}, keyed: {keyed}: {}", answer.text),
        }
    }
    assert!(refused > 0, "the outage was noticed");
    println!("{} orders accepted, {refused} answered 503", accepted.len());
    accepted
}

/// Nothing waits any more: a mail for each order, and none given up.
async fn all_mail_is_sent(system: &System, orders: usize) {
    let url = system.database("email");
    eventually("end of every mail", || async {
        let jobs = database::jobs(&url).await;
        let dead = jobs.values().filter(|state| *state == "dead").count();
        assert_eq!(dead, 0, "no mail is given up");
        let done = jobs.values().all(|state| state == "done");
        (done && jobs.len() >= orders).then_some(())
    })
    .await;
}
