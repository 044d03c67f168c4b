//! Inserting, leasing and ending jobs.

use std::{collections::BTreeSet, time::Duration};

use service_runtime::{
    database::Database,
    jobs::{self, Claim, Job, JobFilter, JobState, NewJob},
};
use test_support::{Kind, Test, TestDatabase, test};

use crate::support::{Fresh, execute, insert, mail, number, row};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_job_is_inserted_once_and_keeps_what_it_was_given_first),
        test!(transactions_that_insert_the_same_jobs_do_not_deadlock),
        test!(due_jobs_are_leased_oldest_first_and_only_those_asked_for),
        test!(workers_that_lease_at_the_same_time_get_different_jobs),
        test!(a_worker_that_lost_its_lease_overwrites_nothing),
        test!(a_failed_job_falls_due_after_its_delay_with_a_short_error),
        test!(an_end_that_was_rolled_back_leaves_the_job_leased),
        test!(jobs_are_listed_by_kind_order_and_state_the_newest_first),
        test!(only_a_dead_job_is_put_back_and_is_then_as_new),
        test!(only_a_job_that_was_never_leased_can_be_withdrawn),
        test!(what_waits_of_one_kind_is_skipped_whether_it_was_tried_or_not),
        test!(the_dead_jobs_of_one_kind_are_put_back_all_or_one),
        test!(a_job_with_a_due_time_waits_for_it_unless_it_is_expedited),
        test!(looking_for_jobs_uses_the_index_of_open_jobs).only(Kind::Sqlite),
    ]
}

const LEASE: Duration = Duration::from_secs(60);

async fn claim(database: &Database, partitions: &[i32], limit: usize) -> Vec<Job> {
    let clock = format!("SELECT {}", database.dialect().now_ms());
    let due_until = number(database, &clock).await;
    let mut tx = database.begin().await.unwrap();
    let wanted = Claim {
        kind: "mail",
        partitions,
        due_until,
        limit,
        lease: LEASE,
    };
    let claimed = jobs::claim(&mut tx, database.dialect(), wanted).await;
    tx.commit().await.unwrap();
    claimed.unwrap()
}

/// Ends the job and says whether the lease was still held.
async fn finish(database: &Database, job: &Job, result: &str) -> bool {
    let mut tx = database.begin().await.unwrap();
    let held = jobs::finish(&mut tx, database.dialect(), job, Some(result)).await;
    tx.commit().await.unwrap();
    held.unwrap()
}

fn ids(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| &*job.job_id).collect()
}

