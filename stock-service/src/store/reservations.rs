//! The table `reservations`.
//!
//! Only the participant writes it, under the lock of the order's row; locking it as well keeps that
//! true should another writer ever come.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::OrderId;
use service_runtime::database::{DatabaseError, Tx, sql};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::{Store, unreadable};
use crate::reservation::Reservation;

impl Store {
    /// Locks and reads the reservations of `orders`; orders without one are left out.
    pub(crate) async fn lock_reservations(
        &self,
        tx: &mut Tx,
        orders: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, Reservation>, DatabaseError> {
        let orders: Vec<&OrderId> = orders.iter().collect();
        let mut reservations = BTreeMap::new();
        for chunk in orders.chunks(sql::max_rows(1)) {
            let mut orders = chunk.to_vec();
            sql::pad(&mut orders);
            let select = format!(
                "SELECT order_id, state, lines FROM reservations WHERE order_id IN ({}) \
                 ORDER BY order_id{}",
                sql::placeholders(orders.len(), 1),
                self.dialect.for_update()
            );
            let mut query = sqlx::query(AssertSqlSafe(select));
            for order in orders {
                query = query.bind(order.to_string());
            }
            for row in query.fetch_all(&mut **tx).await? {
                let (order_id, reservation) = reservation(&row)?;
                reservations.insert(order_id, reservation);
            }
        }
        Ok(reservations)
    }

    /// Inserts new reservations and writes the state of those that are there; lines never change.
    pub(crate) async fn write_reservations(
        &self,
        tx: &mut Tx,
        reservations: &[(&OrderId, &Reservation)],
    ) -> Result<(), DatabaseError> {
        for chunk in reservations.chunks(sql::max_rows(3)) {
            let upsert = format!(
                "INSERT INTO reservations (order_id, state, lines) VALUES {} \
                 ON CONFLICT (order_id) DO UPDATE SET state = excluded.state",
                sql::rows(chunk.len(), &["TEXT", "TEXT", "TEXT"], 1)
            );
            let mut query = sqlx::query(AssertSqlSafe(upsert));
            for (order_id, reservation) in chunk {
                let lines = serde_json::to_string(&reservation.lines)
                    .map_err(|error| sqlx::Error::Encode(error.into()))?;
                query = query
                    .bind(order_id.to_string())
                    .bind(reservation.state.as_str())
                    .bind(lines);
            }
            query.execute(&mut **tx).await?;
        }
        Ok(())
    }
}

fn reservation(row: &AnyRow) -> Result<(OrderId, Reservation), DatabaseError> {
    let (order_id, state, lines): (String, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let reservation = Reservation {
        state: state.parse().map_err(unreadable)?,
        lines: serde_json::from_str(&lines).map_err(unreadable)?,
    };
    Ok((order_id.parse().map_err(unreadable)?, reservation))
}
