//! What an operator sets about the database.

use std::time::Duration;

use secrecy::SecretString;

/// Where the database is and how patient its clients are.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// `sqlite://folder/file.db` (relative) or `sqlite:///folder/file.db` (absolute), or
    /// `postgres://user:password@host/database`. Secret, because it may carry a password.
    pub url: SecretString,
    /// Most connections this process opens.
    pub max_connections: u32,
    /// How long to wait for a connection (and for the write lock of SQLite) before the request
    /// fails; short, so that a caller notices an outage and can back off.
    pub acquire_timeout: Duration,
    /// PostgreSQL ends a statement, or a transaction left idle, after this long, so that a frozen
    /// process lets go of its row locks. Without effect on SQLite.
    pub statement_timeout: Duration,
}

impl DatabaseConfig {
    /// The default of [`Self::max_connections`].
    pub const MAX_CONNECTIONS: u32 = 10;
    /// The default of [`Self::acquire_timeout`].
    pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
    /// The default of [`Self::statement_timeout`].
    pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

    /// The database at `url`, with the default limits.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            max_connections: Self::MAX_CONNECTIONS,
            acquire_timeout: Self::ACQUIRE_TIMEOUT,
            statement_timeout: Self::STATEMENT_TIMEOUT,
        }
    }
}
