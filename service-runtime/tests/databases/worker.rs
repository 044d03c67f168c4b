//! The worker: what it runs, when it waits, and how it ends.

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusBuilder;
use service_runtime::{
    database::Database,
    jobs::{
        self, Backoff, GateError, HistoryGate, Job, JobHandler, JobResult, JobState, NewJob, Pause,
        Worker, WorkerConfig,
    },
    lifecycle::Shutdown,
};
use test_support::{Kind, Test, TestDatabase, test};
use tokio::{
    sync::{Barrier, Notify},
    task::JoinHandle,
};

use crate::support::{Fresh, Logs, eventually, execute, insert, mail, number, row};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_due_job_is_run_once_and_its_result_is_kept),
        test!(nothing_runs_before_its_partition_was_read_to_the_end),
        test!(a_job_that_falls_due_after_the_gate_was_asked_waits_for_the_next_time),
        test!(a_failed_job_is_tried_again_and_a_panic_counts_as_a_failure),
        test!(a_job_is_dead_after_its_last_attempt_or_at_once_when_it_never_works),
        test!(a_job_that_kills_its_worker_every_time_is_dead_in_the_end),
        test!(the_job_of_a_worker_that_died_is_taken_over),
        test!(an_attempt_that_hangs_is_cut_off_within_its_lease),
        test!(a_job_of_old_history_is_recorded_as_skipped),
        test!(a_notified_worker_does_not_wait_for_its_poll_interval),
        test!(a_run_of_failures_pauses_the_worker_until_one_job_gets_an_answer),
        test!(as_many_jobs_run_at_a_time_as_configured),
        test!(workers_that_share_a_database_run_each_job_once),
        test!(on_shutdown_running_jobs_finish_and_no_other_starts),
        test!(a_worker_outlives_a_database_that_fails),
        // The outage is the lock of the only writer.
        test!(a_result_is_recorded_when_the_database_is_back_without_running_again)
            .only(Kind::Sqlite),
        test!(jobs_are_counted_by_kind_result_and_state),
        test!(a_lost_lease_is_counted),
    ]
}

/// A handler out of a function; counts the attempts.
struct Handler<F> {
    function: F,
    attempts: Arc<AtomicUsize>,
}

impl<F> JobHandler for Handler<F>
where
    F: Fn(Job) -> BoxFuture<'static, JobResult> + Send + Sync + 'static,
{
    fn kind(&self) -> &'static str {
        "mail"
    }

    async fn run(&self, job: &Job) -> JobResult {
        self.attempts.fetch_add(1, SeqCst);
        (self.function)(job.clone()).await
    }
}

/// What the gate answers per partition (open unless said otherwise), and how often it was asked.
#[derive(Clone, Default)]
struct Gate {
    answers: Arc<Mutex<BTreeMap<i32, Option<bool>>>>,
    asked: Arc<AtomicUsize>,
}

impl Gate {
    fn set(&self, partition: i32, answer: Option<bool>) {
        self.answers.lock().unwrap().insert(partition, answer);
    }

    async fn is_asked(&self, more: usize) {
        let enough = self.asked.load(SeqCst) + more;
        eventually("the gate is asked", async || {
            self.asked.load(SeqCst) >= enough
        })
        .await;
    }
}

impl HistoryGate for Gate {
    async fn read_past_now(&self, partition: i32) -> Result<bool, GateError> {
        self.asked.fetch_add(1, SeqCst);
        let answer = self.answers.lock().unwrap().get(&partition).copied();
        answer
            .unwrap_or(Some(true))
            .ok_or_else(|| GateError("no broker".into()))
    }
}

struct Running {
    attempts: Arc<AtomicUsize>,
    gate: Gate,
    wake: Arc<Notify>,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self) -> usize {
        self.shutdown.trigger();
        self.task.await.unwrap();
        self.attempts.load(SeqCst)
    }
}

fn quick() -> WorkerConfig {
    WorkerConfig {
        poll_interval: Duration::from_millis(5),
        backoff: Backoff {
            initial: Duration::from_millis(1),
            max: Duration::from_millis(5),
        },
        ..WorkerConfig::default()
    }
}

fn start<F>(database: &Database, config: WorkerConfig, gate: &Gate, function: F) -> Running
where
    F: Fn(Job) -> BoxFuture<'static, JobResult> + Send + Sync + 'static,
{
    let (attempts, wake) = (Arc::default(), Arc::new(Notify::new()));
    let handler = Handler {
        function,
        attempts: Arc::clone(&attempts),
    };
    let worker = Worker::new(
        database.clone(),
        handler,
        gate.clone(),
        config,
        Arc::clone(&wake),
    );
    let shutdown = Shutdown::new();
    Running {
        attempts,
        gate: gate.clone(),
        wake,
        task: tokio::spawn(worker.run(shutdown.clone())),
        shutdown,
    }
}

