//! The service's database as its handlers see it: usable once it is migrated.

use std::sync::{Arc, OnceLock};

use service_runtime::database::{Database, DatabaseError, ErrorClass};

/// The database, as soon as its tables exist. Clones share it.
///
/// Requests are served before that, so that the process is live while the database is down.
#[derive(Debug, Clone, Default)]
pub struct Storage(Arc<OnceLock<Database>>);

/// Why stored data cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The database was not reached since the start.
    #[error("the database is not ready yet")]
    NotReady,
    /// It did not answer in time.
    #[error("the database does not answer")]
    NoAnswer,
    /// A request to it failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Storage {
    /// A database that is not there yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the migrated database to everybody; the first one stays.
    pub fn provide(&self, database: Database) {
        self.0.get_or_init(|| database);
    }

    /// The migrated database.
    ///
    /// # Errors
    /// [`StorageError::NotReady`] until it is there.
    pub fn database(&self) -> Result<&Database, StorageError> {
        self.0.get().ok_or(StorageError::NotReady)
    }
}

impl StorageError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::NotReady | Self::NoAnswer => true,
            Self::Database(error) => error.class() != ErrorClass::Bug,
        }
    }
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
