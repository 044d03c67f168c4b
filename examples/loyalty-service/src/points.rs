//! The decision: a point for each full 10.00 of a shipped order's total.

use base_domains::{OrderId, OrderStatus, Total};
use service_runtime::database::{Database, DatabaseError, Tx, sql};
use service_runtime::participant::{Change, DecideError, Decider, Decision};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Row as _};

/// The service's tables.
pub static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// 10.00, in minor units.
const MINOR_PER_POINT: i64 = 1_000;

/// Gives points.
#[derive(Debug)]
pub struct Giver;

impl Decider for Giver {
    async fn decide(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        let mut given = Vec::new();
        let decisions = changes.iter().map(|change| decide(change, &mut given));
        let decisions = decisions.collect();
        insert(tx, &given).await?;
        Ok(decisions)
    }
}

fn decide(change: &Change<'_>, given: &mut Vec<(OrderId, i64)>) -> Decision {
    if change.status != OrderStatus::Shipped {
        return Decision::Done;
    }
    let order = match change.event() {
        Ok(event) => event.order.validate(),
        Err(error) => return Decision::unreadable(&error),
    };
    let Ok(order) = order else {
        return Decision::Failed {
            code: "invalid_order",
            reason: "the order was shipped, but nobody can say what it costs".to_owned(),
        };
    };
    given.push((change.order_id(), points(order.total())));
    Decision::Done
}

/// What an order of this total is worth.
#[must_use]
pub const fn points(total: Total) -> i64 {
    total.minor() / MINOR_PER_POINT
}

/// Without `ON CONFLICT`: an order ends once, so a second row would be a defect.
async fn insert(tx: &mut Tx, given: &[(OrderId, i64)]) -> Result<(), DatabaseError> {
    const TYPES: [&str; 2] = ["TEXT", "BIGINT"];
    for chunk in given.chunks(sql::max_rows(TYPES.len())) {
        let rows = sql::rows(chunk.len(), &TYPES, 1);
        let insert = format!("INSERT INTO points (order_id, points) VALUES {rows}");
        let mut query = sqlx::query(AssertSqlSafe(insert));
        for (order_id, points) in chunk {
            query = query.bind(order_id.to_string()).bind(*points);
        }
        query.execute(&mut **tx).await?;
    }
    Ok(())
}

/// The points of an order; `None` if it was not shipped, or not yet.
///
/// # Errors
/// Of the database.
pub async fn find(database: &Database, order_id: OrderId) -> Result<Option<i64>, DatabaseError> {
    let row = sqlx::query("SELECT points FROM points WHERE order_id = $1")
        .bind(order_id.to_string())
        .fetch_optional(database.pool())
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_tens_count() {
        let cases = [(0, 0), (999, 0), (1_000, 1), (1_999, 1), (5_000_000, 5_000)];
        for (cents, expected) in cases {
            let total = Total::from_minor(cents).unwrap();
            assert_eq!(points(total), expected, "{total}");
        }
    }
}