fn done(job: Job) -> BoxFuture<'static, JobResult> {
    Box::pin(async move {
        JobResult::Done {
            result: Some(format!("sent {}", job.payload)),
        }
    })
}

fn failing(_: Job) -> BoxFuture<'static, JobResult> {
    Box::pin(async {
        JobResult::Retry {
            error: "451 later".into(),
        }
    })
}

async fn ended(database: &Database, id: &str, state: JobState) {
    eventually("the job ends", async || {
        row(database, id).await.state == state
    })
    .await;
}

async fn a_due_job_is_run_once_and_its_result_is_kept(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    insert(&fresh.database, &[mail("a", 0)]).await;
    let running = start(&fresh.database, quick(), &Gate::default(), done);
    ended(&fresh.database, "a", JobState::Done).await;
    let stored = row(&fresh.database, "a").await;
    assert_eq!(stored.result.as_deref(), Some(r#"sent {"to":"a"}"#));
    running.gate.asked.store(0, SeqCst);
    assert_eq!(running.stop().await, 1);
}

async fn nothing_runs_before_its_partition_was_read_to_the_end(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    let gate = Gate::default();
    gate.set(0, Some(false));
    gate.set(1, None);
    insert(database, &[mail("behind", 0), mail("unknown", 1)]).await;
    let running = start(database, quick(), &gate, done);
    gate.is_asked(10).await;
    for id in ["behind", "unknown"] {
        let stored = row(database, id).await;
        assert_eq!((stored.state, stored.attempts), (JobState::Due, 0), "{id}");
    }
    // A partition that is behind does not hold up another one.
    insert(database, &[mail("current", 2)]).await;
    ended(database, "current", JobState::Done).await;
    assert_eq!(running.attempts.load(SeqCst), 1);
    gate.set(0, Some(true));
    ended(database, "behind", JobState::Done).await;
    gate.set(1, Some(true));
    ended(database, "unknown", JobState::Done).await;
    assert_eq!(running.stop().await, 3);
}

/// Passes the first time it is asked, and while being asked lets another job fall due.
struct Racing {
    database: Database,
    asked: Arc<AtomicUsize>,
}

impl HistoryGate for Racing {
    async fn read_past_now(&self, _: i32) -> Result<bool, GateError> {
        let first = self.asked.fetch_add(1, SeqCst) == 0;
        if first {
            let due = row(&self.database, "a").await.next_try_at;
            let clock = format!("SELECT {}", self.database.dialect().now_ms());
            eventually("the clock goes on", async || {
                number(&self.database, &clock).await > due + 1
            })
            .await;
            insert(&self.database, &[mail("b", 0)]).await;
        }
        Ok(first)
    }
}

async fn a_job_that_falls_due_after_the_gate_was_asked_waits_for_the_next_time(
    database: TestDatabase,
) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    insert(database, &[mail("a", 0)]).await;
    // In the millisecond in which the worker looks, nothing else may fall due.
    execute(database, "UPDATE jobs SET next_try_at = 1").await;
    let asked = Arc::new(AtomicUsize::new(0));
    let handler = Handler {
        function: done,
        attempts: Arc::default(),
    };
    let gate = Racing {
        database: database.clone(),
        asked: Arc::clone(&asked),
    };
    let wake = Arc::new(Notify::new());
    let shutdown = Shutdown::new();
    let worker = Worker::new(database.clone(), handler, gate, quick(), wake);
    let task = tokio::spawn(worker.run(shutdown.clone()));
    eventually("the gate is asked again", async || asked.load(SeqCst) > 3).await;
    ended(database, "a", JobState::Done).await;
    assert_eq!(row(database, "b").await.attempts, 0);
    shutdown.trigger();
    task.await.unwrap();
}

async fn a_failed_job_is_tried_again_and_a_panic_counts_as_a_failure(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    insert(&fresh.database, &[mail("a", 0)]).await;
    let running = start(
        &fresh.database,
        quick(),
        &Gate::default(),
        |job| match job.attempt {
            1 => failing(job),
            // Without the hook, whose report would look like a failure of this test.
            2 => Box::pin(async { resume_unwind(Box::new("no such template")) }),
            _ => done(job),
        },
    );
    ended(&fresh.database, "a", JobState::Done).await;
    let stored = row(&fresh.database, "a").await;
    assert_eq!(stored.attempts, 3);
    let error = stored.last_error.unwrap();
    assert_eq!(error, "the handler panicked: no such template");
    assert_eq!(running.stop().await, 3);
}

async fn a_job_is_dead_after_its_last_attempt_or_at_once_when_it_never_works(
    database: TestDatabase,
) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    insert(database, &[mail("retried", 0), mail("refused", 0)]).await;
    let config = WorkerConfig {
        max_attempts: Some(3),
        ..quick()
    };
    let (logs, _guard) = Logs::capture();
    let running = start(database, config, &Gate::default(), |job| {
        if job.job_id == "retried" {
            return failing(job);
        }
        let error = "550 no such user".into();
        Box::pin(async { JobResult::Dead { error } })
    });
    ended(database, "retried", JobState::Dead).await;
    ended(database, "refused", JobState::Dead).await;
    let retried = row(database, "retried").await;
    assert_eq!(retried.attempts, 3);
    assert_eq!(retried.last_error.as_deref(), Some("451 later"));
    let refused = row(database, "refused").await;
    assert_eq!(refused.attempts, 1);
    assert_eq!(refused.last_error.as_deref(), Some("550 no such user"));
    assert_eq!(running.stop().await, 4);
    let logs = logs.text();
    assert!(
        logs.contains("A job failed for good and waits for an operator."),
        "{logs}"
    );
    // What the other side answers may name a customer.
    assert!(!logs.contains("no such user"), "{logs}");
}

