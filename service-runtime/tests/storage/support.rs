//! A fresh database per test.

use std::env;

use secrecy::SecretString;
use service_runtime::database::{Database, DatabaseConfig, Dialect};
use sqlx::{AssertSqlSafe, Executor};
use tempfile::TempDir;
use uuid::Uuid;

/// A database that exists for one test; its configuration opens it again, like a second process.
pub(crate) struct Fresh {
    pub(crate) config: DatabaseConfig,
    pub(crate) database: Database,
    schema: Option<(String, String)>,
    _folder: TempDir,
}

/// Which databases a test can have here.
pub(crate) fn dialects() -> Vec<Dialect> {
    let postgres = env::var("TEST_POSTGRES").is_ok();
    let mut dialects = vec![Dialect::Sqlite];
    dialects.extend(postgres.then_some(Dialect::Postgres));
    dialects
}

impl Fresh {
    /// A migrated database.
    pub(crate) async fn new(dialect: Dialect) -> Self {
        let fresh = Self::empty(dialect).await;
        fresh.database.migrate(&[]).await.unwrap();
        fresh
    }

    /// A database without tables.
    pub(crate) async fn empty(dialect: Dialect) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (url, schema) = match dialect {
            Dialect::Sqlite => {
                let file = folder.path().join("a folder").join("test.db");
                (format!("sqlite://{}", file.display()), None)
            }
            Dialect::Postgres => {
                let server = env::var("TEST_POSTGRES").unwrap();
                let schema = format!("test_{}", Uuid::now_v7().simple());
                run(&server, format!("CREATE SCHEMA {schema}")).await;
                let url = format!("{server}?options[search_path]={schema}");
                (url, Some((server, schema)))
            }
        };
        let config = DatabaseConfig::new(SecretString::from(url));
        let database = Database::open(&config).unwrap();
        assert_eq!(database.dialect(), dialect);
        Self {
            config,
            database,
            schema,
            _folder: folder,
        }
    }

    /// A handle of its own, as another process would have.
    pub(crate) fn another(&self) -> Database {
        Database::open(&self.config).unwrap()
    }

    /// Removes what the test left on a server.
    pub(crate) async fn remove(self) {
        self.database.close().await;
        if let Some((server, schema)) = self.schema {
            run(&server, format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }
}

async fn run(server: &str, sql: String) {
    let database = Database::open(&DatabaseConfig::new(server)).unwrap();
    database.pool().execute(AssertSqlSafe(sql)).await.unwrap();
    database.close().await;
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
