//! What an operator sets about the database.

use std::time::Duration;

use secrecy::SecretString;

use crate::config::Reader;

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
    /// Reads the settings whose names begin with `DATABASE_`; each service has a default file.
    pub fn read(reader: &mut Reader, default_url: &str) -> Self {
        let hour = Duration::from_secs(3600);
        Self {
            url: reader.url(
                "DATABASE_URL",
                default_url,
                "sqlite://folder/file.db, or postgres://user:password@host/database",
            ),
            max_connections: reader.get_in(
                "DATABASE_MAX_CONNECTIONS",
                Self::MAX_CONNECTIONS,
                2..=1000,
                "most connections this process opens to its database",
            ),
            acquire_timeout: reader.duration_in(
                "DATABASE_ACQUIRE_TIMEOUT",
                Self::ACQUIRE_TIMEOUT,
                Duration::from_millis(10)..=hour,
                "how long to wait for a connection, or for the write lock of SQLite",
            ),
            statement_timeout: reader.duration_in(
                "DATABASE_STATEMENT_TIMEOUT",
                Self::STATEMENT_TIMEOUT,
                Duration::from_secs(1)..=hour,
                "after what time PostgreSQL ends a statement or a transaction left idle",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_settings_are_read_by_their_names_and_the_password_is_not_shown() {
        let mut reader = Reader::new(
            None,
            [
                ("DATABASE_URL", "postgres://app:hunter2@db/stock"),
                ("DATABASE_MAX_CONNECTIONS", "3"),
                ("DATABASE_ACQUIRE_TIMEOUT", "250ms"),
                ("DATABASE_STATEMENT_TIMEOUT", "5s"),
            ],
        );
        let config = DatabaseConfig::read(&mut reader, "sqlite://data/stock.db");
        let url = config.url.expose_secret();
        assert_eq!(url, "postgres://app:hunter2@db/stock");
        assert_eq!(config.max_connections, 3);
        assert_eq!(config.acquire_timeout, Duration::from_millis(250));
        assert_eq!(config.statement_timeout, Duration::from_secs(5));
        let shown = reader.finish().unwrap().to_string();
        assert!(shown.contains("app:"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn without_settings_the_service_has_its_own_file() {
        let mut reader = Reader::new(None, [("", ""); 0]);
        let config = DatabaseConfig::read(&mut reader, "sqlite://data/stock.db");
        assert_eq!(config.url.expose_secret(), "sqlite://data/stock.db");
        assert_eq!(config.max_connections, DatabaseConfig::MAX_CONNECTIONS);
        assert_eq!(config.statement_timeout, Duration::from_secs(60));
        reader.finish().unwrap();
    }
}
