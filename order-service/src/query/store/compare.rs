//! Two generations side by side: which orders differ, and in what.
//!
//! A difference is found by the database, a part of all orders at a time; only orders that differ are read.

use std::collections::BTreeMap;

use base_domains::{OrderId, OrderStatus};
use service_runtime::database::{DatabaseError, Tx, sql};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row};

use super::read::undecodable;
use crate::query::PARTICIPANT;

const VIEW: &str = "order_id, status, reason, content, created_at, updated_at";
const STEP: &str = "order_id, status, reason, partition_id, record_offset, recorded_at";

/// The generation in use and the one that is to follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) struct Pair {
    pub(in crate::query) old: i64,
    pub(in crate::query) new: i64,
}

/// Which orders are looked at.
#[derive(Debug, Clone, Copy)]
pub(in crate::query) enum Scope<'a> {
    /// Those after the first id, up to and with the second, or all that are left.
    Range(&'a str, Option<&'a str>),
    /// These.
    Orders(&'a [OrderId]),
}

/// Where an order is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::query) struct Side {
    pub(in crate::query) old: bool,
    pub(in crate::query) new: bool,
}

/// What a generation says about an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::query) struct Stored {
    /// Status, reason, content, placed, changed.
    pub(in crate::query) view: Option<(String, String, String, i64, i64)>,
    /// By status: reason, partition, offset, time.
    pub(in crate::query) steps: BTreeMap<String, (String, i64, i64, i64)>,
}

impl<'a> Scope<'a> {
    fn condition(self, column: &str, first: usize) -> String {
        match self {
            Self::Range(_, None) => format!("{column} > ${first}"),
            Self::Range(_, Some(_)) => {
                format!("{column} > ${first} AND {column} <= ${}", first + 1)
            }
            Self::Orders(orders) => {
                format!("{column} IN ({})", sql::placeholders(orders.len(), first))
            }
        }
    }

    fn bind(self, query: Query<'a, Any, AnyArguments>) -> Query<'a, Any, AnyArguments> {
        match self {
            Self::Range(after, None) => query.bind(after),
            Self::Range(after, Some(to)) => query.bind(after).bind(to),
            Self::Orders(orders) => bind_ids(query, orders),
        }
    }
}

/// The id with which a part of `size` orders after `after` ends; `None` when there are fewer.
pub(in crate::query) async fn part_end(
    connection: &mut AnyConnection,
    pair: Pair,
    after: &str,
    size: usize,
) -> Result<Option<String>, DatabaseError> {
    let mut end: Option<String> = None;
    for generation in [pair.old, pair.new] {
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT order_id FROM order_views WHERE generation = $1 AND order_id > $2 \
             ORDER BY order_id LIMIT 1 OFFSET {size}"
        )))
        .bind(generation)
        .bind(after)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = row {
            let found: String = row.try_get(0)?;
            end = end.into_iter().chain([found]).min();
        }
    }
    Ok(end)
}

/// The orders that the two generations do not say the same about, and where each of them is.
pub(in crate::query) async fn differing(
    connection: &mut AnyConnection,
    pair: Pair,
    scope: Scope<'_>,
) -> Result<BTreeMap<OrderId, Side>, DatabaseError> {
    let condition = scope.condition("order_id", 3);
    let parts: Vec<String> = [("order_views", VIEW), ("order_history", STEP)]
        .into_iter()
        .flat_map(|(table, columns)| {
            let rows = |generation: &str| {
                format!(
                    "SELECT {columns} FROM {table} WHERE generation = {generation} AND {condition}"
                )
            };
            [("$1", "$2"), ("$2", "$1")].map(|(one, other)| {
                format!(
                    "SELECT order_id FROM ({} EXCEPT {}) AS {table}_{}",
                    rows(one),
                    rows(other),
                    &one[1..]
                )
            })
        })
        .collect();
    let select = parts.join(" UNION ");
    let query = sqlx::query(AssertSqlSafe(select))
        .bind(pair.old)
        .bind(pair.new);
    let rows = scope.bind(query).fetch_all(&mut *connection).await?;
    let orders: Vec<OrderId> = rows.iter().map(order_id).collect::<Result<_, _>>()?;
    let mut sides = BTreeMap::new();
    for chunk in orders.chunks(AT_A_TIME) {
        sides.extend(sides_of(connection, pair, chunk).await?);
    }
    Ok(sides)
}

/// Most ids of one statement.
pub(in crate::query) const AT_A_TIME: usize = 2_000;

