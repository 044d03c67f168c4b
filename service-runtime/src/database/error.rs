//! What can go wrong with the database, and what a caller does about it.

use std::{io, path::PathBuf, time::Duration};

use sqlx::{migrate::MigrateError, postgres::PgDatabaseError, sqlite::SqliteError};

/// A failed request to the database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL names no database that this program can use; the text never quotes the URL.
    #[error("the database url cannot be used: {0}")]
    Url(String),
    /// The folder of an SQLite file cannot be made.
    #[error("cannot create the database folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another writer of this process held the SQLite database for too long.
    #[error("another transaction of this process kept the database for more than {0:?}")]
    WriterBusy(Duration),
    /// No answer in the time the caller gave; see [`within`](super::within).
    #[error("the database did not answer within {0:?}")]
    NoAnswer(Duration),
    /// The set of migrations is not well-formed: see [`Database::migrate`](super::Database::migrate).
    #[error("migration {version} {problem}")]
    Migrations {
        /// The version of the offending migration.
        version: i64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A migration failed, or the database was migrated by another version of the program.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// Any other error of the driver or of the database.
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
}

/// What a caller does about a [`DatabaseError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Lost a race (deadlock, serialization, busy): run the whole transaction again, at once.
    Again,
    /// The database is down, full, or cannot be reached: wait with back-off, without a limit.
    Unavailable,
    /// The statement or its data is at fault: repeating it changes nothing.
    Bug,
}

impl DatabaseError {
    /// The class of this error, by SQLSTATE on PostgreSQL and by primary result code on SQLite.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::WriterBusy(_) => ErrorClass::Again,
            Self::Folder { .. } | Self::NoAnswer(_) => ErrorClass::Unavailable,
            Self::Url(_) | Self::Migrations { .. } => ErrorClass::Bug,
            Self::Migrate(
                MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _),
            )
            | Self::Sqlx(source) => classify(source),
            Self::Migrate(_) => ErrorClass::Bug,
        }
    }

    /// Whether a unique or primary key was violated.
    pub fn is_unique_violation(&self) -> bool {
        match self {
            Self::Sqlx(sqlx::Error::Database(error)) => error.is_unique_violation(),
            _ => false,
        }
    }
}

fn classify(error: &sqlx::Error) -> ErrorClass {
    use sqlx::Error;
    match error {
        Error::Io(_)
        | Error::Tls(_)
        // A proxy that lost its server closes without a word, which sqlx takes for an answer of 0x00.
        | Error::Protocol(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed
        | Error::BeginFailed => ErrorClass::Unavailable,
        // The Any driver hands the native error through, so its type tells whose code it is.
        Error::Database(error) => {
            if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
                sqlstate_class(error.code())
            } else if error.try_downcast_ref::<SqliteError>().is_some() {
                let code = error.code().and_then(|code| code.parse().ok());
                code.map_or(ErrorClass::Bug, sqlite_class)
            } else {
                ErrorClass::Bug
            }
        }
        _ => ErrorClass::Bug,
    }
}

/// PostgreSQL, appendix A. Errors of the connection phase (28, 3D) and of a server that became
/// read-only in a failover are never the fault of a record.
fn sqlstate_class(code: &str) -> ErrorClass {
    match code {
        // serialization_failure, deadlock_detected, lock_not_available
        "40001" | "40P01" | "55P03" => ErrorClass::Again,
        // statement_completion_unknown, query_canceled, idle_in_transaction_session_timeout,
        // read_only_sql_transaction
        "40003" | "57014" | "25P03" | "25006" => ErrorClass::Unavailable,
        _ if code.starts_with("57P0") => ErrorClass::Unavailable,
        _ => match code.get(..2) {
            // connection, authorization, no such database, out of resources, system (disk) error
            Some("08" | "28" | "3D" | "53" | "58") => ErrorClass::Unavailable,
            _ => ErrorClass::Bug,
        },
    }
}

