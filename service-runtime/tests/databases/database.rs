//! Opening, migrating, transactions, and the classes of real errors.

use std::time::{Duration, SystemTime};

use service_runtime::database::{Database, DatabaseConfig, DatabaseError, ErrorClass, sql};
use sqlx::{AssertSqlSafe, Executor};
use test_support::{Kind, Test, TestDatabase, test};
use tokio::time::timeout;

use crate::support::{Fresh, execute, number};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(sqlite_runs_durable_with_foreign_keys_and_patience).only(Kind::Sqlite),
        test!(postgres_sessions_let_go_of_their_locks).only(Kind::Postgres),
        test!(a_transaction_that_froze_loses_its_row_locks).only(Kind::Postgres),
        test!(a_url_that_cannot_work_is_refused_without_quoting_it, no database),
        test!(a_server_that_is_down_can_be_opened_and_is_unavailable, no database),
        test!(instances_that_start_together_migrate_once),
        test!(a_database_of_a_newer_program_is_refused_and_the_lock_is_released),
        test!(a_dropped_transaction_leaves_nothing_and_frees_the_writer),
        test!(writers_that_read_and_then_write_lose_no_update),
        test!(a_writer_that_waits_too_long_is_told_to_try_again).only(Kind::Sqlite),
        test!(errors_of_a_real_database_have_their_class),
        test!(a_full_disk_is_unavailable).only(Kind::Sqlite),
        test!(a_deadlock_on_postgres_is_to_be_tried_again).only(Kind::Postgres),
        test!(the_clock_of_the_database_is_in_milliseconds),
        test!(multi_row_statements_work_with_one_text),
    ]
}

async fn sqlite_runs_durable_with_foreign_keys_and_patience(database: TestDatabase) {
    let fresh = Fresh::empty(database).await;
    let database = &fresh.database;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(mode, "wal");
    assert_eq!(number(database, "PRAGMA synchronous").await, 2, "2 is FULL");
    assert_eq!(number(database, "PRAGMA foreign_keys").await, 1);
    assert_eq!(number(database, "PRAGMA busy_timeout").await, 3000);
}

async fn postgres_sessions_let_go_of_their_locks(database: TestDatabase) {
    let fresh = Fresh::empty(database).await;
    for setting in ["statement_timeout", "idle_in_transaction_session_timeout"] {
        let sql = format!("SELECT current_setting('{setting}')");
        let value: String = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(fresh.database.pool())
            .await
            .unwrap();
        assert_eq!(value, "1min", "{setting}");
    }
}

async fn a_transaction_that_froze_loses_its_row_locks(database: TestDatabase) {
    let fresh = Fresh::empty(database).await;
    execute(&fresh.database, "CREATE TABLE t (a BIGINT)").await;
    execute(&fresh.database, "INSERT INTO t VALUES (1)").await;
    let mut config = fresh.config.clone();
    config.statement_timeout = Duration::from_secs(2);
    let impatient = Database::open(&config).unwrap();
    let mut frozen = impatient.begin().await.unwrap();
    frozen.execute("UPDATE t SET a = 2").await.unwrap();
    // Waits for the row until the server ends the idle transaction.
    assert_eq!(execute(&fresh.database, "UPDATE t SET a = a + 10").await, 1);
    let error = frozen.commit().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    assert_eq!(number(&fresh.database, "SELECT a FROM t").await, 11);

    let slow = impatient.pool().execute("SELECT pg_sleep(60)").await;
    let error = DatabaseError::from(slow.unwrap_err());
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    impatient.close().await;
}

async fn a_url_that_cannot_work_is_refused_without_quoting_it() {
    for (url, reason) in [
        ("mysql://root:hunter2@localhost/db", "neither with sqlite:"),
        ("hunter2", "neither with sqlite:"),
        ("sqlite::memory:", "in memory"),
        ("sqlite://x?mode=memory&cache=shared", "in memory"),
        ("sqlite://", "in memory"),
        ("postgres://user:hunter2@host:port/db", "port"),
    ] {
        let error = Database::open(&DatabaseConfig::new(url)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(reason), "{url}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(error.class(), ErrorClass::Bug);
    }
}

async fn a_server_that_is_down_can_be_opened_and_is_unavailable() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let mut config = DatabaseConfig::new(format!("postgres://nobody@127.0.0.1:{port}/none"));
    config.acquire_timeout = Duration::from_millis(100);
    let database = Database::open(&config).unwrap();
    let error = database.begin().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    let error = database.migrate(&[]).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
}

