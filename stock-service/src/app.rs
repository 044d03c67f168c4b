//! The parts of the service put together.

use std::time::Duration;

use anyhow::Context as _;
use service_runtime::database::{Database, DatabaseError, ErrorClass, within};
use service_runtime::health::{Component, Health};
use service_runtime::http::{self, ServiceInfo};
use service_runtime::kafka::KafkaProducer;
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{Participant, Parts};
use service_runtime::service::{Service, migrate_when_up};
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
    // A child: in one process with others, a failure here is theirs only if their owner says so.
    let shutdown = shutdown.child();
    let health = Health::new(&shutdown);
    let database = Database::open(&config.database)?;
    let producer = KafkaProducer::new(&config.kafka).context("cannot make a Kafka producer")?;
    let inventory = Inventory::new(database.clone());
    let participant = participant(&config, &database, &producer, &health);
    let router = http::router(INFO, routes(inventory.clone()), &health, &config.http);

    // Its components are registered before anybody can ask for them.
    let preparation = Preparation {
        schema: health.component("database"),
        seed: health.component("catalogue"),
        database: database.clone(),
        inventory,
        catalogue: config.catalogue,
        shutdown: shutdown.clone(),
    };

    let mut service = Service::new(&shutdown);
    let (http, stop) = (config.http.clone(), shutdown.clone());
    service.spawn("http", async move {
        http::serve(listener, router, &http, stop).await
    });
    service.spawn("participant", async move {
        if preparation.run().await? {
            participant.run(shutdown).await?;
        }
        anyhow::Ok(())
    });
    let result = service.run(Some(&producer)).await;
    database.close().await;
    result
}

fn participant(
    config: &Config,
    database: &Database,
    producer: &KafkaProducer,
    health: &Health,
) -> Participant<StockDecider> {
    Participant::new(Parts {
        name: "stock",
        writer: crate::NAME,
        log_name: Some("stock"),
        decider: StockDecider::new(database.dialect(), config.unknown_product),
        database: database.clone(),
        kafka: config.kafka.clone(),
        producer: producer.clone(),
        settings: config.participant.clone(),
        health: health.clone(),
    })
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