async fn a_job_that_kills_its_worker_every_time_is_dead_in_the_end(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    insert(database, &[mail("a", 0)]).await;
    let crashed = "UPDATE jobs SET state = 'leased', lease_token = 'gone', lease_until = 1, \
                   attempts = 3";
    execute(database, crashed).await;
    let config = WorkerConfig {
        max_attempts: Some(3),
        ..quick()
    };
    let running = start(database, config, &Gate::default(), done);
    ended(database, "a", JobState::Dead).await;
    let error = row(database, "a").await.last_error.unwrap();
    assert_eq!(error, "no result after 3 attempts");
    assert_eq!(running.stop().await, 0);
}

async fn the_job_of_a_worker_that_died_is_taken_over(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    insert(database, &[mail("a", 0)]).await;
    let stuck = start(database, quick(), &Gate::default(), |_| {
        Box::pin(std::future::pending())
    });
    ended(database, "a", JobState::Leased).await;
    stuck.task.abort();
    assert!(stuck.task.await.unwrap_err().is_cancelled());
    let running = start(database, quick(), &Gate::default(), done);
    execute(database, "UPDATE jobs SET lease_until = 1").await;
    ended(database, "a", JobState::Done).await;
    assert_eq!(row(database, "a").await.attempts, 2);
    assert_eq!(running.stop().await, 1);
}

async fn an_attempt_that_hangs_is_cut_off_within_its_lease(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    insert(&fresh.database, &[mail("a", 0)]).await;
    let config = WorkerConfig {
        lease: Duration::from_secs(5),
        // Nobody takes the job over should recording take longer than what is left of its lease.
        poll_interval: Duration::from_secs(3600),
        ..quick()
    };
    let running = start(&fresh.database, config, &Gate::default(), |job| {
        if job.attempt == 1 {
            Box::pin(std::future::pending())
        } else {
            done(job)
        }
    });
    ended(&fresh.database, "a", JobState::Leased).await;
    ended(&fresh.database, "a", JobState::Due).await;
    let stored = row(&fresh.database, "a").await;
    let error = stored.last_error.unwrap();
    assert_eq!(error, "the attempt took longer than its lease");
    eventually("the next attempt", async || {
        running.wake.notify_one();
        row(&fresh.database, "a").await.state == JobState::Done
    })
    .await;
    assert_eq!(running.stop().await, 2);
}

async fn a_job_of_old_history_is_recorded_as_skipped(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let mut old = mail("old", 0);
    old.age_from = Some(1_000);
    insert(&fresh.database, &[old, mail("new", 0)]).await;
    let config = WorkerConfig {
        max_age: Some(Duration::from_secs(86_400)),
        ..quick()
    };
    let running = start(&fresh.database, config, &Gate::default(), done);
    ended(&fresh.database, "old", JobState::Skipped).await;
    ended(&fresh.database, "new", JobState::Done).await;
    let reason = row(&fresh.database, "old").await.result.unwrap();
    assert!(reason.ends_with("s old, more than 86400s"), "{reason}");
    assert_eq!(running.stop().await, 1);
}

