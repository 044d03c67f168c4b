//! SQL of the read model: `order_views` and `order_history`.

use std::collections::BTreeMap;

use base_domains::{OrderId, OrderStatus};
use jiff::Timestamp;
use service_runtime::database::{DatabaseError, Tx, sql};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::view::{Content, OrderView};
use crate::storage::{Storage, StorageError};

/// What one batch says about an order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ViewRow {
    pub(super) status: OrderStatus,
    /// Empty when there is none.
    pub(super) reason: String,
    /// JSON; empty when no event of the batch could be read.
    pub(super) content: String,
    /// Epoch milliseconds; counts only if the order is new.
    pub(super) created_at: i64,
    /// Epoch milliseconds.
    pub(super) updated_at: i64,
}

/// An event that moved an order on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HistoryRow {
    pub(super) order_id: OrderId,
    pub(super) status: OrderStatus,
    /// Empty when there is none.
    pub(super) reason: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// Epoch milliseconds.
    pub(super) recorded_at: i64,
}

const VIEW_TYPES: [&str; 6] = ["TEXT", "TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT"];
const HISTORY_TYPES: [&str; 6] = ["TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT", "BIGINT"];

/// Brings the views in line. The content of the first readable event stays: it is what was ordered. Where
/// the status is there already, a redriven event was late, and the reason and time of the status stay.
pub(super) async fn write_views(
    tx: &mut Tx,
    rows: &BTreeMap<OrderId, ViewRow>,
) -> Result<(), DatabaseError> {
    let rows: Vec<_> = rows.iter().collect();
    for chunk in rows.chunks(sql::max_rows(VIEW_TYPES.len())) {
        let upsert = format!(
            "INSERT INTO order_views (order_id, status, reason, content, created_at, updated_at) VALUES {} \
             ON CONFLICT (order_id) DO UPDATE SET status = excluded.status, \
             content = CASE WHEN order_views.content = '' THEN excluded.content ELSE order_views.content END, \
             reason = CASE WHEN order_views.status = excluded.status AND order_views.reason <> '' \
             THEN order_views.reason ELSE excluded.reason END, \
             updated_at = CASE WHEN order_views.status = excluded.status \
             THEN order_views.updated_at ELSE excluded.updated_at END",
            sql::rows(chunk.len(), &VIEW_TYPES, 1)
        );
        let mut query = sqlx::query(AssertSqlSafe(upsert));
        for (order_id, row) in chunk {
            query = query
                .bind(order_id.to_string())
                .bind(row.status.as_str())
                .bind(row.reason.as_str())
                .bind(row.content.as_str())
                .bind(row.created_at)
                .bind(row.updated_at);
        }
        query.execute(&mut **tx).await?;
    }
    Ok(())
}

/// Adds to the histories; a status that is there already was let in by the fold before.
pub(super) async fn write_history(tx: &mut Tx, rows: &[HistoryRow]) -> Result<(), DatabaseError> {
    for chunk in rows.chunks(sql::max_rows(HISTORY_TYPES.len())) {
        let insert = format!(
            "INSERT INTO order_history (order_id, status, reason, partition_id, record_offset, recorded_at) \
             VALUES {} ON CONFLICT (order_id, status) DO NOTHING",
            sql::rows(chunk.len(), &HISTORY_TYPES, 1)
        );
        let mut query = sqlx::query(AssertSqlSafe(insert));
        for row in chunk {
            query = query
                .bind(row.order_id.to_string())
                .bind(row.status.as_str())
                .bind(row.reason.as_str())
                .bind(i64::from(row.partition))
                .bind(row.offset)
                .bind(row.recorded_at);
        }
        query.execute(&mut **tx).await?;
    }
    Ok(())
}

/// The view of one order, if it is in the read model.
pub(super) async fn find(
    storage: &Storage,
    order_id: OrderId,
) -> Result<Option<OrderView>, StorageError> {
    let row = sqlx::query(
        "SELECT status, reason, content, created_at, updated_at FROM order_views WHERE order_id = $1",
    )
    .bind(order_id.to_string())
    .fetch_optional(storage.database()?.pool())
    .await?;
    Ok(row.map(|row| view(order_id, &row)).transpose()?)
}

/// When the oldest order with `status` was placed, in epoch milliseconds.
///
/// The status stands in the text, not in a parameter: with a parameter the partial index is not used.
pub(super) async fn oldest(
    storage: &Storage,
    status: OrderStatus,
) -> Result<Option<i64>, StorageError> {
    let select = format!(
        "SELECT MIN(created_at) FROM order_views WHERE status = '{}'",
        status.as_str()
    );
    let row = sqlx::query(AssertSqlSafe(select))
        .fetch_one(storage.database()?.pool())
        .await?;
    Ok(row.try_get(0)?)
}

fn view(order_id: OrderId, row: &AnyRow) -> Result<OrderView, sqlx::Error> {
    let (status, reason): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let content: String = row.try_get(2)?;
    Ok(OrderView {
        order_id: order_id.as_uuid(),
        status: status.parse().map_err(undecodable)?,
        reason: (!reason.is_empty()).then_some(reason),
        order: content_of(&content)?,
        created_at: timestamp(row.try_get(3)?)?,
        updated_at: timestamp(row.try_get(4)?)?,
    })
}

fn content_of(text: &str) -> Result<Option<Content>, sqlx::Error> {
    match text {
        "" => Ok(None),
        json => serde_json::from_str(json).map_err(undecodable),
    }
}

fn timestamp(milliseconds: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_millisecond(milliseconds).map_err(undecodable)
}

fn undecodable(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}
