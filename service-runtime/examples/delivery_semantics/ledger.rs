//! The effects, as rows that can be counted.
//!
//! An effect is one more row, so making it twice leaves two: nothing here forgives a repetition.

use std::collections::BTreeMap;
use std::path::Path;

use base_domains::OrderId;
use service_runtime::database::{Database, DatabaseConfig, Tx};
use sqlx::Executor as _;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS deliveries (order_id TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS effects (order_id TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS known (order_id TEXT NOT NULL PRIMARY KEY);
";

/// How often something happened to each order.
pub(crate) type Tally = BTreeMap<String, i64>;

#[derive(Debug)]
pub(crate) struct Ledger(Database);

impl Ledger {
    /// Opens the file, or makes it.
    pub(crate) async fn open(file: &Path) -> anyhow::Result<Self> {
        let config = DatabaseConfig::new(format!("sqlite://{}", file.display()));
        let database = Database::open(&config)?;
        database.pool().execute(TABLES).await?;
        Ok(Self(database))
    }

    /// Begins a transaction; when the process dies in it, nothing of it happened.
    pub(crate) async fn begin(&self) -> anyhow::Result<Tx> {
        Ok(self.0.begin().await?)
    }

    /// Only for the count: which orders were given to a consumer.
    pub(crate) async fn note_delivered(&self, orders: &[OrderId]) -> anyhow::Result<()> {
        let mut tx = self.begin().await?;
        for order in orders {
            sqlx::query("INSERT INTO deliveries (order_id) VALUES ($1)")
                .bind(order.to_string())
                .execute(&mut *tx)
                .await?;
        }
        Ok(tx.commit().await?)
    }

    pub(crate) async fn deliveries(&self) -> anyhow::Result<Tally> {
        self.tally("SELECT order_id, COUNT(*) FROM deliveries GROUP BY order_id")
            .await
    }

    pub(crate) async fn effects(&self) -> anyhow::Result<Tally> {
        self.tally("SELECT order_id, COUNT(*) FROM effects GROUP BY order_id")
            .await
    }

    async fn tally(&self, sql: &'static str) -> anyhow::Result<Tally> {
        let rows: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(self.0.pool()).await?;
        Ok(rows.into_iter().collect())
    }
}

/// Whether this is the first time that `order` is seen. From the commit of `tx` on it is not; the
/// participant's fold, which ignores an event that it is past, is this for a whole life of an order.
pub(crate) async fn is_new(tx: &mut Tx, order: OrderId) -> anyhow::Result<bool> {
    let inserted = sqlx::query("INSERT INTO known (order_id) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(order.to_string())
        .execute(&mut **tx)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// The effect.
pub(crate) async fn effect(tx: &mut Tx, order: OrderId) -> anyhow::Result<()> {
    sqlx::query("INSERT INTO effects (order_id) VALUES ($1)")
        .bind(order.to_string())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