async fn a_notified_worker_does_not_wait_for_its_poll_interval(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let config = WorkerConfig {
        poll_interval: Duration::from_secs(3600),
        ..quick()
    };
    let running = start(&fresh.database, config, &Gate::default(), done);
    for id in ["a", "b", "c"] {
        insert(&fresh.database, &[mail(id, 0)]).await;
        running.wake.notify_one();
        ended(&fresh.database, id, JobState::Done).await;
    }
    running.stop().await;
}

async fn a_run_of_failures_pauses_the_worker_until_one_job_gets_an_answer(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    let new: Vec<NewJob> = (0..6).map(|id| mail(&id.to_string(), 0)).collect();
    insert(database, &new).await;
    let long = Duration::from_millis(400);
    let config = WorkerConfig {
        concurrency: 1,
        pause: Some(Pause {
            after: 3,
            backoff: Backoff {
                initial: long,
                max: long,
            },
        }),
        ..quick()
    };
    let (logs, _guard) = Logs::capture();
    let down = Arc::new(AtomicBool::new(true));
    let begun = Arc::new(Mutex::new(Vec::new()));
    let (is_down, begins) = (Arc::clone(&down), Arc::clone(&begun));
    let running = start(database, config, &Gate::default(), move |job| {
        begins.lock().unwrap().push(Instant::now());
        match is_down.load(SeqCst) {
            true => failing(job),
            false => done(job),
        }
    });
    let paused = "Jobs pause after a run of failures.";
    let pauses = || logs.text().matches(paused).count();
    eventually("a pause", async || pauses() == 1).await;
    assert_eq!(running.attempts.load(SeqCst), 3);
    eventually("another pause", async || pauses() == 2).await;
    assert_eq!(running.attempts.load(SeqCst), 4, "one job finds out");
    let rest = {
        let begun = begun.lock().unwrap();
        begun[3] - begun[2]
    };
    assert!(rest >= long, "{rest:?}");
    down.store(false, SeqCst);
    let count = "SELECT COUNT(*) FROM jobs WHERE state = 'done'";
    eventually("all jobs are done", async || {
        number(database, count).await == 6
    })
    .await;
    assert_eq!(running.stop().await, 10);
}

async fn as_many_jobs_run_at_a_time_as_configured(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let new: Vec<NewJob> = (0..9).map(|id| mail(&id.to_string(), 0)).collect();
    insert(&fresh.database, &new).await;
    let config = WorkerConfig {
        concurrency: 3,
        batch: 2,
        ..quick()
    };
    // Three at a time get past the barrier; a fourth one would be counted.
    let barrier = Arc::new(Barrier::new(3));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&most);
    let running = start(&fresh.database, config, &Gate::default(), move |job| {
        let (barrier, now, most) = (barrier.clone(), now.clone(), most.clone());
        Box::pin(async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            barrier.wait().await;
            now.fetch_sub(1, SeqCst);
            done(job).await
        })
    });
    let count = "SELECT COUNT(*) FROM jobs WHERE state = 'done'";
    eventually("all jobs are done", async || {
        number(&fresh.database, count).await == 9
    })
    .await;
    assert_eq!(counted.load(SeqCst), 3);
    assert_eq!(running.stop().await, 9);
}

async fn workers_that_share_a_database_run_each_job_once(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let new: Vec<NewJob> = (0..60).map(|id| mail(&id.to_string(), id % 3)).collect();
    insert(&fresh.database, &new).await;
    let workers = (0..3).map(|_| start(&fresh.another(), quick(), &Gate::default(), done));
    let workers: Vec<Running> = workers.collect();
    let count = "SELECT COUNT(*) FROM jobs WHERE state = 'done'";
    eventually("all jobs are done", async || {
        number(&fresh.database, count).await == 60
    })
    .await;
    let mut attempts = 0;
    for worker in workers {
        attempts += worker.stop().await;
    }
    assert_eq!(attempts, 60);
}

async fn on_shutdown_running_jobs_finish_and_no_other_starts(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    insert(database, &[mail("a", 0)]).await;
    let go = Arc::new(Notify::new());
    let blocked = Arc::clone(&go);
    let running = start(database, quick(), &Gate::default(), move |job| {
        let go = Arc::clone(&blocked);
        Box::pin(async move {
            go.notified().await;
            done(job).await
        })
    });
    eventually("the job runs", async || running.attempts.load(SeqCst) == 1).await;
    running.shutdown.trigger();
    insert(database, &[mail("b", 0)]).await;
    running.wake.notify_one();
    assert!(!running.task.is_finished());
    go.notify_one();
    assert_eq!(running.stop().await, 1);
    assert_eq!(row(database, "a").await.state, JobState::Done);
    assert_eq!(row(database, "b").await.state, JobState::Due);
}

