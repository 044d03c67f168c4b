//! A write transaction.

use std::ops::{Deref, DerefMut};

use sqlx::{Any, AnyConnection, AssertSqlSafe, Transaction};
use tokio::sync::OwnedSemaphorePermit;

use super::{DatabaseError, Dialect};

/// A write transaction of [`Database::begin`](super::Database::begin); rolled back when dropped.
///
/// Statements run on the connection it dereferences to: `query.execute(&mut *tx)`, or
/// `query.execute(&mut **tx)` where `tx` is a `&mut Tx`.
#[derive(Debug)]
pub struct Tx {
    // Dropped in this order: the roll-back starts before the next writer may.
    inner: Transaction<'static, Any>,
    _writer: Option<OwnedSemaphorePermit>,
    dialect: Dialect,
}

impl Tx {
    pub(super) fn new(
        inner: Transaction<'static, Any>,
        writer: Option<OwnedSemaphorePermit>,
        dialect: Dialect,
    ) -> Self {
        Self {
            inner,
            _writer: writer,
            dialect,
        }
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The database's clock, in epoch milliseconds: what falls due is compared with it, so it is asked
    /// where a time is written, and not the clock of this process.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn now_ms(&mut self) -> Result<i64, DatabaseError> {
        let now = format!("SELECT {}", self.dialect.now_ms());
        let now = sqlx::query_scalar(AssertSqlSafe(now));
        Ok(now.fetch_one(&mut *self.inner).await?)
    }

    /// Makes the changes durable.
    ///
    /// # Errors
    /// On an error it is unknown whether the changes were made: read again.
    pub async fn commit(self) -> Result<(), DatabaseError> {
        Ok(self.inner.commit().await?)
    }

    /// Undoes the changes. Dropping does the same, but not before the connection is used again.
    ///
    /// # Errors
    /// When the database cannot be reached; it then rolls back by itself.
    pub async fn rollback(self) -> Result<(), DatabaseError> {
        Ok(self.inner.rollback().await?)
    }
}

impl Deref for Tx {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}
