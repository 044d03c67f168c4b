//! The service's database as its handlers see it: usable once it is migrated.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use service_runtime::database::{Database, DatabaseError, ErrorClass};
use tokio::time::timeout;

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
            Self::NotReady => true,
            Self::Database(error) => error.class() != ErrorClass::Bug,
        }
    }
}

/// Gives a request up after `limit`, as one to a database that is down.
pub(crate) async fn within<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    let elapsed = |_| Err(DatabaseError::NoAnswer(limit).into());
    timeout(limit, request).await.unwrap_or_else(elapsed)
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