async fn a_job_is_inserted_once_and_keeps_what_it_was_given_first(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    assert_eq!(insert(database, &[]).await, 0);
    let three = [mail("b", 1), mail("a", 0), mail("c", 2)];
    assert_eq!(insert(database, &three).await, 3);
    let mut other = mail("a", 2);
    other.payload = "{}".into();
    assert_eq!(insert(database, &[other, mail("d", 0)]).await, 1);
    let stored = row(database, "a").await;
    assert_eq!((stored.partition, stored.state), (0, JobState::Due));
    assert_eq!(stored.payload, r#"{"to":"a"}"#);
    assert_eq!(stored.next_try_at, stored.created_at);
    assert_eq!(stored.age_from, stored.created_at);
}

async fn a_job_with_a_due_time_waits_for_it_unless_it_is_expedited(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    let at = |id: &str, due_at| NewJob {
        due_at: Some(due_at),
        ..mail(id, 0)
    };
    let far = 9_000_000_000_000;
    insert(database, &[at("later", far), at("long ago", 1)]).await;
    assert_eq!(row(database, "later").await.next_try_at, far);
    assert_eq!(ids(&claim(database, &[0], 9).await), ["long ago"]);

    let expedite = async |id: &str| {
        let mut tx = database.begin().await.unwrap();
        let expedited = jobs::expedite(&mut tx, database.dialect(), id).await;
        tx.commit().await.unwrap();
        expedited.unwrap()
    };
    // One that was leased runs already, and its next attempt has a time of its own.
    assert!(!expedite("long ago").await);
    assert!(!expedite("unknown").await);
    assert!(expedite("later").await);
    assert!(!expedite("later").await);
    assert_eq!(ids(&claim(database, &[0], 9).await), ["later"]);
}

async fn transactions_that_insert_the_same_jobs_do_not_deadlock(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let tasks = (0..4).map(|n| {
        let database = fresh.database.clone();
        tokio::spawn(async move {
            let mut new: Vec<NewJob> = (0..300).map(|id| mail(&id.to_string(), 0)).collect();
            new.rotate_left(n * 70);
            insert(&database, &new).await
        })
    });
    let mut inserted = 0;
    for task in tasks.collect::<Vec<_>>() {
        inserted += task.await.unwrap();
    }
    assert_eq!(inserted, 300);
}

async fn due_jobs_are_leased_oldest_first_and_only_those_asked_for(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let dialect = fresh.database.dialect();
    let database = &fresh.database;
    let mut charge = mail("charge", 0);
    charge.kind = "charge".into();
    let new = [mail("new", 0), mail("old", 1), mail("older", 0), charge];
    insert(database, &[mail("elsewhere", 2), mail("later", 0)]).await;
    insert(database, &new).await;
    for (id, at) in [("older", "1"), ("old", "2"), ("later", "9000000000000")] {
        let update = format!("UPDATE jobs SET next_try_at = {at} WHERE job_id = '{id}'");
        assert_eq!(execute(database, &update).await, 1);
    }
    let mut tx = database.begin().await.unwrap();
    let wanted = Claim {
        kind: "mail",
        partitions: &[0, 1, 7],
        due_until: row(database, "new").await.created_at,
        limit: 2,
        lease: LEASE,
    };
    let first = jobs::claim(&mut tx, dialect, wanted).await.unwrap();
    let second = jobs::claim(&mut tx, dialect, wanted).await.unwrap();
    let third = jobs::claim(&mut tx, dialect, wanted).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ids(&first), ["older", "old"]);
    assert_eq!(ids(&second), ["new"]);
    assert_eq!(ids(&third), [""; 0]);
    assert_eq!(first[0].attempt, 1);
    assert_eq!(first[0].payload, r#"{"to":"older"}"#);
    let stored = row(database, "older").await;
    assert_eq!((stored.state, stored.attempts), (JobState::Leased, 1));
    assert_eq!(stored.lease_until, Some(first[0].leased_at + 60_000));
}

async fn workers_that_lease_at_the_same_time_get_different_jobs(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let new: Vec<NewJob> = (0..100).map(|id| mail(&id.to_string(), id % 3)).collect();
    insert(&fresh.database, &new).await;
    let workers = (0..5).map(|_| {
        let database = fresh.another();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let jobs = claim(&database, &[0, 1, 2], 7).await;
                if jobs.is_empty() {
                    return mine;
                }
                assert!(jobs.len() <= 7, "{} jobs", jobs.len());
                mine.extend(jobs.into_iter().map(|job| job.job_id));
            }
        })
    });
    let mut all = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        all.extend(worker.await.unwrap());
    }
    // A claim may pass over rows that a neighbour's open transaction holds.
    let rest = claim(&fresh.database, &[0, 1, 2], 100).await;
    all.extend(rest.into_iter().map(|job| job.job_id));
    assert_eq!(all.len(), 100);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 100);
}

