//! What clients asked for under ids of their own choice (rule R7): the table `placements`.

use base_domains::OrderId;
use service_runtime::fault;
use sqlx::{AssertSqlSafe, Row};

use super::store;
use crate::storage::{Storage, StorageError};

/// The orders whose ids clients chose.
#[derive(Debug, Clone)]
pub(super) struct Placements {
    storage: Storage,
}

/// What is known of an id when a request wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// This content may be appended to the log under the id, perhaps once more.
    Append,
    /// This content is in the log under the id.
    InTheLog,
    /// The id stands for another content.
    Taken,
}

impl Placements {
    pub(super) fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// Reserves the id for the content. What was reserved is durable when this returns, so that nothing is
    /// ever produced under an id that another content could still get.
    pub(super) async fn claim(
        &self,
        order_id: OrderId,
        fingerprint: &str,
    ) -> Result<Claim, StorageError> {
        let database = self.storage.database()?;
        let insert = format!(
            "INSERT INTO placements (order_id, content_sha256, created_at) VALUES ($1, $2, {}) \
             ON CONFLICT (order_id) DO NOTHING",
            database.dialect().now_ms()
        );
        let mut tx = database.begin().await?;
        let inserted = sqlx::query(AssertSqlSafe(insert))
            .bind(order_id.to_string())
            .bind(fingerprint)
            .execute(&mut *tx)
            .await?;
        if inserted.rows_affected() == 1 {
            // A POST without a key, or a record that somebody else wrote, may have used the id before.
            let read = store::fingerprint_of(&mut tx, order_id).await?;
            if read.is_some_and(|read| read != fingerprint) {
                tx.rollback().await?;
                return Ok(Claim::Taken);
            }
            tx.commit().await?;
            return Ok(Claim::Append);
        }
        let row =
            sqlx::query("SELECT content_sha256, acknowledged FROM placements WHERE order_id = $1")
                .bind(order_id.to_string())
                .fetch_one(&mut *tx)
                .await?;
        tx.rollback().await?;
        let (known, acknowledged): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok(match acknowledged {
            _ if known != fingerprint && !fault::mutated("r7.other-content") => Claim::Taken,
            0 => Claim::Append,
            _ => Claim::InTheLog,
        })
    }

    /// Notes that the order is in the log, so that a repetition does not append it again.
    pub(super) async fn acknowledge(&self, order_id: OrderId) -> Result<(), StorageError> {
        let mut tx = self.storage.database()?.begin().await?;
        sqlx::query("UPDATE placements SET acknowledged = 1 WHERE order_id = $1")
            .bind(order_id.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}
