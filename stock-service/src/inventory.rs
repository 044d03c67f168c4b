//! The stock as people see and set it.
//!
//! An operator's adjustment takes the same locks as a batch (rule R1), so neither can overwrite the
//! other; the ledger keeps the difference.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use service_runtime::database::{Database, DatabaseError, ErrorClass};

use crate::catalogue::Catalogue;
use crate::level::Level;
use crate::store::{self, Cause, Store};

/// Repeats of a transaction that lost a race, before the caller has to come back.
const AGAIN: u32 = 5;
/// Wait before the first repeat; each further one takes so much longer.
const AGAIN_WAIT: Duration = Duration::from_millis(20);

/// The stock in the service's database. Clones share it.
#[derive(Debug, Clone)]
pub struct Inventory {
    database: Database,
    store: Store,
    seeded: Arc<OnceLock<()>>,
}

/// What became of a product that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adjusted {
    /// Its pieces now.
    pub level: Level,
    /// Whether it was not there before.
    pub created: bool,
}

/// Why the stock cannot be read or set.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// [`Inventory::seed`] did not succeed yet.
    #[error("the stock is not seeded yet")]
    NotSeeded,
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Inventory {
    /// The stock in `database`, which need not be there yet.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            store: Store {
                dialect: database.dialect(),
            },
            database,
            seeded: Arc::default(),
        }
    }

    /// Adds the products of `catalogue` that are not there. Until it succeeded once, nothing else
    /// does. Instances may do so at the same time.
    ///
    /// # Errors
    /// Of the database, which has to be migrated.
    pub async fn seed(&self, catalogue: &Catalogue) -> Result<(), DatabaseError> {
        let mut tx = self.database.begin().await?;
        let products = catalogue.products();
        let created = self
            .store
            .create_missing(&mut tx, Cause::Seed, products)
            .await?;
        tx.commit().await?;
        tracing::info!(
            created,
            known = products.len() - created,
            "Catalogue seeded."
        );
        self.seeded.get_or_init(|| ());
        Ok(())
    }

    /// All products by name.
    ///
    /// # Errors
    /// See [`InventoryError`].
    pub async fn all(&self) -> Result<BTreeMap<String, Level>, InventoryError> {
        self.check_seeded()?;
        Ok(store::all(&self.database).await?)
    }

    /// One product.
    ///
    /// # Errors
    /// See [`InventoryError`].
    pub async fn find(&self, product: &str) -> Result<Option<Level>, InventoryError> {
        self.check_seeded()?;
        Ok(store::find(&self.database, product).await?)
    }

    /// Makes so many pieces available, creating the product if it is missing; what is reserved or
    /// shipped stays so. Both arguments are valid.
    ///
    /// # Errors
    /// See [`InventoryError`]. After a failed commit it is unknown whether it took place; saying it
    /// again does no harm.
    pub async fn set_available(
        &self,
        product: &str,
        available: i64,
    ) -> Result<Adjusted, InventoryError> {
        self.check_seeded()?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.try_set_available(product, available).await {
                Err(error) if error.class() == ErrorClass::Again && attempt <= AGAIN => {
                    tokio::time::sleep(AGAIN_WAIT * attempt).await;
                }
                result => return Ok(result?),
            }
        }
    }

    async fn try_set_available(
        &self,
        product: &str,
        available: i64,
    ) -> Result<Adjusted, DatabaseError> {
        let name = product.to_owned();
        let mut tx = self.database.begin().await?;
        let created = !self.store.claim(&mut tx, [&name]).await?.is_empty();
        let names = [name.clone()].into();
        let levels = self.store.lock_levels(&mut tx, &names).await?;
        let before = levels.get(&name).copied().unwrap_or_default();
        let level = Level {
            available,
            ..before
        };
        let delta = available - before.available;
        if created || delta != 0 {
            self.store.write_levels(&mut tx, &[(&name, &level)]).await?;
            let entry = [(name, delta)].into();
            self.store.record(&mut tx, Cause::Operator, &entry).await?;
        }
        tx.commit().await?;
        // Which product is in the ledger.
        tracing::info!(delta, available, "Stock was adjusted by an operator.");
        Ok(Adjusted { level, created })
    }

    fn check_seeded(&self) -> Result<(), InventoryError> {
        match self.seeded.get() {
            Some(()) => Ok(()),
            None => Err(InventoryError::NotSeeded),
        }
    }
}
