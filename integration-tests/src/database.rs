//! The services' databases: where they are, and what stands in them after the fact.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use service_runtime::database::{Database, DatabaseConfig};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use test_support::containers::PostgresServer;

use crate::broker::{self, Choice};
use crate::shared::Shared;

static POSTGRES: Shared<PostgresServer> = Shared::new();

/// Where the services of one system have their databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Databases {
    /// SQLite files in a folder.
    Files(PathBuf),
    /// On a PostgreSQL server, for each service a schema that is all it sees.
    Schemas {
        /// URL of the server's database.
        server: String,
        /// What the names of this system's schemas begin with.
        prefix: String,
    },
}

impl Databases {
    /// On the suite's PostgreSQL if it runs on containers, else in `folder`.
    ///
    /// # Panics
    /// The server does not start.
    pub(crate) fn of_suite(folder: &Path, system: &str) -> Self {
        if !matches!(broker::choose(), Ok(Choice::Container)) {
            return Self::Files(folder.to_owned());
        }
        let start = || PostgresServer::start().expect("a PostgreSQL in a container");
        POSTGRES.with(start, |server| Self::on(server.url(), system))
    }

    /// On the PostgreSQL server at this URL.
    #[must_use]
    pub fn on(server: &str, system: &str) -> Self {
        Self::Schemas {
            server: server.to_owned(),
            prefix: format!("system_{system}"),
        }
    }

    /// The `DATABASE_URL` of `service`.
    #[must_use]
    pub fn url(&self, service: &str) -> String {
        match self {
            Self::Files(folder) => {
                format!(
                    "sqlite://{}",
                    folder.join(format!("{service}.db")).display()
                )
            }
            Self::Schemas { server, prefix } => {
                format!("{server}?options[search_path]={prefix}_{service}")
            }
        }
    }

    /// Has nothing left in the database of `service`, whose processes have ended.
    ///
    /// # Panics
    /// The server or the file system refuses.
    pub(crate) async fn empty(&self, service: &str) {
        match self {
            Self::Files(folder) => {
                for ending in ["", "-wal", "-shm"] {
                    let file = folder.join(format!("{service}.db{ending}"));
                    if file.exists() {
                        std::fs::remove_file(file).unwrap();
                    }
                }
            }
            Self::Schemas { server, prefix } => {
                let database = Database::open(&DatabaseConfig::new(server.as_str())).unwrap();
                let sql = AssertSqlSafe(format!("DROP SCHEMA {prefix}_{service} CASCADE"));
                sqlx::query(sql).execute(database.pool()).await.unwrap();
                database.close().await;
                self.prepare(&[service]).await;
            }
        }
    }

    /// Makes what has to be there before `services` start.
    ///
    /// # Panics
    /// The server refuses.
    pub(crate) async fn prepare(&self, services: &[&str]) {
        if let Self::Schemas { server, prefix } = self {
            let database = Database::open(&DatabaseConfig::new(server.as_str())).unwrap();
            for service in services {
                let sql = AssertSqlSafe(format!("CREATE SCHEMA {prefix}_{service}"));
                sqlx::query(sql).execute(database.pool()).await.unwrap();
            }
            database.close().await;
        }
    }
}

/// Ends the suite's PostgreSQL and removes its container.
pub(crate) fn end() {
    POSTGRES.end();
}

/// Folded status of every order in the database of a service, by order id. Where two participants of
/// the service differ it is both.
///
/// # Panics
/// The database cannot be read.
pub async fn statuses(url: &str) -> BTreeMap<String, String> {
    let select = "SELECT order_id, CASE WHEN MIN(status) = MAX(status) THEN MIN(status) \
                  ELSE MIN(status) || ' and ' || MAX(status) END \
                  FROM participant_orders GROUP BY order_id";
    pairs(url, select).await
}

/// State of every reservation in the stock service's database, by order id.
///
/// # Panics
/// The database cannot be read.
pub async fn reservations(url: &str) -> BTreeMap<String, String> {
    pairs(url, "SELECT order_id, state FROM reservations").await
}

/// State of every payment in the payment service's database, by order id.
///
/// # Panics
/// The database cannot be read.
pub async fn payments(url: &str) -> BTreeMap<String, String> {
    pairs(url, "SELECT order_id, state FROM payments").await
}

/// What the sandbox gateway's own books say that it did, each with the order's id: `charge`, `refund`.
///
/// # Panics
/// The database cannot be read.
pub async fn gateway_books(url: &str) -> Vec<(String, String)> {
    rows(
        url,
        "SELECT order_id, operation FROM sandbox_ledger WHERE answer = 'accepted'",
    )
    .await
}

/// State of every shipment in the shipping service's database, by order id.
///
/// # Panics
/// The database cannot be read.
pub async fn shipments(url: &str) -> BTreeMap<String, String> {
    pairs(url, "SELECT order_id, state FROM shipments").await
}

/// State of every job in a database, by its id.
///
/// # Panics
/// The database cannot be read.
pub async fn jobs(url: &str) -> BTreeMap<String, String> {
    pairs(url, "SELECT job_id, state FROM jobs").await
}

/// State of every job in a database and how often it was attempted, by its id.
///
/// # Panics
/// The database cannot be read.
pub async fn attempts(url: &str) -> BTreeMap<String, (String, i64)> {
    let database = Database::open(&DatabaseConfig::new(url)).unwrap();
    let jobs = "SELECT job_id, state, attempts FROM jobs";
    let jobs: Vec<AnyRow> = sqlx::query(jobs).fetch_all(database.pool()).await.unwrap();
    database.close().await;
    jobs.iter()
        .map(|row| (row.get(0), (row.get(1), row.get(2))))
        .collect()
}

async fn pairs(url: &str, select: &'static str) -> BTreeMap<String, String> {
    rows(url, select).await.into_iter().collect()
}

async fn rows(url: &str, select: &'static str) -> Vec<(String, String)> {
    let database = Database::open(&DatabaseConfig::new(url)).unwrap();
    let rows: Vec<AnyRow> = sqlx::query(select)
        .fetch_all(database.pool())
        .await
        .unwrap();
    database.close().await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}
