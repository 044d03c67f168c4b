//! The services' databases: where they are, and how they are read after the fact.

use std::path::{Path, PathBuf};
use std::time::Duration;

use service_runtime::database::{Database, DatabaseConfig};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
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
