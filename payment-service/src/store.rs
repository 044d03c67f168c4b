//! SQL of the payment service.
//!
//! A payment is written only under the lock of its order's row: by a batch of the participant, or with
//! the answer of a gateway. Locking it as well keeps that true should another writer ever come.

use std::collections::BTreeMap;

use base_domains::{OrderId, Total};
use service_runtime::database::{Database, DatabaseError, Dialect, Tx, sql};
use sqlx::any::AnyRow;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Row};

use crate::payment::Payment;

/// The service's tables.
pub static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

const COLUMNS: &str = "order_id, state, amount_minor, payment_id, reason";

/// The statements, in the words of one database.
#[derive(Debug, Clone, Copy)]
pub struct Store {
    /// Which database.
    pub dialect: Dialect,
}

/// A payment with its times, in epoch milliseconds by the clock of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The payment.
    pub payment: Payment,
    /// When it was asked for.
    pub created_at: i64,
    /// When its state changed last.
    pub updated_at: i64,
}

impl Store {
    /// Locks and reads the payments of `orders`, sorted; orders without one are left out.
    ///
    /// # Errors
    /// Of the database.
    pub async fn lock(
        &self,
        tx: &mut Tx,
        orders: impl IntoIterator<Item = OrderId>,
    ) -> Result<BTreeMap<OrderId, Payment>, DatabaseError> {
        let orders: Vec<OrderId> = orders.into_iter().collect();
        let mut payments = BTreeMap::new();
        for chunk in orders.chunks(sql::max_rows(1)) {
            let mut orders = chunk.to_vec();
            sql::pad(&mut orders);
            let select = format!(
                "SELECT {COLUMNS} FROM payments WHERE order_id IN ({}) ORDER BY order_id{}",
                sql::placeholders(orders.len(), 1),
                self.dialect.for_update()
            );
            let mut query = sqlx::query(AssertSqlSafe(select));
            for order in orders {
                query = query.bind(order.to_string());
            }
            for row in query.fetch_all(&mut **tx).await? {
                let payment = payment(&row)?;
                payments.insert(payment.order_id, payment);
            }
        }
        Ok(payments)
    }

    /// Inserts new payments and writes what can change of those that are there.
    ///
    /// # Errors
    /// Of the database.
    pub async fn write(&self, tx: &mut Tx, payments: &[Payment]) -> Result<(), DatabaseError> {
        const TYPES: [&str; 5] = ["TEXT", "TEXT", "BIGINT", "TEXT", "TEXT"];
        for chunk in payments.chunks(sql::max_rows(TYPES.len())) {
            let upsert = format!(
                "WITH v({COLUMNS}) AS (VALUES {rows}), clock(now) AS (SELECT {now}) \
                 INSERT INTO payments ({COLUMNS}, created_at, updated_at) \
                 SELECT {COLUMNS}, now, now FROM v CROSS JOIN clock WHERE true \
                 ON CONFLICT (order_id) DO UPDATE SET state = excluded.state, \
                 payment_id = excluded.payment_id, reason = excluded.reason, \
                 updated_at = excluded.updated_at",
                rows = sql::rows(chunk.len(), &TYPES, 1),
                now = self.dialect.now_ms(),
            );
            let mut query = sqlx::query(AssertSqlSafe(upsert));
            for payment in chunk {
                query = query
                    .bind(payment.order_id.to_string())
                    .bind(payment.state.as_str())
                    .bind(payment.amount.minor())
                    .bind(payment.payment_id.clone().unwrap_or_default())
                    .bind(payment.reason.clone().unwrap_or_default());
            }
            query.execute(&mut **tx).await?;
        }
        Ok(())
    }
}

/// The payment of one order.
///
/// # Errors
/// Of the database.
pub async fn find(database: &Database, order_id: OrderId) -> Result<Option<Kept>, DatabaseError> {
    let select =
        format!("SELECT {COLUMNS}, created_at, updated_at FROM payments WHERE order_id = $1");
    let row = sqlx::query(AssertSqlSafe(select))
        .bind(order_id.to_string())
        .fetch_optional(database.pool())
        .await?;
    let kept = |row: AnyRow| {
        Ok(Kept {
            payment: payment(&row)?,
            created_at: row.try_get(5)?,
            updated_at: row.try_get(6)?,
        })
    };
    row.map(kept).transpose()
}

fn payment(row: &AnyRow) -> Result<Payment, DatabaseError> {
    let (order_id, state): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let (payment_id, reason): (String, String) = (row.try_get(3)?, row.try_get(4)?);
    let given = |text: String| (!text.is_empty()).then_some(text);
    Ok(Payment {
        order_id: order_id.parse().map_err(unreadable)?,
        state: state.parse().map_err(unreadable)?,
        amount: Total::from_minor(row.try_get(2)?).map_err(unreadable)?,
        payment_id: given(payment_id),
        reason: given(reason),
    })
}

/// A stored text that this program did not write.
fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> DatabaseError {
    sqlx::Error::Decode(Box::new(error)).into()
}