async fn a_worker_that_lost_its_lease_overwrites_nothing(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let dialect = fresh.database.dialect();
    let database = &fresh.database;
    insert(database, &[mail("a", 0)]).await;
    let slow = claim(database, &[0], 1).await.remove(0);
    let mut now = slow.leased_at;
    let mut tx = database.begin().await.unwrap();
    let mut wanted = Claim {
        kind: "mail",
        partitions: &[0],
        due_until: now + 59_999,
        limit: 1,
        lease: LEASE,
    };
    let early = jobs::claim(&mut tx, dialect, wanted).await.unwrap();
    assert_eq!(ids(&early), [""; 0], "the lease still holds");
    now += 60_000;
    wanted.due_until = now;
    let taken = jobs::claim(&mut tx, dialect, wanted)
        .await
        .unwrap()
        .remove(0);
    tx.commit().await.unwrap();
    assert_eq!(taken.attempt, 2);

    let before = row(database, "a").await;
    assert!(!finish(database, &slow, "slow").await);
    let mut tx = database.begin().await.unwrap();
    assert!(!jobs::die(&mut tx, dialect, &slow, "no").await.unwrap());
    assert!(!jobs::skip(&mut tx, dialect, &slow, "no").await.unwrap());
    assert!(
        !jobs::retry(&mut tx, dialect, &slow, LEASE, "no")
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    assert_eq!(row(database, "a").await, before);

    assert!(finish(database, &taken, "taken").await);
    assert!(!finish(database, &taken, "twice").await);
    let stored = row(database, "a").await;
    assert_eq!(stored.state, JobState::Done);
    assert_eq!(stored.result.as_deref(), Some("taken"));
    assert!(stored.finished_at.unwrap() >= stored.created_at);
    assert_eq!(stored.lease_until, None);
}

async fn a_failed_job_falls_due_after_its_delay_with_a_short_error(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let dialect = fresh.database.dialect();
    let database = &fresh.database;
    insert(database, &[mail("a", 0)]).await;
    let job = claim(database, &[0], 1).await.remove(0);
    let mut tx = database.begin().await.unwrap();
    let delay = Duration::from_secs(600);
    let error = format!("\0{}", "é".repeat(1000));
    assert!(
        jobs::retry(&mut tx, dialect, &job, delay, &error)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    let stored = row(database, "a").await;
    assert_eq!((stored.state, stored.attempts), (JobState::Due, 1));
    assert_eq!(stored.last_error, Some("é".repeat(512)));
    let delayed = stored.next_try_at - job.leased_at;
    assert!((600_000..660_000).contains(&delayed), "{delayed} ms");
}

async fn an_end_that_was_rolled_back_leaves_the_job_leased(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let dialect = fresh.database.dialect();
    let database = &fresh.database;
    insert(database, &[mail("a", 0)]).await;
    let job = claim(database, &[0], 1).await.remove(0);
    let mut tx = database.begin().await.unwrap();
    assert!(jobs::finish(&mut tx, dialect, &job, None).await.unwrap());
    tx.rollback().await.unwrap();
    assert_eq!(row(database, "a").await.state, JobState::Leased);
    assert!(finish(database, &job, "again").await);
}

async fn jobs_are_listed_by_kind_order_and_state_the_newest_first(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    let mut charge = mail("charge", 0);
    charge.kind = "charge".into();
    charge.order_id = "order-1".into();
    insert(database, &[mail("1", 0), mail("2", 0), charge]).await;
    execute(
        database,
        "UPDATE jobs SET created_at = 5 WHERE job_id = '1'",
    )
    .await;
    let claimed = claim(database, &[0], 1).await;
    let state = claimed[0].job_id.clone();
    let list = async |filter: JobFilter, limit| {
        let rows = jobs::list(database, &filter, limit).await.unwrap();
        rows.into_iter().map(|row| row.job_id).collect::<Vec<_>>()
    };
    assert_eq!(list(JobFilter::default(), 9).await, ["2", "charge", "1"]);
    assert_eq!(list(JobFilter::default(), 1).await, ["2"]);
    let mut filter = JobFilter {
        kind: Some("mail".into()),
        ..JobFilter::default()
    };
    assert_eq!(list(filter.clone(), 9).await, ["2", "1"]);
    filter.state = Some(JobState::Leased);
    assert_eq!(list(filter.clone(), 9).await, [state]);
    filter.order_id = Some("order-2".into());
    filter.state = Some(JobState::Dead);
    assert_eq!(list(filter, 9).await, [""; 0]);
    let of_order = JobFilter {
        order_id: Some("order-1".into()),
        ..JobFilter::default()
    };
    assert_eq!(list(of_order, 9).await, ["charge", "1"]);
}

async fn only_a_dead_job_is_put_back_and_is_then_as_new(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let dialect = fresh.database.dialect();
    let database = &fresh.database;
    let mut old = mail("a", 0);
    old.age_from = Some(77);
    insert(database, &[old]).await;
    assert_eq!(row(database, "a").await.age_from, 77);
    assert!(!jobs::retry_dead(database, "a").await.unwrap());
    assert!(!jobs::retry_dead(database, "unknown").await.unwrap());
    let job = claim(database, &[0], 1).await.remove(0);
    let mut tx = database.begin().await.unwrap();
    assert!(jobs::die(&mut tx, dialect, &job, "refused").await.unwrap());
    tx.commit().await.unwrap();
    let dead = row(database, "a").await;
    assert_eq!(dead.state, JobState::Dead);
    assert_eq!(
        claim(database, &[0], 1).await,
        [],
        "dead jobs are not leased"
    );

    assert!(jobs::retry_dead(database, "a").await.unwrap());
    let back = row(database, "a").await;
    assert_eq!((back.state, back.attempts), (JobState::Due, 0));
    assert_eq!(back.last_error.as_deref(), Some("refused"));
    assert_eq!(back.finished_at, None);
    assert!(back.age_from >= back.created_at);
    assert_eq!(claim(database, &[0], 1).await[0].attempt, 1);
}

async fn looking_for_jobs_uses_the_index_of_open_jobs(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let plan = "EXPLAIN QUERY PLAN SELECT job_id FROM jobs WHERE kind = 'mail' \
                AND state IN ('due', 'leased') AND COALESCE(lease_until, next_try_at) <= 5 \
                ORDER BY COALESCE(lease_until, next_try_at), job_id LIMIT 3";
    let rows = sqlx::query_as::<_, (i64, i64, i64, String)>(plan);
    let rows = rows.fetch_all(fresh.database.pool()).await.unwrap();
    assert!(rows[0].3.contains("jobs_open"), "{rows:?}");
    assert_eq!(
        number(&fresh.database, "SELECT COUNT(*) FROM jobs").await,
        0
    );
}

/// Rule R5: what was leased once may have had its effect.
async fn only_a_job_that_was_never_leased_can_be_withdrawn(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    let new = ["failed", "leased", "new", "put back", "done"].map(|id| mail(id, 0));
    insert(database, &new).await;
    for change in [
        "attempts = 1, last_error = 'no answer' WHERE job_id = 'failed'",
        "attempts = 1, state = 'leased', lease_token = 'x', lease_until = 1 WHERE job_id = 'leased'",
        "attempts = 1, state = 'dead', last_error = 'refused' WHERE job_id = 'put back'",
        "attempts = 1, state = 'done' WHERE job_id = 'done'",
    ] {
        execute(database, &format!("UPDATE jobs SET {change}")).await;
    }
    assert!(jobs::retry_dead(database, "put back").await.unwrap());
    let all = ["done", "failed", "leased", "new", "put back", "unknown"].map(str::to_owned);
    for expected in [BTreeSet::from(["new".to_owned()]), BTreeSet::new()] {
        let mut tx = database.begin().await.unwrap();
        let withdrawn = jobs::withdraw(&mut tx, database.dialect(), &all, "not wanted").await;
        tx.commit().await.unwrap();
        assert_eq!(withdrawn.unwrap(), expected);
    }
    let withdrawn = row(database, "new").await;
    assert_eq!(withdrawn.state, JobState::Skipped);
    assert_eq!(withdrawn.result.as_deref(), Some("not wanted"));
    assert!(withdrawn.finished_at.is_some());
    let states = ["done", "failed", "leased", "put back"].map(|id| row(database, id));
    let states = futures_util::future::join_all(states).await;
    let states: Vec<JobState> = states.iter().map(|row| row.state).collect();
    assert_eq!(
        states,
        [
            JobState::Done,
            JobState::Due,
            JobState::Leased,
            JobState::Due
        ]
    );
}

/// Three jobs of the kind `mail`, a tried one and a new one among them, and one of another kind.
async fn of_two_kinds(database: &Database, state: &str) {
    let mut other = mail("other", 0);
    other.kind = "webhook/1".into();
    insert(database, &[mail("a", 0), mail("b", 0), mail("c", 0), other]).await;
    execute(database, &format!("UPDATE jobs SET state = '{state}'")).await;
    let tried = "UPDATE jobs SET attempts = 1, last_error = 'refused' WHERE job_id = 'a'";
    execute(database, tried).await;
    let leased = "UPDATE jobs SET state = 'leased', lease_token = 'x', lease_until = 1 \
                  WHERE job_id = 'c'";
    execute(database, leased).await;
}

async fn states(database: &Database) -> Vec<&'static str> {
    let ids = ["a", "b", "c", "other"].map(|id| row(database, id));
    let rows = futures_util::future::join_all(ids).await;
    rows.iter().map(|row| row.state.as_str()).collect()
}

async fn what_waits_of_one_kind_is_skipped_whether_it_was_tried_or_not(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    of_two_kinds(database, "due").await;
    let mut tx = database.begin().await.unwrap();
    let skipped = jobs::skip_due(&mut tx, database.dialect(), "mail", "not wanted").await;
    tx.commit().await.unwrap();
    assert_eq!(skipped.unwrap(), 2);
    assert_eq!(
        states(database).await,
        ["skipped", "skipped", "leased", "due"]
    );
    let skipped = row(database, "a").await;
    assert_eq!(skipped.result.as_deref(), Some("not wanted"));
    assert!(skipped.finished_at.is_some());
}

async fn the_dead_jobs_of_one_kind_are_put_back_all_or_one(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    of_two_kinds(database, "dead").await;
    for (id, expected) in [(Some("other"), 0), (Some("a"), 1), (Some("a"), 0)] {
        let back = jobs::retry_dead_of(database, "mail", id).await.unwrap();
        assert_eq!(back, expected, "{id:?}");
    }
    assert_eq!(states(database).await, ["due", "dead", "leased", "dead"]);
    let back = row(database, "a").await;
    assert_eq!((back.attempts, back.finished_at), (0, None));
    assert_eq!(
        jobs::retry_dead_of(database, "mail", None).await.unwrap(),
        1
    );
    assert_eq!(states(database).await, ["due", "due", "leased", "dead"]);
}
