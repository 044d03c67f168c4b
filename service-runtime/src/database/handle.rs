//! Opening a database, and the handle that everybody shares.

use std::{fs, io, str::FromStr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use secrecy::ExposeSecret;
use sqlx::{
    AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions, Connection, Executor,
    any::{AnyConnectOptions, AnyPoolOptions},
    migrate::Migrator,
    sqlite::SqliteConnectOptions,
};
use tokio::{sync::Semaphore, time::timeout};

use super::{DatabaseConfig, DatabaseError, Dialect, Tx, migrations};

/// How long the database may take to answer the smallest question, and to let go of a connection.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A pool of connections to one database. Clones share the pool.
#[derive(Debug, Clone)]
pub struct Database {
    pool: AnyPool,
    dialect: Dialect,
    /// SQLite has one writer at a time. Waiting here is in order and wakes at once; SQLite's own
    /// busy handler polls and can starve, so it is left to settle races between processes.
    writer: Option<Arc<Semaphore>>,
    acquire_timeout: Duration,
    statement_timeout: Duration,
}

impl Database {
    /// Prepares a pool, without waiting for the server: connections are made on first use. The
    /// folder of an SQLite file is created here, the file on first use.
    ///
    /// To be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the URL cannot be used (also one of an SQLite database in memory, which the connections
    /// of a pool would not share), or the folder cannot be created.
    pub fn open(config: &DatabaseConfig) -> Result<Self, DatabaseError> {
        sqlx::any::install_default_drivers();
        let url = config.url.expose_secret();
        let dialect = Dialect::of_url(url).ok_or_else(|| {
            DatabaseError::Url("it begins neither with sqlite: nor with postgres:".into())
        })?;
        let options = match dialect {
            Dialect::Sqlite => connect_options(&prepare_file(url)?)?,
            Dialect::Postgres => connect_options(url)?,
        };
        let settings = session_settings(dialect, config);
        let pool = AnyPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(config.acquire_timeout)
            .after_connect(move |connection, _| configure(connection, dialect, settings.clone()))
            .after_release(move |connection, _| test_released(connection, dialect))
            // Statement logs would repeat the text of thousand-row statements.
            .connect_lazy_with(options.disable_statement_logging());
        Ok(Self {
            pool,
            dialect,
            writer: (dialect == Dialect::Sqlite).then(|| Arc::new(Semaphore::new(1))),
            acquire_timeout: config.acquire_timeout,
            statement_timeout: config.statement_timeout,
        })
    }

    /// Brings the schema up to date: the runtime's own migrations (versions below 1000) and the
    /// service's (from 1000), in the order of their versions. Instances that start together wait
    /// for each other.
    ///
    /// # Errors
    /// When a version is out of its range or given twice, a migration fails, or the database was
    /// migrated by a newer program or with other texts.
    pub async fn migrate(&self, services: &[&'static Migrator]) -> Result<(), DatabaseError> {
        migrations::run(self, services, self.statement_timeout).await
    }

    /// Begins a write transaction; on SQLite it is the only one.
    ///
    /// # Errors
    /// `Unavailable` when there is no connection in time, `Again` when another writer of an SQLite
    /// database takes too long.
    pub async fn begin(&self) -> Result<Tx, DatabaseError> {
        let Some(writer) = &self.writer else {
            return Ok(Tx::new(self.pool.begin().await?, None, self.dialect));
        };
        let permit = timeout(self.acquire_timeout, Arc::clone(writer).acquire_owned())
            .await
            .map_err(|_| DatabaseError::WriterBusy(self.acquire_timeout))?
            .map_err(|_| sqlx::Error::PoolClosed)?;
        let transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Tx::new(transaction, Some(permit), self.dialect))
    }

    /// The pool, for reads.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether the database answers; for a readiness check.
    ///
    /// # Errors
    /// When it does not, within seconds.
    pub async fn ping(&self) -> Result<(), DatabaseError> {
        let question = async { Ok(self.pool.execute("SELECT 1").await?) };
        within(self.acquire_timeout + ANSWER_LIMIT, question).await?;
        Ok(())
    }

    /// Waits until the connections in use are returned, and closes them all; those that take more
    /// than two seconds are left to the end of the process.
    pub async fn close(&self) {
        if timeout(ANSWER_LIMIT, self.pool.close()).await.is_err() {
            tracing::warn!("Connections to the database were still in use at the end.");
        }
    }
}

/// Bounds a request: a server that vanished from the network is not noticed before the operating
/// system gives up, many minutes later. The request's transaction is rolled back when it is dropped.
///
/// # Errors
/// [`DatabaseError::NoAnswer`] after `limit`, else those of the request.
pub async fn within<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, DatabaseError>>,
) -> Result<T, DatabaseError> {
    let elapsed = |_| Err(DatabaseError::NoAnswer(limit));
    timeout(limit, request).await.unwrap_or_else(elapsed)
}

fn connect_options(url: &str) -> Result<AnyConnectOptions, DatabaseError> {
    AnyConnectOptions::from_str(url).map_err(|error| DatabaseError::Url(error.to_string()))
}

/// Creates the folder of the file and returns the URL under which SQLite creates the file.
fn prepare_file(url: &str) -> Result<String, DatabaseError> {
    let unusable = |error: sqlx::Error| DatabaseError::Url(error.to_string());
    let options = SqliteConnectOptions::from_str(url).map_err(unusable)?;
    let file = options.get_filename();
    if url.contains(":memory:") || url.contains("mode=memory") || file.as_os_str().is_empty() {
        let problem = "a database in memory is not shared by connections; name a file";
        return Err(DatabaseError::Url(problem.into()));
    }
    if let Some(folder) = file.parent().filter(|path| !path.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|source| DatabaseError::Folder {
            path: folder.to_owned(),
            source,
        })?;
    }
    if url.contains("mode=") {
        return Ok(url.to_owned());
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    Ok(format!("{url}{separator}mode=rwc"))
}

fn session_settings(dialect: Dialect, config: &DatabaseConfig) -> String {
    match dialect {
        // The busy timeout comes first: the change to WAL needs it when two processes start.
        Dialect::Sqlite => format!(
            "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; \
             PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
            config.acquire_timeout.as_millis()
        ),
        Dialect::Postgres => format!(
            "SET statement_timeout = {0}; SET idle_in_transaction_session_timeout = {0}",
            config.statement_timeout.as_millis()
        ),
    }
}

/// Runs on every connection that comes back. sqlx waits without a limit for the answer to its own
/// test, and a server that vanished would keep the place of each connection for as long as the
/// operating system does not give up. An error here ends the connection instead.
///
/// SQLite needs none: its test waits for a statement that was left, which ends by itself.
fn test_released(
    connection: &mut AnyConnection,
    dialect: Dialect,
) -> BoxFuture<'_, sqlx::Result<bool>> {
    Box::pin(async move {
        if dialect == Dialect::Postgres {
            timeout(ANSWER_LIMIT, connection.ping())
                .await
                .map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))??;
        }
        Ok(true)
    })
}

/// Runs on every new connection. The pool tries again after an error until the acquire timeout.
fn configure(
    connection: &mut AnyConnection,
    dialect: Dialect,
    settings: String,
) -> BoxFuture<'_, sqlx::Result<()>> {
    Box::pin(async move {
        connection.execute(AssertSqlSafe(settings)).await?;
        if dialect == Dialect::Sqlite {
            let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
                .fetch_one(connection)
                .await?;
            if mode != "wal" {
                let problem = format!("sqlite uses the journal mode {mode} instead of wal");
                return Err(sqlx::Error::Configuration(problem.into()));
            }
        }
        Ok(())
    })
}
