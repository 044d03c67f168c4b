//! SQL of the participant: folded orders, stored outcomes, and which log it all is of.

use std::collections::BTreeMap;

use base_domains::{EncodedEvent, OrderId, OrderState, OrderStatus};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::plan::OrderRow;
use crate::database::{Database, DatabaseError, Dialect, Tx, sql};
use crate::fault;
use crate::kafka::PartitionId;

/// Which log the rows of a participant were folded from (rules R4 and R6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogIdentity {
    pub(super) cluster_id: String,
    pub(super) topic: String,
    pub(super) partitions: i32,
}

/// An outcome that stands for none.
pub(super) const NO_OUTCOME: (i64, String) = (0, String::new());

/// A changed row to write back.
#[derive(Debug, Clone)]
pub(super) struct ChangedRow<'a> {
    pub(super) order_id: OrderId,
    pub(super) row: &'a OrderRow,
    /// Rank and text; `None` leaves the stored outcome as it is, [`NO_OUTCOME`] drops it.
    pub(super) outcome: Option<(i64, String)>,
}

/// The rows of one participant; several may share a database.
#[derive(Debug, Clone)]
pub(super) struct Store {
    pub(super) participant: &'static str,
    pub(super) dialect: Dialect,
}

impl Store {
    /// Most orders of one statement here: with seven parameters each it stays below SQLite's limit.
    pub(super) const AT_A_TIME: usize = 4_000;

    /// Makes the rows exist and locks them, both in sorted order (rule R1).
    pub(super) async fn lock_orders(
        &self,
        tx: &mut Tx,
        orders: &BTreeMap<OrderId, PartitionId>,
    ) -> Result<BTreeMap<OrderId, OrderRow>, DatabaseError> {
        if orders.is_empty() {
            return Ok(BTreeMap::new());
        }
        let insert = format!(
            "INSERT INTO participant_orders (participant, order_id, home_partition) \
             SELECT CAST($1 AS TEXT), v.order_id, v.home_partition FROM (WITH v(order_id, home_partition) AS (VALUES {}) SELECT * FROM v) AS v \
             WHERE true ON CONFLICT DO NOTHING",
            sql::rows(orders.len(), &["TEXT", "BIGINT"], 2)
        );
        let mut query = sqlx::query(AssertSqlSafe(insert)).bind(self.participant);
        for (order_id, partition) in orders {
            query = query.bind(order_id.to_string()).bind(i64::from(*partition));
        }
        query.execute(&mut **tx).await?;
        let select = format!(
            "SELECT order_id, status, outcome_rank, failure FROM participant_orders \
             WHERE participant = $1 AND order_id IN ({}) ORDER BY order_id{}{}",
            sql::placeholders(orders.len(), 2),
            if fault::mutated("r1.sorted") {
                " DESC"
            } else {
                ""
            },
            self.dialect.for_update()
        );
        let mut query = sqlx::query(AssertSqlSafe(select)).bind(self.participant);
        for order_id in orders.keys() {
            query = query.bind(order_id.to_string());
        }
        let rows = query.fetch_all(&mut **tx).await?;
        rows.iter().map(order_row).collect()
    }

    /// Locks the row of one order, if it has one, with its home partition.
    pub(super) async fn lock_known(
        &self,
        tx: &mut Tx,
        order_id: OrderId,
    ) -> Result<Option<(PartitionId, OrderRow)>, DatabaseError> {
        let select = format!(
            "SELECT order_id, status, outcome_rank, failure, home_partition FROM participant_orders \
             WHERE participant = $1 AND order_id = $2{}",
            self.dialect.for_update()
        );
        let row = sqlx::query(AssertSqlSafe(select))
            .bind(self.participant)
            .bind(order_id.to_string())
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let (_, order) = order_row(&row)?;
        Ok(Some((row.try_get(4)?, order)))
    }

