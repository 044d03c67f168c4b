//! The database of a test, jobs to put into it, and waiting with a deadline.

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use service_runtime::{
    database::{Database, DatabaseConfig},
    jobs::{self, JobFilter, JobRow, NewJob},
};
use sqlx::{AssertSqlSafe, Executor};
use test_support::TestDatabase;
use tracing::subscriber::DefaultGuard;

/// A database of one test; its configuration opens it again, like a second process.
pub(crate) struct Fresh {
    pub(crate) config: DatabaseConfig,
    pub(crate) database: Database,
}

impl Fresh {
    /// A migrated database.
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let fresh = Self::empty(database).await;
        fresh.database.migrate(&[]).await.unwrap();
        fresh
    }

    /// A database without tables.
    pub(crate) async fn empty(database: TestDatabase) -> Self {
        let config = DatabaseConfig::new(database.url());
        let database = Database::open(&config).unwrap();
        Self { config, database }
    }

    /// A handle of its own, as another process would have.
    pub(crate) fn another(&self) -> Database {
        Database::open(&self.config).unwrap()
    }
}

/// Runs one statement without parameters.
pub(crate) async fn execute(database: &Database, sql: &str) -> u64 {
    let sql = AssertSqlSafe(sql.to_owned());
    database.pool().execute(sql).await.unwrap().rows_affected()
}

/// The one number that a query gives.
pub(crate) async fn number(database: &Database, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(database.pool())
        .await
        .unwrap()
}

/// A job of the kind `mail` for the order `order-ID`.
pub(crate) fn mail(id: &str, partition: i32) -> NewJob {
    NewJob {
        job_id: id.into(),
        kind: "mail".into(),
        order_id: format!("order-{id}"),
        partition,
        payload: format!(r#"{{"to":"{id}"}}"#),
        age_from: None,
        due_at: None,
    }
}

/// Inserts jobs in a transaction of their own; the number of new ones.
pub(crate) async fn insert(database: &Database, new: &[NewJob]) -> u64 {
    let mut tx = database.begin().await.unwrap();
    let inserted = jobs::insert(&mut tx, database.dialect(), new).await;
    tx.commit().await.unwrap();
    inserted.unwrap()
}

/// The stored job of this id.
pub(crate) async fn row(database: &Database, id: &str) -> JobRow {
    let rows = jobs::list(database, &JobFilter::default(), 1000).await;
    let mut rows = rows.unwrap().into_iter();
    rows.find(|row| row.job_id == id).expect("the job exists")
}

/// Waits until the condition holds, at most 40 seconds.
pub(crate) async fn eventually<F>(what: &str, condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    eventually_within(Duration::from_secs(40), what, condition).await;
}

/// Waits until the condition holds, at most so long.
pub(crate) async fn eventually_within<F>(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> F,
) where
    F: Future<Output = bool>,
{
    let deadline = Instant::now() + limit;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What this thread logs.
#[derive(Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// Captures until the guard is dropped.
    pub(crate) fn capture() -> (Self, DefaultGuard) {
        let logs = Self::default();
        let writer = logs.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (logs, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
