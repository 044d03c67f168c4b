//! What streams read: the steps of orders in the order of the log.

use base_domains::OrderId;
use service_runtime::participant::log_partitions;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::generation::IN_USE;
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
            "SELECT MAX(record_offset) FROM order_history WHERE {IN_USE} AND partition_id = {partition}"
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

/// The next steps after `told`; empty when there are none.
pub(in crate::query) async fn steps_after(
    storage: &Storage,
    told: &Position,
) -> Result<Vec<Step>, StorageError> {
    let partitions = partitions(storage).await?;
    let parts: Vec<String> = (0..partitions)
        .map(|partition| {
            format!(
                "SELECT * FROM (SELECT {STEP}, recorded_at FROM order_history \
                 WHERE {IN_USE} AND partition_id = {partition} AND record_offset > ${} \
                 ORDER BY record_offset LIMIT {AT_A_TIME}) AS part{partition}",
                partition + 1
            )
        })
        .collect();
    let select = parts.join(" UNION ALL ");
    let mut query = sqlx::query(AssertSqlSafe(select));
    for partition in 0..partitions {
        query = query.bind(told.told(partition));
    }
    let rows = query.fetch_all(storage.database()?.pool()).await?;
    let timed = rows.iter().map(|row| Ok((row.try_get(4)?, step(row)?)));
    Ok(side_by_side(timed.collect::<Result<_, sqlx::Error>>()?))
}

/// Puts what was read of all partitions into one order: by time, but each partition in its own order whatever
/// its clocks said. Of a partition there may be more; what is later than its last waits for that.
fn side_by_side(mut timed: Vec<(i64, Step)>) -> Vec<Step> {
    timed.sort_by_key(|(_, step)| (step.partition, step.offset));
    let mut known_until = i64::MAX;
    for partition in timed.chunk_by_mut(|(_, one), (_, next)| one.partition == next.partition) {
        let mut latest = i64::MIN;
        for (at, _) in partition.iter_mut() {
            latest = latest.max(*at);
            *at = latest;
        }
        if partition.len() >= AT_A_TIME {
            known_until = known_until.min(latest);
        }
    }
    timed.retain(|(at, _)| *at <= known_until);
    timed.sort_by_key(|(at, _)| *at);
    timed.into_iter().map(|(_, step)| step).collect()
}

/// All steps of one order, in the order of the log.
pub(in crate::query) async fn steps_of(
    storage: &Storage,
    order_id: OrderId,
) -> Result<Vec<Step>, StorageError> {
    let select = format!("SELECT {STEP} FROM order_history WHERE {IN_USE} AND order_id = $1");
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

#[cfg(test)]
mod tests {
    use base_domains::OrderStatus;

    use super::*;

    fn at(time: i64, partition: i32, offset: i64) -> (i64, Step) {
        let step = Step {
            order_id: OrderId::from_idempotency_key("test", "a"),
            status: OrderStatus::Pending,
            partition,
            offset,
        };
        (time, step)
    }

    fn places(timed: Vec<(i64, Step)>) -> Vec<(i32, i64)> {
        let steps = side_by_side(timed);
        steps
            .iter()
            .map(|step| (step.partition, step.offset))
            .collect()
    }

    #[test]
    fn partitions_are_told_side_by_side_in_the_order_of_time() {
        let timed = vec![at(5, 0, 1), at(7, 0, 2), at(4, 2, 9), at(6, 2, 10)];
        assert_eq!(places(timed), [(2, 9), (0, 1), (2, 10), (0, 2)]);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_change_the_order_within_a_partition() {
        let timed = vec![at(5, 0, 1), at(3, 0, 2), at(4, 1, 1)];
        assert_eq!(places(timed), [(1, 1), (0, 1), (0, 2)]);
    }

    #[test]
    fn what_is_later_than_a_partition_that_was_not_read_to_its_end_waits() {
        let many = i64::try_from(AT_A_TIME).unwrap();
        let mut timed: Vec<_> = (0..many).map(|n| at(n, 0, n)).collect();
        timed.extend([at(1, 1, 0), at(many, 1, 1)]);
        let places = places(timed);
        assert_eq!(places.len(), AT_A_TIME + 1);
        assert!(!places.contains(&(1, 1)));
    }
}
