//! What streams read: the steps of orders in the order of the log.

use base_domains::OrderId;
use service_runtime::participant::log_partitions;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::read::undecodable;
use crate::query::PARTICIPANT;
use crate::query::stream::{Position, Step};
use crate::storage::{Storage, StorageError};

/// Most steps of one partition that are read at a time.
const AT_A_TIME: usize = 200;

/// How far each partition has been folded; `NotReady` until the log was looked at once.
pub(in crate::query) async fn newest(storage: &Storage) -> Result<Position, StorageError> {
    let mut position = Position::default();
    for partition in 0..partitions(storage).await? {
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT MAX(record_offset) FROM order_history WHERE partition_id = {partition}"
        )))
        .fetch_one(storage.database()?.pool())
        .await?;
        let newest: Option<i64> = row.try_get(0)?;
        if let Some(offset) = newest {
            position.advance(partition, offset);
        }
    }
    Ok(position)
}

/// The next steps after `told`, partition by partition; empty when there are none.
pub(in crate::query) async fn steps_after(
    storage: &Storage,
    told: &Position,
) -> Result<Vec<Step>, StorageError> {
    let parts: Vec<String> = (0..partitions(storage).await?)
        .map(|partition| {
            let offset = told.told(partition);
            format!(
                "SELECT * FROM (SELECT {STEP} FROM order_history \
                 WHERE partition_id = {partition} AND record_offset > {offset} \
                 ORDER BY record_offset LIMIT {AT_A_TIME}) AS part{partition}"
            )
        })
        .collect();
    let select = parts.join(" UNION ALL ");
    let rows = sqlx::query(AssertSqlSafe(select))
        .fetch_all(storage.database()?.pool())
        .await?;
    let mut steps = rows.iter().map(step).collect::<Result<Vec<_>, _>>()?;
    // The parts are in order, but SQL does not promise that for what is made of them.
    steps.sort_by_key(|step| (step.partition, step.offset));
    Ok(steps)
}

/// All steps of one order, in the order of the log.
pub(in crate::query) async fn steps_of(
    storage: &Storage,
    order_id: OrderId,
) -> Result<Vec<Step>, StorageError> {
    let select = format!("SELECT {STEP} FROM order_history WHERE order_id = $1");
    let rows = sqlx::query(AssertSqlSafe(select))
        .bind(order_id.to_string())
        .fetch_all(storage.database()?.pool())
        .await?;
    let mut steps = rows.iter().map(step).collect::<Result<Vec<_>, _>>()?;
    // Offsets of different partitions cannot be compared, ranks can.
    steps.sort_by_key(|step| step.status.rank());
    Ok(steps)
}

/// What [`step`] reads.
const STEP: &str = "order_id, status, partition_id, record_offset";

fn step(row: &AnyRow) -> Result<Step, sqlx::Error> {
    let (order_id, status): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let partition: i64 = row.try_get(2)?;
    Ok(Step {
        order_id: order_id.parse().map_err(undecodable)?,
        status: status.parse().map_err(undecodable)?,
        partition: i32::try_from(partition).map_err(undecodable)?,
        offset: row.try_get(3)?,
    })
}

async fn partitions(storage: &Storage) -> Result<i32, StorageError> {
    let known = log_partitions(storage.database()?, PARTICIPANT).await?;
    known.ok_or(StorageError::NotReady)
}