    /// The folded status of an order; `None` when nothing of it was read.
    pub(super) async fn status(
        &self,
        database: &Database,
        order_id: OrderId,
    ) -> Result<Option<OrderStatus>, DatabaseError> {
        let text: Option<String> = sqlx::query_scalar(
            "SELECT status FROM participant_orders WHERE participant = $1 AND order_id = $2",
        )
        .bind(self.participant)
        .bind(order_id.to_string())
        .fetch_optional(database.pool())
        .await?;
        status(&text.unwrap_or_default())
    }

    /// Writes folded status, outcome and failure of every changed order.
    pub(super) async fn write_orders(
        &self,
        tx: &mut Tx,
        changed: &[ChangedRow<'_>],
    ) -> Result<(), DatabaseError> {
        if changed.is_empty() {
            return Ok(());
        }
        let update = format!(
            "WITH v(order_id, status, state_rank, outcome_rank, outcome, failure) AS (VALUES {}) \
             UPDATE participant_orders SET status = v.status, state_rank = v.state_rank, failure = v.failure, \
             outcome_rank = CASE WHEN v.outcome_rank < 0 THEN participant_orders.outcome_rank ELSE v.outcome_rank END, \
             outcome = CASE WHEN v.outcome_rank < 0 THEN participant_orders.outcome ELSE v.outcome END \
             FROM v WHERE participant_orders.participant = $1 AND participant_orders.order_id = v.order_id",
            sql::rows(
                changed.len(),
                &["TEXT", "TEXT", "BIGINT", "BIGINT", "TEXT", "BIGINT"],
                2
            )
        );
        let mut query = sqlx::query(AssertSqlSafe(update)).bind(self.participant);
        for change in changed {
            let (outcome_rank, outcome) = change.outcome.clone().unwrap_or((-1, String::new()));
            query = query
                .bind(change.order_id.to_string())
                .bind(change.row.state.status().map_or("", OrderStatus::as_str))
                .bind(change.row.state.rank())
                .bind(outcome_rank)
                .bind(outcome)
                .bind(i64::from(change.row.failed));
        }
        query.execute(&mut **tx).await?;
        Ok(())
    }

    /// Sets the folded status of these orders and leaves everything else of their rows.
    pub(super) async fn set_folded(
        &self,
        tx: &mut Tx,
        orders: &BTreeMap<OrderId, OrderStatus>,
    ) -> Result<(), DatabaseError> {
        let orders: Vec<_> = orders.iter().collect();
        for chunk in orders.chunks(Self::AT_A_TIME) {
            let update = format!(
                "WITH v(order_id, status, state_rank) AS (VALUES {}) \
                 UPDATE participant_orders SET status = v.status, state_rank = v.state_rank \
                 FROM v WHERE participant_orders.participant = $1 AND participant_orders.order_id = v.order_id",
                sql::rows(chunk.len(), &["TEXT", "TEXT", "BIGINT"], 2)
            );
            let mut query = sqlx::query(AssertSqlSafe(update)).bind(self.participant);
            for (order_id, status) in chunk {
                let (name, rank) = (status.as_str(), status.rank());
                query = query.bind(order_id.to_string()).bind(name).bind(rank);
            }
            query.execute(&mut **tx).await?;
        }
        Ok(())
    }

    /// The stored bytes of these orders' outcomes, in the order given.
    pub(super) async fn outcomes(
        &self,
        database: &Database,
        orders: &[OrderId],
    ) -> Result<Vec<EncodedEvent>, DatabaseError> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let select = format!(
            "SELECT outcome FROM participant_orders WHERE participant = $1 AND outcome <> '' \
             AND outcome_rank > state_rank AND order_id IN ({}) ORDER BY order_id",
            sql::placeholders(orders.len(), 2)
        );
        let mut query = sqlx::query(AssertSqlSafe(select)).bind(self.participant);
        for order_id in orders {
            query = query.bind(order_id.to_string());
        }
        let rows = query.fetch_all(database.pool()).await?;
        rows.iter()
            .map(|row| {
                let text: String = row.try_get(0)?;
                serde_json::from_str(&text)
                    .map_err(|error| DatabaseError::from(sqlx::Error::Decode(error.into())))
            })
            .collect()
    }

