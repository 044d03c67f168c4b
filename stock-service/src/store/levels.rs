//! The table `stock`.

use std::collections::{BTreeMap, BTreeSet};

use service_runtime::database::{Database, DatabaseError, Tx, sql};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::Store;
use crate::level::Level;

const COLUMNS: &str = "product, available, reserved, shipped";

impl Store {
    /// Makes rows without pieces for those of `products` that have none, and returns these. Until
    /// the commit nobody else can make them; so whoever claims gives them their pieces.
    pub(crate) async fn claim<'a>(
        &self,
        tx: &mut Tx,
        products: impl IntoIterator<Item = &'a String>,
    ) -> Result<BTreeSet<String>, DatabaseError> {
        let products: Vec<&String> = products.into_iter().collect();
        let mut claimed = BTreeSet::new();
        for chunk in products.chunks(sql::max_rows(1)) {
            let insert = format!(
                "WITH v(product) AS (VALUES {}) \
                 INSERT INTO stock ({COLUMNS}) SELECT product, 0, 0, 0 FROM v WHERE true \
                 ON CONFLICT DO NOTHING RETURNING product",
                sql::rows(chunk.len(), &["TEXT"], 1)
            );
            let mut query = sqlx::query(AssertSqlSafe(insert));
            for product in chunk {
                query = query.bind(product.as_str());
            }
            for row in query.fetch_all(&mut **tx).await? {
                claimed.insert(row.try_get(0)?);
            }
        }
        Ok(claimed)
    }

    /// Locks and reads the rows of `products`; those without a row are left out.
    pub(crate) async fn lock_levels(
        &self,
        tx: &mut Tx,
        products: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Level>, DatabaseError> {
        let products: Vec<&String> = products.iter().collect();
        let mut levels = BTreeMap::new();
        for chunk in products.chunks(sql::max_rows(1)) {
            let mut names = chunk.to_vec();
            sql::pad(&mut names);
            let select = format!(
                "SELECT {COLUMNS} FROM stock WHERE product IN ({}) ORDER BY product{}",
                sql::placeholders(names.len(), 1),
                self.dialect.for_update()
            );
            let mut query = sqlx::query(AssertSqlSafe(select));
            for name in names {
                query = query.bind(name.as_str());
            }
            for row in query.fetch_all(&mut **tx).await? {
                let (product, level) = level(&row)?;
                levels.insert(product, level);
            }
        }
        Ok(levels)
    }

    /// Writes rows that exist and are locked.
    pub(crate) async fn write_levels(
        &self,
        tx: &mut Tx,
        levels: &[(&String, &Level)],
    ) -> Result<(), DatabaseError> {
        for chunk in levels.chunks(sql::max_rows(4)) {
            let mut levels = chunk.to_vec();
            sql::pad(&mut levels);
            let update = format!(
                "WITH v({COLUMNS}) AS (VALUES {}) UPDATE stock \
                 SET available = v.available, reserved = v.reserved, shipped = v.shipped \
                 FROM v WHERE stock.product = v.product",
                sql::rows(levels.len(), &["TEXT", "BIGINT", "BIGINT", "BIGINT"], 1)
            );
            let mut query = sqlx::query(AssertSqlSafe(update));
            for (product, level) in levels {
                query = query
                    .bind(product.as_str())
                    .bind(level.available)
                    .bind(level.reserved)
                    .bind(level.shipped);
            }
            query.execute(&mut **tx).await?;
        }
        Ok(())
    }
}

/// All products.
///
/// # Errors
/// Of the database.
pub(crate) async fn all(database: &Database) -> Result<BTreeMap<String, Level>, DatabaseError> {
    let select = format!("SELECT {COLUMNS} FROM stock");
    let rows = sqlx::query(AssertSqlSafe(select))
        .fetch_all(database.pool())
        .await?;
    rows.iter().map(level).collect()
}

/// One product.
///
/// # Errors
/// Of the database.
pub(crate) async fn find(
    database: &Database,
    product: &str,
) -> Result<Option<Level>, DatabaseError> {
    let select = format!("SELECT {COLUMNS} FROM stock WHERE product = $1");
    let row = sqlx::query(AssertSqlSafe(select))
        .bind(product)
        .fetch_optional(database.pool())
        .await?;
    row.map(|row| Ok(level(&row)?.1)).transpose()
}

fn level(row: &AnyRow) -> Result<(String, Level), DatabaseError> {
    let level = Level {
        available: row.try_get(1)?,
        reserved: row.try_get(2)?,
        shipped: row.try_get(3)?,
    };
    Ok((row.try_get(0)?, level))
}
