//! Jobs whose database fails in each way that is not their fault: none is lost, none comes to two
//! ends, and an attempt counts when its lease is committed, whether or not the worker got to know.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use base_domains::OrderStatus;
use futures_util::future::BoxFuture;
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::jobs::{Job, JobResult, JobState, WorkerConfig};
use test_support::{Fault, Kind, Proxy, Test, TestDatabase, test};
use tokio::sync::Semaphore;

use crate::outcomes::{self, id, job_id};
use crate::support::{
    Fresh, Logs, end_commits, eventually, execute, fail_writes, heal_writes, insert, mail, row,
};
use crate::worker::{Gate, done, ended, failing, quick, start};

pub(crate) fn tests() -> Vec<Test> {
    let all = vec![
        test!(a_lease_that_the_database_refuses_is_no_attempt_and_taken_later),
        test!(a_lease_that_ran_out_is_taken_over_when_the_database_allows_it),
        test!(a_result_that_the_database_refuses_is_written_later_without_another_attempt),
        test!(a_lease_whose_commit_got_no_answer_runs_out_and_its_job_has_one_effect),
        test!(a_result_whose_commit_got_no_answer_is_written_once),
        test!(a_session_that_is_ended_in_the_commit_of_a_lease_or_a_result_costs_nothing),
        test!(a_result_that_the_database_refuses_is_written_later_with_its_outcome).threads(2),
        test!(a_result_with_its_outcome_whose_commit_got_no_answer_is_published_all_the_same)
            .threads(2),
    ];
    all.into_iter()
        .map(|test| test.only(Kind::Postgres))
        .collect()
}

const CODES: [&str; 6] = ["40001", "40P01", "53100", "57P01", "57P03", "08006"];

/// How often each of them is raised.
const TIMES: u32 = 2;

const LEASED: &str = "NEW.state = 'leased'";

async fn a_lease_that_the_database_refuses_is_no_attempt_and_taken_later(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    let running = start(database, quick(), &Gate::default(), done);
    for code in CODES {
        fail_writes(database, "jobs", LEASED, code, TIMES).await;
        insert(database, &[mail(code, 0)]).await;
        ended(database, code, JobState::Done).await;
        let tried = heal_writes(database, "jobs").await;
        assert_eq!(tried, i64::from(TIMES) + 1, "{code}");
        assert_eq!(row(database, code).await.attempts, 1, "{code}");
    }
    assert_eq!(running.stop().await, CODES.len());
}

async fn a_lease_that_ran_out_is_taken_over_when_the_database_allows_it(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    for code in CODES {
        insert(database, &[mail(code, 0)]).await;
        let died = "UPDATE jobs SET state = 'leased', lease_token = 'gone', lease_until = 1, \
                    attempts = 1 WHERE state = 'due'";
        execute(database, died).await;
        fail_writes(database, "jobs", LEASED, code, TIMES).await;
        let running = start(database, quick(), &Gate::default(), done);
        ended(database, code, JobState::Done).await;
        assert_eq!(running.stop().await, 1, "{code}");
        let tried = heal_writes(database, "jobs").await;
        assert_eq!(tried, i64::from(TIMES) + 1, "{code}");
        assert_eq!(row(database, code).await.attempts, 2, "{code}");
    }
}

/// Comes to the end that its id names.
fn as_named(job: Job) -> BoxFuture<'static, JobResult> {
    let error = || "550 no such user".to_owned();
    let reason = || "not wanted".to_owned();
    match job.job_id.split_once('/') {
        Some(("retry", _)) if job.attempt == 1 => failing(job),
        Some(("dead", _)) => Box::pin(async move { JobResult::Dead { error: error() } }),
        Some(("skipped", _)) => Box::pin(async move { JobResult::Skipped { reason: reason() } }),
        _ => done(job),
    }
}

async fn a_result_that_the_database_refuses_is_written_later_without_another_attempt(
    database: TestDatabase,
) {
    let ends = [
        ("done", "NEW.state = 'done'", JobState::Done, 1),
        ("dead", "NEW.state = 'dead'", JobState::Dead, 1),
        ("skipped", "NEW.state = 'skipped'", JobState::Skipped, 1),
        // Put back for another attempt.
        (
            "retry",
            "NEW.state = 'due' AND NEW.attempts > 0",
            JobState::Done,
            2,
        ),
    ];
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    let running = start(database, quick(), &Gate::default(), as_named);
    let mut expected = 0;
    for code in CODES {
        for (name, when, state, attempts) in ends {
            let job = format!("{name}/{code}");
            fail_writes(database, "jobs", when, code, TIMES).await;
            insert(database, &[mail(&job, 0)]).await;
            ended(database, &job, state).await;
            let tried = heal_writes(database, "jobs").await;
            assert_eq!(tried, i64::from(TIMES) + 1, "{job}");
            assert_eq!(row(database, &job).await.attempts, attempts, "{job}");
            expected += usize::try_from(attempts).unwrap();
            assert_eq!(running.attempts.load(SeqCst), expected, "{job}");
        }
    }
    running.stop().await;
}

/// The way to the database of a worker alone, and its connections.
async fn behind_a_proxy(url: &str) -> (Proxy, Database) {
    let proxy = Proxy::to(url).await.unwrap();
    let database = Database::open(&DatabaseConfig::new(proxy.url())).unwrap();
    (proxy, database)
}

fn cut_the_next_commit(proxy: &Proxy) -> usize {
    proxy.inject(Fault::CutReplyTo("COMMIT".to_owned()));
    proxy.replies_cut()
}

