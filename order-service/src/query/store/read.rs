//! What requests read.

use base_domains::{OrderId, OrderStatus};
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::super::history::Entry;
use super::super::page::{Cursor, Page, PageRequest};
use super::super::view::{Content, OrderView};
use super::generation::IN_USE;
use crate::storage::{Storage, StorageError};

/// What [`view`] reads.
const VIEW: &str = "status, reason, content, created_at, updated_at";

/// The view of one order, if it is in the read model.
pub(in crate::query) async fn find(
    storage: &Storage,
    order_id: OrderId,
) -> Result<Option<OrderView>, StorageError> {
    let row = sqlx::query(AssertSqlSafe(format!(
        "SELECT {VIEW} FROM order_views WHERE {IN_USE} AND order_id = $1"
    )))
    .bind(order_id.to_string())
    .fetch_optional(storage.database()?.pool())
    .await?;
    Ok(row.map(|row| view(order_id, &row)).transpose()?)
}

/// A page of orders, newest first, and whether there is a next one.
pub(in crate::query) async fn page(
    storage: &Storage,
    request: &PageRequest,
) -> Result<Page, StorageError> {
    // One more than asked for tells whether there is a next page.
    let mut rows = sqlx::query(AssertSqlSafe(select_page(request)))
        .bind(i64::try_from(request.limit + 1).unwrap_or(i64::MAX));
    if let Some(after) = request.after {
        rows = rows.bind(after.created_at).bind(after.order_id.to_string());
    }
    let rows = rows.fetch_all(storage.database()?.pool()).await?;
    let mut places = rows
        .iter()
        .map(place)
        .collect::<Result<Vec<Cursor>, sqlx::Error>>()?;
    let more = places.len() > request.limit;
    places.truncate(request.limit);
    let last = places.last().filter(|_| more);
    let orders = places.iter().zip(&rows);
    Ok(Page {
        next_cursor: last.map(Cursor::to_string),
        orders: orders
            .map(|(place, row)| view(place.order_id, row))
            .collect::<Result<_, _>>()?,
    })
}

/// One query for each status, since an index is in order only within one; and one around them.
fn select_page(request: &PageRequest) -> String {
    const ORDER: &str = "ORDER BY created_at DESC, order_id DESC LIMIT $1";
    let mut conditions: Vec<String> = request
        .statuses
        .iter()
        .map(|status| format!("status = '{status}'"))
        .collect();
    if conditions.is_empty() {
        conditions.push("1 = 1".to_owned());
    }
    let after = match request.after {
        Some(_) => " AND (created_at, order_id) < ($2, $3)",
        None => "",
    };
    let parts: Vec<String> = conditions
        .iter()
        .enumerate()
        .map(|(n, condition)| {
            format!(
                "SELECT * FROM (SELECT {VIEW}, order_id FROM order_views \
                 WHERE {IN_USE} AND {condition}{after} {ORDER}) AS part{n}"
            )
        })
        .collect();
    format!("{} {ORDER}", parts.join(" UNION ALL "))
}

/// The events that moved an order on, in no particular order.
pub(in crate::query) async fn history(
    storage: &Storage,
    order_id: OrderId,
) -> Result<Vec<Entry>, StorageError> {
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT status, reason, partition_id, record_offset, recorded_at FROM order_history \
         WHERE {IN_USE} AND order_id = $1"
    )))
    .bind(order_id.to_string())
    .fetch_all(storage.database()?.pool())
    .await?;
    Ok(rows.iter().map(entry).collect::<Result<_, _>>()?)
}

/// When the oldest order with `status` was placed, in epoch milliseconds.
///
/// The status stands in the text: its few values need no parameter.
pub(in crate::query) async fn oldest(
    storage: &Storage,
    status: OrderStatus,
) -> Result<Option<i64>, StorageError> {
    let select = format!(
        "SELECT MIN(created_at) FROM order_views WHERE {IN_USE} AND status = '{}'",
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

fn place(row: &AnyRow) -> Result<Cursor, sqlx::Error> {
    let order_id: String = row.try_get(5)?;
    Ok(Cursor {
        created_at: row.try_get(3)?,
        order_id: order_id.parse().map_err(undecodable)?,
    })
}

fn entry(row: &AnyRow) -> Result<Entry, sqlx::Error> {
    let (status, reason): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let partition: i64 = row.try_get(2)?;
    Ok(Entry {
        status: status.parse().map_err(undecodable)?,
        reason: (!reason.is_empty()).then_some(reason),
        partition: i32::try_from(partition).map_err(undecodable)?,
        offset: row.try_get(3)?,
        at: timestamp(row.try_get(4)?)?,
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

pub(super) fn undecodable(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}