/// <https://www.sqlite.org/rescode.html>; the low byte of an extended code is the primary code.
fn sqlite_class(extended: i32) -> ErrorClass {
    match extended & 0xff {
        // BUSY, LOCKED, PROTOCOL (lost the race for the WAL lock)
        5 | 6 | 15 => ErrorClass::Again,
        // NOMEM, READONLY, IOERR, FULL, CANTOPEN
        7 | 8 | 10 | 13 | 14 => ErrorClass::Unavailable,
        _ => ErrorClass::Bug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorClass::{Again, Bug, Unavailable};

    #[test]
    fn every_sqlstate_has_its_class() {
        for (code, class) in [
            ("40001", Again),
            ("40P01", Again),
            ("55P03", Again),
            ("08000", Unavailable),
            ("08006", Unavailable),
            ("25006", Unavailable),
            ("25P03", Unavailable),
            ("28P01", Unavailable),
            ("3D000", Unavailable),
            ("40003", Unavailable),
            ("53100", Unavailable),
            ("53300", Unavailable),
            ("57014", Unavailable),
            ("57P01", Unavailable),
            ("57P02", Unavailable),
            ("57P03", Unavailable),
            ("58030", Unavailable),
            ("22003", Bug),
            ("22021", Bug),
            ("23505", Bug),
            ("23514", Bug),
            ("25P02", Bug),
            ("42P01", Bug),
            ("XX000", Bug),
            ("", Bug),
            ("é", Bug),
        ] {
            assert_eq!(sqlstate_class(code), class, "SQLSTATE {code:?}");
        }
    }

    #[test]
    fn every_sqlite_result_code_has_its_class() {
        for (code, class) in [
            (5, Again),
            (5 | 1 << 8, Again), // BUSY_RECOVERY
            (5 | 2 << 8, Again), // BUSY_SNAPSHOT
            (6, Again),
            (6 | 1 << 8, Again), // LOCKED_SHAREDCACHE
            (15, Again),
            (7, Unavailable),
            (8, Unavailable),
            (8 | 4 << 8, Unavailable), // READONLY_DBMOVED
            (10, Unavailable),
            (10 | 4 << 8, Unavailable), // IOERR_FSYNC
            (13, Unavailable),
            (14, Unavailable),
            (1, Bug),
            (11, Bug),
            (19, Bug),
            (19 | 8 << 8, Bug), // CONSTRAINT_UNIQUE
            (20, Bug),
        ] {
            assert_eq!(sqlite_class(code), class, "result code {code}");
        }
    }

    #[test]
    fn an_error_of_the_pool_or_the_network_is_unavailable() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        for (error, class) in [
            (sqlx::Error::Io(reset), Unavailable),
            (sqlx::Error::Tls("handshake".into()), Unavailable),
            (sqlx::Error::Protocol("0x00".into()), Unavailable),
            (sqlx::Error::PoolTimedOut, Unavailable),
            (sqlx::Error::PoolClosed, Unavailable),
            (sqlx::Error::WorkerCrashed, Unavailable),
            (sqlx::Error::BeginFailed, Unavailable),
            (sqlx::Error::RowNotFound, Bug),
            (sqlx::Error::ColumnNotFound("qty".into()), Bug),
        ] {
            let error = DatabaseError::from(error);
            assert_eq!(error.class(), class, "{error}");
        }
    }

    #[test]
    fn a_failed_migration_has_the_class_of_its_cause() {
        let busy = MigrateError::ExecuteMigration(sqlx::Error::PoolTimedOut, 1);
        assert_eq!(DatabaseError::from(busy).class(), Unavailable);
        let changed = MigrateError::VersionMismatch(1);
        assert_eq!(DatabaseError::from(changed).class(), Bug);
        let waited = DatabaseError::WriterBusy(Duration::from_secs(3));
        assert_eq!(waited.class(), Again);
    }
}