async fn until_cut(proxy: &Proxy, before: usize) {
    eventually("the cut", async || proxy.replies_cut() > before).await;
    proxy.heal();
}

/// The worker does not know of the job that it has leased.
async fn a_lease_whose_commit_got_no_answer_runs_out_and_its_job_has_one_effect(
    database: TestDatabase,
) {
    let (proxy, behind) = behind_a_proxy(database.url()).await;
    let fresh = Fresh::new(database).await;
    let config = WorkerConfig {
        lease: Duration::from_secs(1),
        ..quick()
    };
    let running = start(&behind, config, &Gate::default(), done);
    for job in ["a", "b", "c"] {
        let before = cut_the_next_commit(&proxy);
        insert(&fresh.database, &[mail(job, 0)]).await;
        until_cut(&proxy, before).await;
        ended(&fresh.database, job, JobState::Done).await;
        assert_eq!(row(&fresh.database, job).await.attempts, 2, "{job}");
    }
    assert_eq!(running.stop().await, 3);
}

async fn a_result_whose_commit_got_no_answer_is_written_once(database: TestDatabase) {
    let (proxy, behind) = behind_a_proxy(database.url()).await;
    let fresh = Fresh::new(database).await;
    let (logs, _guard) = Logs::capture();
    let permits = Arc::new(Semaphore::new(0));
    let permitted = Arc::clone(&permits);
    let running = start(&behind, quick(), &Gate::default(), move |job| {
        let permits = Arc::clone(&permitted);
        Box::pin(async move {
            permits.acquire().await.unwrap().forget();
            done(job).await
        })
    });
    for (n, job) in ["a", "b", "c"].into_iter().enumerate() {
        insert(&fresh.database, &[mail(job, 0)]).await;
        eventually("the attempt", async || {
            running.attempts.load(SeqCst) == n + 1
        })
        .await;
        let before = cut_the_next_commit(&proxy);
        permits.add_permits(1);
        until_cut(&proxy, before).await;
        ended(&fresh.database, job, JobState::Done).await;
        let dropped = "A job's result was dropped";
        eventually(dropped, async || {
            logs.text().matches(dropped).count() == n + 1
        })
        .await;
        let stored = row(&fresh.database, job).await;
        assert_eq!(stored.attempts, 1, "{job}");
        let result = format!(r#"sent {{"to":"{job}"}}"#);
        assert_eq!(stored.result.as_deref(), Some(result.as_str()));
    }
    assert_eq!(running.stop().await, 3);
}

async fn a_session_that_is_ended_in_the_commit_of_a_lease_or_a_result_costs_nothing(
    database: TestDatabase,
) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    let running = start(database, quick(), &Gate::default(), done);
    for (job, when) in [("lease", LEASED), ("result", "NEW.state = 'done'")] {
        end_commits(database, "jobs", when, TIMES).await;
        insert(database, &[mail(job, 0)]).await;
        ended(database, job, JobState::Done).await;
        let tried = heal_writes(database, "jobs").await;
        assert_eq!(tried, i64::from(TIMES) + 1, "{job}");
        assert_eq!(row(database, job).await.attempts, 1, "{job}");
    }
    assert_eq!(running.stop().await, 2);
}

/// That the order was placed and charged is in the log, each in one version.
async fn assert_charged_once(world: &outcomes::World, key: &str) {
    let charge = row(&world.database, &job_id("charge", id(key))).await;
    assert_eq!(
        (charge.state, charge.attempts),
        (JobState::Done, 1),
        "{key}"
    );
    let log = world.log_of(id(key)).await;
    let distinct: BTreeSet<_> = log.iter().map(|record| &record.value).collect();
    assert_eq!(distinct.len(), 2, "{key}");
}

async fn a_result_that_the_database_refuses_is_written_later_with_its_outcome(
    database: TestDatabase,
) {
    let world = outcomes::world(database).await;
    let running = world.start_with(&world.database, 1);
    for code in CODES {
        world.append(id(code), OrderStatus::Pending).await;
        world.until_state(id(code), JobState::Leased).await;
        let (table, when) = ("participant_orders", "NEW.outcome <> ''");
        fail_writes(&world.database, table, when, code, TIMES).await;
        world.charging.permits.add_permits(1);
        world.until_status(id(code), "PAID").await;
        let tried = heal_writes(&world.database, table).await;
        assert!(
            tried > i64::from(TIMES),
            "{code}: it was tried {tried} times"
        );
        assert_charged_once(&world, code).await;
    }
    running.end().await;
}

/// The worker, which does not know what it has written, leaves it to the sweep.
async fn a_result_with_its_outcome_whose_commit_got_no_answer_is_published_all_the_same(
    database: TestDatabase,
) {
    let (proxy, behind) = behind_a_proxy(database.url()).await;
    let world = outcomes::world(database).await;
    let running = world.start_with(&behind, 1);
    for (n, key) in ["a", "b", "c"].into_iter().enumerate() {
        world.append(id(key), OrderStatus::Pending).await;
        let begun = || world.charging.attempts.load(SeqCst) == n + 1;
        eventually("the attempt", async || begun()).await;
        let before = cut_the_next_commit(&proxy);
        world.charging.permits.add_permits(1);
        until_cut(&proxy, before).await;
        world.until_status(id(key), "PAID").await;
        assert_charged_once(&world, key).await;
    }
    running.end().await;
}
