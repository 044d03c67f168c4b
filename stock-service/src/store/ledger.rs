//! The table `stock_adjustments`: why there are as many pieces of a product as there are.

use std::collections::BTreeMap;

use service_runtime::database::{DatabaseError, Tx, sql};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::Store;

/// Who changed the number of pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The catalogue, when the product was new.
    Seed,
    /// Somebody, by HTTP.
    Operator,
    /// An order that named the product first.
    UnknownProduct,
}

impl Cause {
    /// Its name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Operator => "operator",
            Self::UnknownProduct => "unknown_product",
        }
    }
}

impl Store {
    /// Adds one entry for each product, with the difference that was made to it.
    pub(crate) async fn record(
        &self,
        tx: &mut Tx,
        cause: Cause,
        deltas: &BTreeMap<String, i64>,
    ) -> Result<(), DatabaseError> {
        let deltas: Vec<(&String, &i64)> = deltas.iter().collect();
        for chunk in deltas.chunks(sql::max_rows(4)) {
            let insert = format!(
                "WITH v(id, product, delta, cause) AS (VALUES {}) \
                 INSERT INTO stock_adjustments (id, product, delta, cause, created_at) \
                 SELECT id, product, delta, cause, {} FROM v",
                sql::rows(chunk.len(), &["TEXT", "TEXT", "BIGINT", "TEXT"], 1),
                self.dialect.now_ms()
            );
            let mut query = sqlx::query(AssertSqlSafe(insert));
            for (product, delta) in chunk {
                query = query
                    .bind(Uuid::now_v7().to_string())
                    .bind(product.as_str())
                    .bind(**delta)
                    .bind(cause.as_str());
            }
            query.execute(&mut **tx).await?;
        }
        Ok(())
    }
}