    /// Orders of `partition` behind `after` whose outcome was not read back yet, oldest ids first.
    pub(super) async fn unconfirmed(
        &self,
        database: &Database,
        partition: PartitionId,
        after: Option<OrderId>,
        limit: i64,
    ) -> Result<Vec<OrderId>, DatabaseError> {
        let rows = sqlx::query(
            "SELECT order_id FROM participant_orders WHERE participant = $1 AND home_partition = $2 \
             AND outcome_rank > state_rank AND order_id > $3 ORDER BY order_id LIMIT $4",
        )
        .bind(self.participant)
        .bind(i64::from(partition))
        .bind(after.map_or_else(String::new, |after| after.to_string()))
        .bind(limit)
        .fetch_all(database.pool())
        .await?;
        rows.iter().map(order_id).collect()
    }

    /// Remembers `identity` if nothing is remembered yet, and returns what is.
    pub(super) async fn identify(
        &self,
        database: &Database,
        identity: &LogIdentity,
    ) -> Result<LogIdentity, DatabaseError> {
        let mut tx = database.begin().await?;
        sqlx::query(
            "INSERT INTO participant_logs (participant, cluster_id, topic, partitions) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
        )
        .bind(self.participant)
        .bind(identity.cluster_id.as_str())
        .bind(identity.topic.as_str())
        .bind(i64::from(identity.partitions))
        .execute(&mut *tx)
        .await?;
        let row = sqlx::query(
            "SELECT cluster_id, topic, partitions FROM participant_logs WHERE participant = $1",
        )
        .bind(self.participant)
        .fetch_one(&mut *tx)
        .await?;
        let known = log_identity(&row)?;
        tx.commit().await?;
        if fault::mutated("r4.count-kept") {
            return Ok(identity.clone());
        }
        Ok(known)
    }
}

/// How many partitions the log of `participant` has, which never changes (rule R4); `None` until the
/// participant has looked at its log for the first time.
///
/// # Errors
/// Of the database.
pub async fn log_partitions(
    database: &Database,
    participant: &str,
) -> Result<Option<i32>, DatabaseError> {
    let known = identity(database, participant).await?;
    Ok(known.map(|known| known.partitions))
}

/// Which log `participant` has read, if it has looked at one.
pub(super) async fn identity(
    database: &Database,
    participant: &str,
) -> Result<Option<LogIdentity>, DatabaseError> {
    let row = sqlx::query(
        "SELECT cluster_id, topic, partitions FROM participant_logs WHERE participant = $1",
    )
    .bind(participant)
    .fetch_optional(database.pool())
    .await?;
    row.map(|row| log_identity(&row)).transpose()
}

fn log_identity(row: &AnyRow) -> Result<LogIdentity, DatabaseError> {
    let partitions: i64 = row.try_get(2)?;
    Ok(LogIdentity {
        cluster_id: row.try_get(0)?,
        topic: row.try_get(1)?,
        partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
    })
}

fn order_row(row: &AnyRow) -> Result<(OrderId, OrderRow), DatabaseError> {
    let text: String = row.try_get(1)?;
    let failed: i64 = row.try_get(3)?;
    Ok((
        order_id(row)?,
        OrderRow {
            state: OrderState::from(status(&text)?),
            outcome_rank: row.try_get(2)?,
            failed: failed != 0,
        },
    ))
}

/// A stored status; '' stands for none.
fn status(text: &str) -> Result<Option<OrderStatus>, DatabaseError> {
    if text.is_empty() {
        return Ok(None);
    }
    let status = text.parse::<OrderStatus>();
    let status = status.map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Some(status))
}

fn order_id(row: &AnyRow) -> Result<OrderId, DatabaseError> {
    let text: String = row.try_get(0)?;
    text.parse()
        .map_err(|error: base_domains::ParseOrderIdError| {
            DatabaseError::from(sqlx::Error::Decode(error.into()))
        })
}