async fn sides_of(
    connection: &mut AnyConnection,
    pair: Pair,
    orders: &[OrderId],
) -> Result<BTreeMap<OrderId, Side>, DatabaseError> {
    let mut sides: BTreeMap<_, _> = orders.iter().map(|id| (*id, Side::default())).collect();
    let select = format!(
        "SELECT order_id, generation FROM order_views WHERE generation IN ($1, $2) AND order_id IN ({})",
        sql::placeholders(orders.len(), 3)
    );
    let query = sqlx::query(AssertSqlSafe(select))
        .bind(pair.old)
        .bind(pair.new);
    for row in bind_ids(query, orders).fetch_all(connection).await? {
        let generation: i64 = row.try_get(1)?;
        let side = sides.entry(order_id(&row)?).or_default();
        match generation == pair.old {
            true => side.old = true,
            false => side.new = true,
        }
    }
    Ok(sides)
}

/// Orders of `generation` that the participant has folded to another status than the one shown.
pub(in crate::query) async fn misfolded(
    connection: &mut AnyConnection,
    generation: i64,
    scope: Scope<'_>,
) -> Result<BTreeMap<OrderId, OrderStatus>, DatabaseError> {
    let select = format!(
        "SELECT v.order_id, v.status FROM order_views v LEFT JOIN participant_orders p \
         ON p.participant = '{PARTICIPANT}' AND p.order_id = v.order_id \
         WHERE v.generation = $1 AND {} AND (p.order_id IS NULL OR p.status <> v.status)",
        scope.condition("v.order_id", 2)
    );
    let query = sqlx::query(AssertSqlSafe(select)).bind(generation);
    let rows = scope.bind(query).fetch_all(connection).await?;
    rows.iter().map(id_and_status).collect()
}

/// The state of these orders in `generation`.
pub(in crate::query) async fn statuses(
    tx: &mut Tx,
    generation: i64,
    orders: &[OrderId],
) -> Result<BTreeMap<OrderId, OrderStatus>, DatabaseError> {
    let mut statuses = BTreeMap::new();
    for chunk in orders.chunks(AT_A_TIME) {
        // Few different texts, so that most of them are prepared already.
        let mut padded = chunk.to_vec();
        sql::pad(&mut padded);
        let select = format!(
            "SELECT order_id, status FROM order_views WHERE generation = $1 AND order_id IN ({})",
            sql::placeholders(padded.len(), 2)
        );
        let query = sqlx::query(AssertSqlSafe(select)).bind(generation);
        let rows = bind_ids(query, &padded).fetch_all(&mut **tx).await?;
        for row in &rows {
            let (order_id, status) = id_and_status(row)?;
            statuses.insert(order_id, status);
        }
    }
    Ok(statuses)
}

/// All that `generation` says about these orders.
pub(in crate::query) async fn stored(
    connection: &mut AnyConnection,
    generation: i64,
    orders: &[OrderId],
) -> Result<BTreeMap<OrderId, Stored>, DatabaseError> {
    let mut stored: BTreeMap<OrderId, Stored> = BTreeMap::new();
    if orders.is_empty() {
        return Ok(stored);
    }
    let ids = sql::placeholders(orders.len(), 2);
    let select = |columns, table| {
        format!("SELECT {columns} FROM {table} WHERE generation = $1 AND order_id IN ({ids})")
    };
    let views = select(VIEW, "order_views");
    let query = sqlx::query(AssertSqlSafe(views)).bind(generation);
    for row in bind_ids(query, orders).fetch_all(&mut *connection).await? {
        stored.entry(order_id(&row)?).or_default().view = Some((
            row.try_get(1)?,
            row.try_get(2)?,
            row.try_get(3)?,
            row.try_get(4)?,
            row.try_get(5)?,
        ));
    }
    let steps = select(STEP, "order_history");
    let query = sqlx::query(AssertSqlSafe(steps)).bind(generation);
    for row in bind_ids(query, orders).fetch_all(connection).await? {
        let step = (
            row.try_get(2)?,
            row.try_get(3)?,
            row.try_get(4)?,
            row.try_get(5)?,
        );
        let steps = &mut stored.entry(order_id(&row)?).or_default().steps;
        steps.insert(row.try_get(1)?, step);
    }
    Ok(stored)
}

fn bind_ids<'a>(
    query: Query<'a, Any, AnyArguments>,
    orders: &[OrderId],
) -> Query<'a, Any, AnyArguments> {
    orders
        .iter()
        .fold(query, |query, id| query.bind(id.to_string()))
}

fn order_id(row: &AnyRow) -> Result<OrderId, sqlx::Error> {
    let text: String = row.try_get(0)?;
    text.parse().map_err(undecodable)
}

fn id_and_status(row: &AnyRow) -> Result<(OrderId, OrderStatus), DatabaseError> {
    let status: String = row.try_get(1)?;
    Ok((order_id(row)?, status.parse().map_err(undecodable)?))
}
