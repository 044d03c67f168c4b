//! The services' databases: where they are, and how they are read after the fact.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use service_runtime::database::{Database, DatabaseConfig};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use test_support::containers::PostgresServer;
use tokio::time::timeout;

use crate::broker::{self, Choice};
use crate::shared::Shared;

/// For a connection.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// One connection to the database at this URL, for whoever only reads: services that have just been disturbed may
/// leave a server little time for others.
///
/// # Errors
/// There is none in time.
pub(crate) async fn connect(url: &str) -> Result<AnyConnection, String> {
    sqlx::any::install_default_drivers();
    let connecting = timeout(PATIENCE, AnyConnection::connect(url)).await;
    let connecting = connecting.map_err(|_| format!("no connection within {PATIENCE:?}"))?;
    connecting.map_err(|error| error.to_string())
}

/// What the sandbox gateway's own books say that it did, each with the order's id: `charge`, `refund`.
///
/// # Panics
/// The database cannot be read.
pub async fn gateway_books(url: &str) -> Vec<(String, String)> {
    let books = "SELECT order_id, operation FROM sandbox_ledger WHERE answer = 'accepted'";
    let rows = rows(url, books).await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// State of every job in a database and how often it was attempted, by its id.
///
/// # Panics
/// The database cannot be read.
pub async fn attempts(url: &str) -> BTreeMap<String, (String, i64)> {
    let rows = rows(url, "SELECT job_id, state, attempts FROM jobs").await;
    let job = |row: &AnyRow| (row.get(0), (row.get(1), row.get(2)));
    rows.iter().map(job).collect()
}

async fn rows(url: &str, select: &'static str) -> Vec<AnyRow> {
    let mut database = connect(url).await.unwrap();
    let rows = sqlx::query(select).fetch_all(&mut database).await.unwrap();
    database.close().await.unwrap();
    rows
}
