//! The stock service of a version that knows orders of one line only: of every other it cannot decide.

use std::time::Duration;

use service_runtime::database::{Database, DatabaseConfig, Tx};
use service_runtime::health::Health;
use service_runtime::kafka::{KafkaConfig, KafkaProducer, LoopError};
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{
    Change, DecideError, Decider, Decision, Participant, ParticipantSettings, Parts,
};
use stock_service::store::MIGRATIONS;
use tokio::task::JoinHandle;

use crate::system::System;

struct OldStock;

impl Decider for OldStock {
    async fn decide(
        &self,
        _: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        let decide = |change: &Change<'_>| match change.event() {
            Ok(event) if event.order.items.is_none() => Decision::Done,
            Ok(_) => Decision::Failed {
                code: "unknown_field",
                reason: "this version does not know `items`".to_owned(),
            },
            Err(error) => Decision::unreadable(&error),
        };
        Ok(changes.iter().map(decide).collect())
    }
}

/// Starts it until `shutdown`, in the place of the real one, which must not run: its group, its database, its name.
///
/// # Panics
/// Database or broker cannot be used.
pub async fn start(
    system: &System,
    bootstrap_servers: &str,
    shutdown: &Shutdown,
) -> JoinHandle<Result<(), LoopError>> {
    let database = Database::open(&DatabaseConfig::new(system.database("stock"))).unwrap();
    database.migrate(&[&MIGRATIONS]).await.unwrap();
    let mut kafka = KafkaConfig::for_bootstrap(bootstrap_servers, "old-stock");
    system.log.topic().clone_into(&mut kafka.topic);
    kafka.fetch_wait_max = Duration::from_millis(10);
    let participant = Participant::new(Parts {
        name: "stock",
        writer: "stock-service",
        log_name: None,
        decider: OldStock,
        database,
        producer: KafkaProducer::new(&kafka).unwrap(),
        kafka,
        settings: ParticipantSettings::for_group(&system.group("stock")),
        health: Health::new(shutdown),
    });
    tokio::spawn(participant.run(shutdown.clone()))
}
