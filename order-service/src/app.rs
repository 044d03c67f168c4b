//! Puts the service together and runs its parts.

use std::sync::Arc;
use std::time::Duration;

use base_domains::Encoder;
use service_runtime::database::Database;
use service_runtime::health::Component;
use service_runtime::http::ServiceInfo;
use service_runtime::lifecycle::Shutdown;
use service_runtime::service::{Base, Service, migrate_when_up};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;

use crate::command::{self, CommandParts};
use crate::config::Config;
use crate::producer_failure::{ProducerFailure, WatchedProducer};
use crate::query::{self, Hub, Projection, QueryParts, QuerySide};
use crate::storage::Storage;
use crate::{MIGRATIONS, NAME};

/// How the service describes itself.
const INFO: ServiceInfo = ServiceInfo {
    name: NAME,
    version: env!("CARGO_PKG_VERSION"),
    description: "Takes orders and appends them to the log; shows each order as the log tells it.",
};

/// Between two looks at a database that was reached once.
const PING_EVERY: Duration = Duration::from_secs(5);

/// What the parts of the service are made of.
struct App {
    config: Config,
    base: Base,
    storage: Storage,
}

/// Runs the service on `listener` until `shutdown`.
pub(crate) async fn run_on(
    listener: TcpListener,
    config: Config,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let app = App {
        base: Base::open(INFO, &config.common, &shutdown)?,
        storage: Storage::new(),
        config,
    };
    let (command, failure) = app.command_side();
    let query = app.query_side();
    let mut service = app.base.serve(listener, command.merge(query.routes));
    app.follow_log(&mut service, query.projection);
    app.stream(&mut service, query.hub);
    app.watch_producer(&mut service, failure);
    app.measure(&mut service);
    app.base.run(service).await
}

impl App {
    fn command_side(&self) -> (OpenApiRouter, ProducerFailure) {
        let (producer, failure) = WatchedProducer::new(self.base.producer.clone());
        let routes = command::routes(CommandParts {
            producer: Arc::new(producer),
            topic: self.config.common.kafka.topic.clone(),
            encoder: Encoder {
                writer: NAME.to_owned(),
                type_id: self.config.view.type_id.clone(),
            },
            storage: self.storage.clone(),
            answer_within: self.config.answer_within(),
        });
        (routes, failure)
    }

    fn query_side(&self) -> QuerySide {
        let http = &self.config.common.http;
        QuerySide::new(QueryParts {
            storage: self.storage.clone(),
            longest_wait: self.config.answer_within(),
            // Waiting is cheap, but it must not use up the requests that may be under way,
            seats: Arc::new(Semaphore::new((http.max_in_flight / 2).max(1))),
            // nor streaming the connections.
            stream_seats: Arc::new(Semaphore::new((http.max_connections / 2).max(1))),
            shutdown: self.base.shutdown.clone(),
        })
    }

    /// Folds the log into the read model, once the database is there.
    fn follow_log(&self, service: &mut Service, projection: Projection) {
        let (name, settings) = (query::PARTICIPANT, &self.config.view);
        let participant = self.base.participant(name, None, settings, projection);
        let (database, storage) = (self.base.database.clone(), self.storage.clone());
        let (health, shutdown) = (
            self.base.health.component("database"),
            self.base.shutdown.clone(),
        );
        service.spawn("read model", async move {
            if !migrate_when_up(&database, &[&MIGRATIONS], &health, &shutdown).await? {
                return Ok(());
            }
            storage.provide(database.clone());
            tokio::select! {
                ended = participant.run(shutdown) => ended.map_err(anyhow::Error::from),
                never = ping(&database, &health) => match never {},
            }
        });
    }

    fn stream(&self, service: &mut Service, hub: Hub) {
        let running = hub.run(self.base.shutdown.clone());
        service.spawn("streams", async move {
            running.await;
            Ok::<(), anyhow::Error>(())
        });
    }

    fn measure(&self, service: &mut Service) {
        let watch = query::watch_unfinished(self.storage.clone(), self.base.shutdown.clone());
        service.spawn("measures", async move {
            watch.await;
            Ok::<(), anyhow::Error>(())
        });
    }

    /// A producer that failed for good is replaced by a new process.
    fn watch_producer(&self, service: &mut Service, failure: ProducerFailure) {
        let shutdown = self.base.shutdown.clone();
        service.spawn("producer", async move {
            tokio::select! {
                () = shutdown.cancelled() => Ok(()),
                reason = failure.reason() => Err(reason),
            }
        });
    }
}

/// Reports whether the database answers.
async fn ping(database: &Database, health: &Component) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(PING_EVERY).await;
        match database.ping().await {
            Ok(()) => health.set_ready(),
            Err(error) => health.set_not_ready(format!("database: {error}")),
        }
    }
}
