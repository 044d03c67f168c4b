//! The parts of the service put together.

use std::time::Duration;

use service_runtime::database::{Database, DatabaseError, ErrorClass, within};
use service_runtime::health::Component;
use service_runtime::http::ServiceInfo;
use service_runtime::lifecycle::Shutdown;
use service_runtime::service::{Base, migrate_when_up};
use tokio::net::TcpListener;

use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::decider::StockDecider;
use crate::inventory::Inventory;
use crate::routes::routes;
use crate::store::MIGRATIONS;

const INFO: ServiceInfo = ServiceInfo {
    name: crate::NAME,
    version: env!("CARGO_PKG_VERSION"),
    description: "Stock by product: what is available, reserved and shipped.",
};
/// Before seeding is tried again.
const SEED_WAIT: Duration = Duration::from_secs(1);
/// Longest time for seeding once.
const SEED_LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn run(
    listener: TcpListener,
    config: Config,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let base = Base::open(INFO, &config.common, &shutdown)?;
    let inventory = Inventory::new(base.database.clone());
    let decider = StockDecider::new(base.database.dialect(), config.unknown_product);
    let participant = base.participant("stock", Some("stock"), &config.participant, decider);

    // Its components are registered before anybody can ask for them.
    let preparation = Preparation {
        schema: base.health.component("database"),
        seed: base.health.component("catalogue"),
        database: base.database.clone(),
        inventory: inventory.clone(),
        catalogue: config.catalogue,
        shutdown: base.shutdown.clone(),
    };

    let mut service = base.serve(listener, routes(inventory));
    let until = base.shutdown.clone();
    service.spawn("participant", async move {
        if preparation.run().await? {
            participant.run(until).await?;
        }
        anyhow::Ok(())
    });
    base.run(service).await
}

/// What has to be done before the first order.
struct Preparation {
    schema: Component,
    seed: Component,
    database: Database,
    inventory: Inventory,
    catalogue: Catalogue,
    shutdown: Shutdown,
}

impl Preparation {
    /// Migrates and seeds, waiting for the database as long as it takes. `false`: shut down
    /// meanwhile.
    async fn run(&self) -> Result<bool, DatabaseError> {
        if !migrate_when_up(&self.database, &[&MIGRATIONS], &self.schema, &self.shutdown).await? {
            return Ok(false);
        }
        loop {
            let seeded = tokio::select! {
                () = self.shutdown.cancelled() => return Ok(false),
                seeded = within(SEED_LIMIT, self.inventory.seed(&self.catalogue)) => seeded,
            };
            match seeded {
                Ok(()) => break,
                Err(error) if error.class() == ErrorClass::Bug => return Err(error),
                Err(error) => self.seed.set_not_ready(format!("database: {error}")),
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(false),
                () = tokio::time::sleep(SEED_WAIT) => {}
            }
        }
        self.seed.set_ready();
        Ok(true)
    }
}
