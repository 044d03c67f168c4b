//! SQL of the shipping service.
//!
//! A shipment is written only by a batch of the participant, under the lock of its order's row. Locking
//! it as well keeps that true should another writer ever come.

use std::collections::BTreeMap;

use base_domains::OrderId;
use service_runtime::database::{Database, DatabaseError, Dialect, Tx, sql};
use sqlx::any::AnyRow;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Row};

use crate::shipment::Shipment;

/// The service's tables.
pub static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

const COLUMNS: &str = "order_id, state, tracking_number, lines, dispatched_at";

/// The statements, in the words of one database.
#[derive(Debug, Clone, Copy)]
pub struct Store {
    /// Which database.
    pub dialect: Dialect,
}

/// A shipment with its times, in epoch milliseconds by the clock of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The shipment.
    pub shipment: Shipment,
    /// When it was prepared.
    pub created_at: i64,
    /// When its state changed last.
    pub updated_at: i64,
}

impl Store {
    /// Locks and reads the shipments of `orders`, sorted; orders without one are left out.
    ///
    /// # Errors
    /// Of the database.
    pub async fn lock(
        &self,
        tx: &mut Tx,
        orders: impl IntoIterator<Item = OrderId>,
    ) -> Result<BTreeMap<OrderId, Shipment>, DatabaseError> {
        let orders: Vec<OrderId> = orders.into_iter().collect();
        let mut shipments = BTreeMap::new();
        for chunk in orders.chunks(sql::max_rows(1)) {
            let mut orders = chunk.to_vec();
            sql::pad(&mut orders);
            let select = format!(
                "SELECT {COLUMNS} FROM shipments WHERE order_id IN ({}) ORDER BY order_id{}",
                sql::placeholders(orders.len(), 1),
                self.dialect.for_update()
            );
            let mut query = sqlx::query(AssertSqlSafe(select));
            for order in orders {
                query = query.bind(order.to_string());
            }
            for row in query.fetch_all(&mut **tx).await? {
                let shipment = shipment(&row)?;
                shipments.insert(shipment.order_id, shipment);
            }
        }
        Ok(shipments)
    }

    /// Inserts new shipments and writes what can change of those that are there.
    ///
    /// # Errors
    /// Of the database.
    pub async fn write(&self, tx: &mut Tx, shipments: &[Shipment]) -> Result<(), DatabaseError> {
        const TYPES: [&str; 5] = ["TEXT", "TEXT", "TEXT", "TEXT", "BIGINT"];
        for chunk in shipments.chunks(sql::max_rows(TYPES.len())) {
            let upsert = format!(
                "WITH v({COLUMNS}) AS (VALUES {rows}), clock(now) AS (SELECT {now}) \
                 INSERT INTO shipments ({COLUMNS}, created_at, updated_at) \
                 SELECT {COLUMNS}, now, now FROM v CROSS JOIN clock WHERE true \
                 ON CONFLICT (order_id) DO UPDATE SET state = excluded.state, \
                 dispatched_at = excluded.dispatched_at, updated_at = excluded.updated_at",
                rows = sql::rows(chunk.len(), &TYPES, 1),
                now = self.dialect.now_ms(),
            );
            let mut query = sqlx::query(AssertSqlSafe(upsert));
            for shipment in chunk {
                let lines = serde_json::to_string(&shipment.lines);
                query = query
                    .bind(shipment.order_id.to_string())
                    .bind(shipment.state.as_str())
                    .bind(shipment.tracking_number.clone())
                    .bind(lines.map_err(|error| sqlx::Error::Encode(error.into()))?)
                    .bind(shipment.dispatched_at);
            }
            query.execute(&mut **tx).await?;
        }
        Ok(())
    }
}

/// The shipment of one order.
///
/// # Errors
/// Of the database.
pub async fn find(database: &Database, order_id: OrderId) -> Result<Option<Kept>, DatabaseError> {
    let select =
        format!("SELECT {COLUMNS}, created_at, updated_at FROM shipments WHERE order_id = $1");
    let row = sqlx::query(AssertSqlSafe(select))
        .bind(order_id.to_string())
        .fetch_optional(database.pool())
        .await?;
    let kept = |row: AnyRow| {
        Ok(Kept {
            shipment: shipment(&row)?,
            created_at: row.try_get(5)?,
            updated_at: row.try_get(6)?,
        })
    };
    row.map(kept).transpose()
}

fn shipment(row: &AnyRow) -> Result<Shipment, DatabaseError> {
    let (order_id, state): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let lines: String = row.try_get(3)?;
    Ok(Shipment {
        order_id: order_id.parse().map_err(unreadable)?,
        state: state.parse().map_err(unreadable)?,
        tracking_number: row.try_get(2)?,
        lines: serde_json::from_str(&lines).map_err(unreadable)?,
        dispatched_at: row.try_get(4)?,
    })
}

/// A stored text that this program did not write.
fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> DatabaseError {
    sqlx::Error::Decode(Box::new(error)).into()
}
