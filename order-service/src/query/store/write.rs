//! What the projection writes.

use std::collections::BTreeMap;

use base_domains::{OrderId, OrderStatus};
use service_runtime::database::{DatabaseError, Tx, sql};
use sqlx::AssertSqlSafe;

/// What one batch says about an order.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::query) struct ViewRow {
    pub(in crate::query) status: OrderStatus,
    /// Empty when there is none.
    pub(in crate::query) reason: String,
    /// JSON; empty when no event of the batch could be read.
    pub(in crate::query) content: String,
    /// Epoch milliseconds; counts only if the order is new.
    pub(in crate::query) created_at: i64,
    /// Epoch milliseconds.
    pub(in crate::query) updated_at: i64,
}

/// An event that moved an order on.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::query) struct HistoryRow {
    pub(in crate::query) order_id: OrderId,
    pub(in crate::query) status: OrderStatus,
    /// Empty when there is none.
    pub(in crate::query) reason: String,
    pub(in crate::query) partition: i32,
    pub(in crate::query) offset: i64,
    /// Epoch milliseconds.
    pub(in crate::query) recorded_at: i64,
}

const VIEW_TYPES: [&str; 7] = ["BIGINT", "TEXT", "TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT"];
const HISTORY_TYPES: [&str; 7] = [
    "BIGINT", "TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT", "BIGINT",
];

/// Rows of one statement. Most statements of a large batch then have the same text, which is prepared already.
const ROWS: usize = 256;

/// Brings the views of `generation` in line. The content of the first readable event stays: it is what was ordered. Where
/// the status is there already, a redriven event was late, and the reason and time of the status stay.
pub(in crate::query) async fn write_views(
    tx: &mut Tx,
    generation: i64,
    rows: &BTreeMap<OrderId, ViewRow>,
) -> Result<(), DatabaseError> {
    let rows: Vec<_> = rows.iter().collect();
    for chunk in rows.chunks(ROWS) {
        let upsert = format!(
            "INSERT INTO order_views (generation, order_id, status, reason, content, created_at, updated_at) VALUES {} \
             ON CONFLICT (generation, order_id) DO UPDATE SET status = excluded.status, \
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
                .bind(generation)
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

/// Adds to the histories of `generation`; a status that is there already was let in by the fold before.
pub(in crate::query) async fn write_history(
    tx: &mut Tx,
    generation: i64,
    rows: &[HistoryRow],
) -> Result<(), DatabaseError> {
    for chunk in rows.chunks(ROWS) {
        let insert = format!(
            "INSERT INTO order_history \
             (generation, order_id, status, reason, partition_id, record_offset, recorded_at) \
             VALUES {} ON CONFLICT (generation, order_id, status) DO NOTHING",
            sql::rows(chunk.len(), &HISTORY_TYPES, 1)
        );
        let mut query = sqlx::query(AssertSqlSafe(insert));
        for row in chunk {
            query = query
                .bind(generation)
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
