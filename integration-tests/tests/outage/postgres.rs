//! PostgreSQL is stopped under load.

use std::time::{Duration, Instant};

use integration_tests::aftermath::{kept_every_promise, one_more_order};
use integration_tests::broker::containers;
use integration_tests::history::{Kind, Recorder};
use integration_tests::system::PROCESSES;
use integration_tests::traffic::{Answers, Traffic};
use integration_tests::wait::eventually_within;
use integration_tests::{System, SystemBuilder};
use test_support::containers::PostgresServer;
use test_support::{Test, test};

use crate::support::{ALONE, AROUND, CLIENTS, logged, outage, rebalances};

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
        .keep_mail()
        .set("EMAIL_RETRY_MAX_DELAY", "5s")
        // Who stops polling leaves its group within the outage, and that is a rebalance.
        .set("KAFKA_EXTRA", "max.poll.interval.ms=8000")
        .start()
        .await;
    let recorder = Recorder::new();
    one_more_order(&system, &recorder).await;
    let rebalances_before = rebalances(&mut system);
    let paused_before = logged(&mut system, "Partitions paused");

    let traffic = Traffic::start_keyed(&system, &recorder, CLIENTS, CLIENTS / 2);
    tokio::time::sleep(AROUND).await;
    recorder.interrupted("postgres", Kind::End);
    postgres.stop().unwrap();
    let gone_since = Instant::now();
    all_name_the_database(&system).await;
    tokio::time::sleep(outage().saturating_sub(gone_since.elapsed())).await;
    all_are_live(&system).await;
    postgres.start_again().unwrap();
    system.until_ready().await;
    tokio::time::sleep(AROUND).await;
    let answers = traffic.end().await;
    verify(&answers);

    kept_every_promise(&system, &recorder).await;
    system.nobody_ended(&PROCESSES);
    let paused = logged(&mut system, "Partitions paused");
    let all_paused = paused
        .iter()
        .zip(&paused_before)
        .all(|(now, before)| now > before);
    assert!(all_paused, "{paused_before:?}, then {paused:?}");
    assert_eq!(logged(&mut system, "Partitions resumed"), paused);
    assert_eq!(rebalances(&mut system), rebalances_before);
}

/// Every service says that it is not ready, and that the database is why; all stay live.
async fn all_name_the_database(system: &System) {
    for client in system.clients() {
        eventually_within("not ready for want of the database", NOTICED, || async {
            let answer = client.get("/health/ready").await;
            (answer.status == 503 && names_the_database(&answer.json())).then_some(())
        })
        .await;
    }
}

fn names_the_database(report: &serde_json::Value) -> bool {
    let components = report["components"].as_object().unwrap();
    let mut reasons = components.values().filter_map(|one| one["reason"].as_str());
    reasons.any(|reason| reason.contains("database"))
}

async fn all_are_live(system: &System) {
    for client in system.clients() {
        let answer = client.get("/health/live").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}

/// Placing an order needs the database only under a key; without one it is accepted all the same.
fn verify(answers: &Answers) {
    let (accepted, refused) = (answers.accepted.len(), answers.unknown.len());
    assert!(refused > 0, "the outage was noticed");
    for (order_id, answered) in &answers.unknown {
        assert!(answered.keyed, "{order_id} was placed without a key");
    }
    println!("{accepted} orders accepted, {refused} answered 503");
}
