//! The few words in which SQLite and PostgreSQL differ.

/// The kind of database behind a [`Database`](super::Database).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite 3, in a file.
    Sqlite,
    /// PostgreSQL 14 or later.
    Postgres,
}

impl Dialect {
    /// The dialect of a database URL, by its scheme.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        match url.split_once(':')?.0 {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }

    /// Appended to a `SELECT` that locks its rows until the end of the transaction. Empty on
    /// SQLite, where a write transaction already is the only one.
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// Appended to a `SELECT` whose rows stay as they are until the end of the transaction, while others may read
    /// them in the same way. Empty on SQLite, as for [`for_update`](Self::for_update).
    pub fn for_share(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR SHARE",
        }
    }

    /// Appended to a `SELECT` that locks rows and leaves out those that another transaction holds.
    pub fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// An expression for the database's clock in epoch milliseconds (BIGINT).
    ///
    /// A sub-select, so that PostgreSQL evaluates the volatile clock once per statement and can use
    /// an index in a comparison with it. It is the time of the statement, not of the transaction's
    /// start.
    pub fn now_ms(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "(SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS BIGINT))"
            }
            Self::Postgres => {
                "(SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT))"
            }
        }
    }
}
