//! The SQL of the table `command_orders`.
//!
//! Whoever writes a row holds the lock of the order's row in the participant's table, so rows are never
//! locked here.

use std::collections::BTreeMap;
use std::time::Duration;

use base_domains::OrderId;
use service_runtime::database::{Database, DatabaseError, Tx, sql};
use sqlx::{AssertSqlSafe, Row};

use super::kept::Kept;

/// An order that was not read before.
pub(super) struct Opening {
    pub(super) partition: i32,
    /// Epoch milliseconds.
    pub(super) placed_at: i64,
    /// JSON of [`Kept`]; empty when nobody knows what was ordered.
    pub(super) content: String,
    /// Empty when that is no valid order.
    pub(super) fingerprint: String,
}

/// An order that ended.
pub(super) struct Ending {
    pub(super) partition: i32,
    /// Epoch milliseconds; counts only if the order is new.
    pub(super) placed_at: i64,
    /// Empty when there is none.
    pub(super) reason: String,
}

const OPENING: [&str; 6] = ["TEXT", "BIGINT", "TEXT", "BIGINT", "TEXT", "TEXT"];
const ENDING: [&str; 5] = ["TEXT", "BIGINT", "TEXT", "BIGINT", "TEXT"];

/// Notes new orders. Of one that is known only a content that could not be read before is replaced.
pub(super) async fn open(
    tx: &mut Tx,
    orders: &BTreeMap<OrderId, Opening>,
) -> Result<(), DatabaseError> {
    let orders: Vec<_> = orders.iter().collect();
    for chunk in orders.chunks(sql::max_rows(OPENING.len())) {
        let upsert = format!(
            "INSERT INTO command_orders \
             (order_id, partition_id, state, placed_at, content, content_sha256) VALUES {} \
             ON CONFLICT (order_id) DO UPDATE SET state = excluded.state, \
             content = excluded.content, content_sha256 = excluded.content_sha256 \
             WHERE command_orders.state = 'unreadable'",
            sql::rows(chunk.len(), &OPENING, 1)
        );
        let mut query = sqlx::query(AssertSqlSafe(upsert));
        for (order_id, row) in chunk {
            let state = match row.content.as_str() {
                "" => "unreadable",
                _ => "open",
            };
            query = query
                .bind(order_id.to_string())
                .bind(i64::from(row.partition))
                .bind(state)
                .bind(row.placed_at)
                .bind(row.content.as_str())
                .bind(row.fingerprint.as_str());
        }
        query.execute(&mut **tx).await?;
    }
    Ok(())
}

/// Notes that orders ended, and forgets what they held. A reason that is known stays.
pub(super) async fn end(
    tx: &mut Tx,
    orders: &BTreeMap<OrderId, Ending>,
) -> Result<(), DatabaseError> {
    let orders: Vec<_> = orders.iter().collect();
    for chunk in orders.chunks(sql::max_rows(ENDING.len())) {
        let upsert = format!(
            "INSERT INTO command_orders (order_id, partition_id, state, placed_at, reason) VALUES {} \
             ON CONFLICT (order_id) DO UPDATE SET state = excluded.state, content = '', \
             reason = CASE WHEN command_orders.reason = '' THEN excluded.reason \
             ELSE command_orders.reason END",
            sql::rows(chunk.len(), &ENDING, 1)
        );
        let mut query = sqlx::query(AssertSqlSafe(upsert));
        for (order_id, row) in chunk {
            query = query
                .bind(order_id.to_string())
                .bind(i64::from(row.partition))
                .bind("ended")
                .bind(row.placed_at)
                .bind(row.reason.as_str());
        }
        query.execute(&mut **tx).await?;
    }
    Ok(())
}

/// What is kept of an order; `None` when nobody knows what was ordered, or it ended.
pub(super) async fn kept(tx: &mut Tx, order_id: OrderId) -> Result<Option<Kept>, DatabaseError> {
    let text: Option<String> =
        sqlx::query_scalar("SELECT content FROM command_orders WHERE order_id = $1")
            .bind(order_id.to_string())
            .fetch_optional(&mut **tx)
            .await?;
    match text.as_deref() {
        None | Some("") => Ok(None),
        Some(json) => {
            let kept = serde_json::from_str(json);
            Ok(Some(
                kept.map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            ))
        }
    }
}

/// Notes that an order's CANCELLED is stored: nobody needs to look for the order any more.
pub(super) async fn cancelling(tx: &mut Tx, order_id: OrderId) -> Result<(), DatabaseError> {
    let update = "UPDATE command_orders SET state = 'cancelling' \
                  WHERE order_id = $1 AND state = 'open'";
    sqlx::query(update)
        .bind(order_id.to_string())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Why an order ended, if its end says so.
pub(super) async fn reason(
    database: &Database,
    order_id: OrderId,
) -> Result<Option<String>, DatabaseError> {
    let text: Option<String> =
        sqlx::query_scalar("SELECT reason FROM command_orders WHERE order_id = $1")
            .bind(order_id.to_string())
            .fetch_optional(database.pool())
            .await?;
    Ok(text.filter(|reason| !reason.is_empty()))
}

/// The fingerprint of what was ordered under an id; empty where that is no valid order, `None` when nothing
/// of the order was read yet.
pub(super) async fn fingerprint_of(
    tx: &mut Tx,
    order_id: OrderId,
) -> Result<Option<String>, DatabaseError> {
    let text = sqlx::query_scalar("SELECT content_sha256 FROM command_orders WHERE order_id = $1")
        .bind(order_id.to_string())
        .fetch_optional(&mut **tx)
        .await?;
    Ok(text)
}

/// Orders of a partition that nobody has ended for so long, by the clock of the database; the oldest first.
pub(super) async fn overdue(
    database: &Database,
    partition: i32,
    deadline: Duration,
    limit: usize,
) -> Result<Vec<OrderId>, DatabaseError> {
    let select = format!(
        "SELECT order_id FROM command_orders WHERE state = 'open' AND partition_id = $1 \
         AND placed_at <= {} - $2 ORDER BY placed_at LIMIT $3",
        database.dialect().now_ms()
    );
    let rows = sqlx::query(AssertSqlSafe(select))
        .bind(i64::from(partition))
        .bind(i64::try_from(deadline.as_millis()).unwrap_or(i64::MAX))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(database.pool())
        .await?;
    let id = |row: &sqlx::any::AnyRow| {
        let text: String = row.try_get(0)?;
        let id = text.parse::<OrderId>();
        id.map_err(|error| sqlx::Error::Decode(Box::new(error)))
    };
    Ok(rows.iter().map(id).collect::<Result<_, _>>()?)
}