async fn instances_that_start_together_migrate_once(database: TestDatabase) {
    let fresh = Fresh::empty(database).await;
    let starts = (0..4).map(|_| {
        let instance = fresh.another();
        tokio::spawn(async move { instance.migrate(&[]).await })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap().unwrap();
    }
    fresh.database.migrate(&[]).await.unwrap();
    let applied = "SELECT COUNT(*) FROM _sqlx_migrations WHERE version = 1";
    assert_eq!(number(&fresh.database, applied).await, 1);
    assert_eq!(
        number(&fresh.database, "SELECT COUNT(*) FROM jobs").await,
        0
    );
}

async fn a_database_of_a_newer_program_is_refused_and_the_lock_is_released(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let newer = "UPDATE _sqlx_migrations SET version = 999999 WHERE version = 1";
    assert_eq!(execute(&fresh.database, newer).await, 1);
    for _ in 0..2 {
        let error = timeout(Duration::from_secs(20), fresh.database.migrate(&[]))
            .await
            .expect("the lock of the failed run was kept")
            .unwrap_err();
        assert_eq!(error.class(), ErrorClass::Bug);
        assert!(error.to_string().contains("999999"), "{error}");
    }
}

async fn a_dropped_transaction_leaves_nothing_and_frees_the_writer(database: TestDatabase) {
    let fresh = Fresh::empty(database).await;
    let database = &fresh.database;
    execute(database, "CREATE TABLE t (a BIGINT NOT NULL)").await;
    let mut tx = database.begin().await.unwrap();
    tx.execute("INSERT INTO t VALUES (1)").await.unwrap();
    drop(tx);
    let mut tx = database.begin().await.unwrap();
    tx.execute("INSERT INTO t VALUES (2)").await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = database.begin().await.unwrap();
    tx.execute("INSERT INTO t VALUES (4)").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(number(database, "SELECT a FROM t").await, 4);
}

async fn writers_that_read_and_then_write_lose_no_update(database: TestDatabase) {
    let fresh = Fresh::empty(database).await;
    let create = "CREATE TABLE t (a BIGINT NOT NULL)";
    execute(&fresh.database, create).await;
    execute(&fresh.database, "INSERT INTO t VALUES (0)").await;
    // Half of the writers have a pool of their own, like another process.
    let writers = (0..8).map(|n| {
        let shared = fresh.database.clone();
        let database = if n % 2 == 0 { shared } else { fresh.another() };
        tokio::spawn(async move {
            for _ in 0..10 {
                add_one(&database).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(number(&fresh.database, "SELECT a FROM t").await, 80);
}

async fn add_one(database: &Database) {
    let mut tx = database.begin().await.unwrap();
    let read = format!("SELECT a FROM t{}", database.dialect().for_update());
    let a: i64 = sqlx::query_scalar(AssertSqlSafe(read))
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let update = sqlx::query("UPDATE t SET a = $1").bind(a + 1);
    update.execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_writer_that_waits_too_long_is_told_to_try_again(database: TestDatabase) {
    let fresh = Fresh::empty(database).await;
    let mut config = fresh.config.clone();
    config.acquire_timeout = Duration::from_secs(1);
    let database = Database::open(&config).unwrap();
    let same_process = database.begin().await.unwrap();
    let error = database.begin().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Again, "{error}");
    drop(same_process);

    let _other_process = fresh.database.begin().await.unwrap();
    let error = database.begin().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Again, "{error}");
    assert!(error.to_string().contains("database is locked"), "{error}");
}

async fn errors_of_a_real_database_have_their_class(database: TestDatabase) {
    let fresh = Fresh::empty(database).await;
    let create = "CREATE TABLE t (a BIGINT PRIMARY KEY CHECK (a > 0))";
    execute(&fresh.database, create).await;
    execute(&fresh.database, "INSERT INTO t VALUES (1)").await;
    for (sql, unique) in [
        ("INSERT INTO t VALUES (1)", true),
        ("INSERT INTO t VALUES (0)", false),
        ("SELECT * FROM nowhere", false),
    ] {
        let error = fresh.database.pool().execute(sql).await.unwrap_err();
        let error = DatabaseError::from(error);
        assert_eq!(error.class(), ErrorClass::Bug, "{error}");
        assert_eq!(error.is_unique_violation(), unique, "{error}");
    }
}

async fn a_full_disk_is_unavailable(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let mut tx = fresh.database.begin().await.unwrap();
    tx.execute("PRAGMA max_page_count = 1").await.unwrap();
    let error = tx.execute("CREATE TABLE t (a TEXT)").await.unwrap_err();
    let error = DatabaseError::from(error);
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
}

async fn a_deadlock_on_postgres_is_to_be_tried_again(database: TestDatabase) {
    let fresh = Fresh::empty(database).await;
    execute(
        &fresh.database,
        "CREATE TABLE t (k BIGINT PRIMARY KEY, a BIGINT)",
    )
    .await;
    execute(&fresh.database, "INSERT INTO t VALUES (1, 0), (2, 0)").await;
    let (mut one, mut two) = (
        fresh.database.begin().await.unwrap(),
        fresh.database.begin().await.unwrap(),
    );
    one.execute("UPDATE t SET a = 1 WHERE k = 1").await.unwrap();
    two.execute("UPDATE t SET a = 1 WHERE k = 2").await.unwrap();
    let (left, right) = tokio::join!(one.execute("UPDATE t SET a = 1 WHERE k = 2"), async {
        let result = two.execute("UPDATE t SET a = 1 WHERE k = 1").await;
        // Ends the transaction, so that the other one goes on.
        two.rollback().await.unwrap();
        result
    });
    let error = left
        .err()
        .or_else(|| right.err())
        .expect("one of them is the victim");
    drop(one);
    let error = DatabaseError::from(error);
    assert_eq!(error.class(), ErrorClass::Again, "{error}");
}

async fn the_clock_of_the_database_is_in_milliseconds(database: TestDatabase) {
    let fresh = Fresh::empty(database).await;
    let dialect = fresh.database.dialect();
    let sql = format!("SELECT {}", dialect.now_ms());
    let database_ms = number(&fresh.database, &sql).await;
    let here = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let here_ms = i64::try_from(here.unwrap().as_millis()).unwrap();
    let apart = (here_ms - database_ms).abs();
    assert!(apart < 60_000, "{database_ms} against {here_ms}");
}

async fn multi_row_statements_work_with_one_text(database: TestDatabase) {
    let fresh = Fresh::empty(database).await;
    let database = &fresh.database;
    execute(database, "CREATE TABLE t (k TEXT PRIMARY KEY, a BIGINT)").await;
    let mut rows = vec![("a", Some(1_i64)), ("b", None), ("c", Some(3))];
    sql::pad(&mut rows);
    let values = sql::rows(rows.len(), &["TEXT", "BIGINT"], 1);
    let insert = format!("INSERT INTO t VALUES {values} ON CONFLICT DO NOTHING");
    let mut query = sqlx::query(AssertSqlSafe(insert));
    for (key, a) in &rows {
        query = query.bind(*key).bind(*a);
    }
    let done = query.execute(database.pool()).await.unwrap();
    assert_eq!(done.rows_affected(), 3);
    let list = sql::placeholders(2, 1);
    let select = format!("SELECT SUM(a + 0) FROM t WHERE k IN ({list}) AND a IS NOT NULL");
    let select = format!("SELECT CAST(({select}) AS BIGINT)");
    let sum: i64 = sqlx::query_scalar(AssertSqlSafe(select))
        .bind("a")
        .bind("c")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(sum, 4);
}
