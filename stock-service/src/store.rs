//! SQL of the stock service: levels, reservations and the ledger.
//!
//! Whoever changes a level, a batch or an operator, claims and locks it first, in sorted order
//! (rule R1), and then writes absolute values.

mod ledger;
mod levels;
mod reservations;

use std::collections::BTreeMap;

use service_runtime::database::{DatabaseError, Dialect, Tx};
use sqlx::migrate::Migrator;

use crate::decision::{Decided, Stock};
use crate::level::Level;

pub use ledger::Cause;
pub(crate) use levels::{all, find};

/// The service's tables.
pub static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The statements, in the words of one database.
#[derive(Debug, Clone, Copy)]
pub struct Store {
    /// Which database.
    pub dialect: Dialect,
}

impl Store {
    /// Writes what `decided` changed in `before`, and only that.
    ///
    /// # Errors
    /// Of the database.
    pub async fn write(
        &self,
        tx: &mut Tx,
        before: &Stock,
        decided: &Decided,
    ) -> Result<(), DatabaseError> {
        let after = &decided.stock;
        self.write_levels(tx, &changed(&before.levels, &after.levels))
            .await?;
        let reservations = changed(&before.reservations, &after.reservations);
        self.write_reservations(tx, &reservations).await?;
        self.record(tx, Cause::UnknownProduct, &decided.created)
            .await
    }

    /// Creates those of `products` that are not there, with so many pieces each and an entry in the
    /// ledger, and returns how many that were.
    ///
    /// # Errors
    /// Of the database.
    pub async fn create_missing(
        &self,
        tx: &mut Tx,
        cause: Cause,
        products: &BTreeMap<String, i64>,
    ) -> Result<usize, DatabaseError> {
        let missing = self.claim(tx, products.keys()).await?;
        let created: BTreeMap<String, i64> = products
            .iter()
            .filter(|(product, _)| missing.contains(*product))
            .map(|(product, pieces)| (product.clone(), *pieces))
            .collect();
        let levels: BTreeMap<String, Level> = created
            .iter()
            .map(|(product, pieces)| (product.clone(), Level::of(*pieces)))
            .collect();
        self.write_levels(tx, &levels.iter().collect::<Vec<_>>())
            .await?;
        self.record(tx, cause, &created).await?;
        Ok(created.len())
    }
}

/// The entries of `after` that are new or other than in `before`.
fn changed<'a, K: Ord, V: PartialEq>(
    before: &BTreeMap<K, V>,
    after: &'a BTreeMap<K, V>,
) -> Vec<(&'a K, &'a V)> {
    after
        .iter()
        .filter(|(key, value)| before.get(key) != Some(value))
        .collect()
}

/// A stored text that this program did not write.
fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> DatabaseError {
    sqlx::Error::Decode(Box::new(error)).into()
}
