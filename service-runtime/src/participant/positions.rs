//! SQL of the participant: how far each partition was read.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::store::Store;
use crate::database::{Database, DatabaseError, Tx};
use crate::fault;
use crate::kafka::{Offsets, PartitionId};

/// Where the database stands in a partition; zeros when nothing was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) next_offset: i64,
    /// See [`Store::begin_quiet`].
    pub(super) quiet_until: i64,
}

impl Store {
    /// Remembers the next offset of each partition (rule R6).
    pub(super) async fn write_positions(
        &self,
        tx: &mut Tx,
        next: &BTreeMap<PartitionId, i64>,
    ) -> Result<(), DatabaseError> {
        if fault::mutated("r6.remember-position") {
            return Ok(());
        }
        for (partition, offset) in next {
            sqlx::query(
                "INSERT INTO participant_positions (participant, partition_id, next_offset) VALUES ($1, $2, $3) \
                 ON CONFLICT (participant, partition_id) DO UPDATE SET next_offset = excluded.next_offset \
                 WHERE participant_positions.next_offset < excluded.next_offset",
            )
            .bind(self.participant)
            .bind(i64::from(*partition))
            .bind(*offset)
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    /// All positions, locked in the order in which batches write them.
    pub(super) async fn lock_positions(&self, tx: &mut Tx) -> Result<Offsets, DatabaseError> {
        sqlx::query(AssertSqlSafe(format!(
            "SELECT partition_id FROM participant_positions WHERE participant = $1 \
             ORDER BY partition_id{}",
            self.dialect.for_update()
        )))
        .bind(self.participant)
        .fetch_all(&mut **tx)
        .await?;
        // Those that were waited for have moved on since.
        positions(tx, self.participant).await
    }

    /// The next offset that the database stands at; 0 when nothing was read.
    pub(super) async fn position(
        &self,
        database: &Database,
        partition: PartitionId,
    ) -> Result<i64, DatabaseError> {
        Ok(self.stand(database, partition).await?.next_offset)
    }

    /// Where the database stands in `partition`.
    pub(super) async fn stand(
        &self,
        database: &Database,
        partition: PartitionId,
    ) -> Result<Stand, DatabaseError> {
        let row = sqlx::query(
            "SELECT next_offset, quiet_until FROM participant_positions \
             WHERE participant = $1 AND partition_id = $2",
        )
        .bind(self.participant)
        .bind(i64::from(partition))
        .fetch_optional(database.pool())
        .await?;
        let Some(row) = row else {
            return Ok(Stand::default());
        };
        Ok(Stand {
            next_offset: row.try_get(0)?,
            quiet_until: row.try_get(1)?,
        })
    }

    /// Remembers that `partition` is history up to this offset (rule R13), for whoever reads it on.
    pub(super) async fn begin_quiet(
        &self,
        database: &Database,
        partition: PartitionId,
        until: i64,
    ) -> Result<(), DatabaseError> {
        sqlx::query(
            "INSERT INTO participant_positions (participant, partition_id, next_offset, quiet_until) \
             VALUES ($1, $2, 0, $3) \
             ON CONFLICT (participant, partition_id) DO UPDATE SET quiet_until = excluded.quiet_until",
        )
        .bind(self.participant)
        .bind(i64::from(partition))
        .bind(until)
        .execute(database.pool())
        .await?;
        Ok(())
    }
}

/// How far each partition was read.
pub(super) async fn positions(
    connection: &mut AnyConnection,
    participant: &str,
) -> Result<Offsets, DatabaseError> {
    let rows = sqlx::query(
        "SELECT partition_id, next_offset FROM participant_positions WHERE participant = $1",
    )
    .bind(participant)
    .fetch_all(connection)
    .await?;
    let position = |row: &AnyRow| {
        let partition: i64 = row.try_get(0)?;
        let partition = PartitionId::try_from(partition);
        Ok((
            partition.map_err(|error| sqlx::Error::Decode(error.into()))?,
            row.try_get(1)?,
        ))
    };
    Ok(rows
        .iter()
        .map(position)
        .collect::<Result<_, sqlx::Error>>()?)
}