async fn a_worker_outlives_a_database_that_fails(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    insert(database, &[mail("a", 0)]).await;
    execute(database, "ALTER TABLE jobs RENAME TO away").await;
    let (logs, _guard) = Logs::capture();
    let running = start(database, quick(), &Gate::default(), done);
    eventually("the worker fails", async || {
        logs.text().contains("Jobs cannot be leased.")
    })
    .await;
    execute(database, "ALTER TABLE away RENAME TO jobs").await;
    ended(database, "a", JobState::Done).await;
    assert_eq!(running.stop().await, 1);
}

async fn a_result_is_recorded_when_the_database_is_back_without_running_again(
    database: TestDatabase,
) {
    let fresh = Fresh::new(database).await;
    let mut config = fresh.config.clone();
    config.acquire_timeout = Duration::from_millis(20);
    // Of the worker alone: the test itself has more patience.
    let impatient = Database::open(&config).unwrap();
    let database = &fresh.database;
    insert(database, &[mail("a", 0)]).await;
    let (logs, _guard) = Logs::capture();
    let other = fresh.another();
    let lock = Arc::new(Mutex::new(None));
    let locked = Arc::clone(&lock);
    let running = start(&impatient, quick(), &Gate::default(), move |job| {
        let (other, lock) = (other.clone(), Arc::clone(&locked));
        Box::pin(async move {
            let tx = other.begin().await.unwrap();
            *lock.lock().unwrap() = Some(tx);
            done(job).await
        })
    });
    eventually("the job has run", async || lock.lock().unwrap().is_some()).await;
    eventually("recording fails", async || {
        logs.text().contains("A job's result is not recorded yet.")
    })
    .await;
    assert_eq!(row(database, "a").await.state, JobState::Leased);
    drop(lock.lock().unwrap().take());
    ended(database, "a", JobState::Done).await;
    assert_eq!(running.stop().await, 1);
}

async fn jobs_are_counted_by_kind_result_and_state(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let database = &fresh.database;
    // Of this thread, on which the runtime of this test runs all tasks.
    let recorder = PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let gate = Gate::default();
    gate.set(1, Some(false));
    let mut waiting = mail("waiting", 1);
    waiting.age_from = Some(1);
    insert(database, &[mail("good", 0), mail("bad", 0), waiting]).await;
    let config = WorkerConfig {
        max_attempts: Some(2),
        ..quick()
    };
    let running = start(database, config, &gate, |job| match &*job.job_id {
        "good" => done(job),
        _ => failing(job),
    });
    let expected = [
        r#"jobs_finished_total{kind="mail",state="done"} 1"#,
        r#"jobs_finished_total{kind="mail",state="dead"} 1"#,
        r#"job_attempts_total{kind="mail",result="done"} 1"#,
        r#"job_attempts_total{kind="mail",result="retry"} 1"#,
        r#"job_attempts_total{kind="mail",result="dead"} 1"#,
        r#"jobs_dead{kind="mail"} 1"#,
        r#"jobs_due{kind="mail"} 1"#,
    ];
    for line in expected {
        eventually(line, async || recorder.handle().render().contains(line)).await;
    }
    let age = r#"jobs_oldest_due_seconds{kind="mail"} "#;
    eventually(age, async || {
        let text = recorder.handle().render();
        let age = text.lines().find_map(|line| line.strip_prefix(age));
        age.is_some_and(|age| age.parse::<f64>().unwrap() > 0.0)
    })
    .await;
    running.stop().await;
    jobs::metrics::retired("mail");
    for gauge in ["jobs_dead", "jobs_due", "jobs_oldest_due_seconds"] {
        let line = format!("{gauge}{{kind=\"mail\"}} 0\n");
        let text = recorder.handle().render();
        assert!(text.contains(&line), "{text}");
    }
}

async fn a_lost_lease_is_counted(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    insert(&fresh.database, &[mail("a", 0)]).await;
    let database = fresh.database.clone();
    let running = start(&fresh.database, quick(), &Gate::default(), move |job| {
        let database = database.clone();
        Box::pin(async move {
            execute(&database, "UPDATE jobs SET lease_token = 'another'").await;
            done(job).await
        })
    });
    let line = r#"jobs_lease_lost_total{kind="mail"} 1"#;
    eventually(line, async || recorder.handle().render().contains(line)).await;
    running.stop().await;
    let stored = row(&fresh.database, "a").await;
    assert_eq!((stored.state, stored.result), (JobState::Leased, None));
}
