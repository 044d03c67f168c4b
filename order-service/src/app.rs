//! Puts the service together and runs its parts.

use std::sync::Arc;
use std::time::Duration;

use base_domains::Encoder;
use service_runtime::database::Database;
use service_runtime::health::Component;
use service_runtime::http::ServiceInfo;
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{Decider, Participant, ReadPastEnd};
use service_runtime::service::{Base, Service, migrate_when_up};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use utoipa_axum::router::OpenApiRouter;

use crate::command::{self, Canceller, CommandParts, Deadlines, Keeper};
use crate::config::Config;
use crate::producer_failure::{ProducerFailure, WatchedProducer};
use crate::query::{self, QueryParts, QuerySide};
use crate::storage::Storage;
use crate::{MIGRATIONS, NAME};

/// How the service describes itself.
const INFO: ServiceInfo = ServiceInfo {
    name: NAME,
    version: env!("CARGO_PKG_VERSION"),
    description: "Takes and cancels orders by appending to the log; shows each order as the log tells it.",
};

/// Between two looks at a database that was reached once.
const PING_EVERY: Duration = Duration::from_secs(5);

/// What the parts of the service are made of.
struct App {
    config: Config,
    base: Base,
    storage: Storage,
    /// One for each request that waits for the log. Waiting is cheap, but it must not use up the requests
    /// that may be under way.
    seats: Arc<Semaphore>,
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
        seats: Arc::new(Semaphore::new(
            (config.common.http.max_in_flight / 2).max(1),
        )),
        config,
    };
    let (keeper, config) = (Keeper::default(), &app.config);
    let orders = (app.base).participant(command::PARTICIPANT, None, &config.orders, keeper.clone());
    let (command, failure) = app.command_side(keeper, &orders);
    let deadlines = app.deadlines(&orders);
    let query = app.query_side();
    let view = (app.base).participant(query::PARTICIPANT, None, &config.view, query.projection);
    let mut service = app.base.serve(listener, command.merge(query.routes));
    let migrated = app.migrate(&mut service);
    app.follow_log(&mut service, "orders", orders, &migrated);
    app.follow_log(&mut service, "read model", view, &migrated);
    app.until_shutdown(&mut service, "deadlines", |until| deadlines.run(until));
    app.until_shutdown(&mut service, "streams", |until| query.hub.run(until));
    let storage = app.storage.clone();
    app.until_shutdown(&mut service, "measures", |until| {
        query::watch_unfinished(storage, until)
    });
    app.watch_producer(&mut service, failure);
    app.base.run(service).await
}

impl App {
    fn command_side(
        &self,
        keeper: Keeper,
        orders: &Participant<Keeper>,
    ) -> (OpenApiRouter, ProducerFailure) {
        let (producer, failure) = WatchedProducer::new(self.base.producer.clone());
        let routes = command::routes(CommandParts {
            producer: Arc::new(producer),
            topic: self.config.common.kafka.topic.clone(),
            encoder: Encoder {
                writer: NAME.to_owned(),
                type_id: self.config.orders.type_id.clone(),
            },
            storage: self.storage.clone(),
            answer_within: self.config.answer_within(),
            keeper,
            appender: orders.appender(),
            gate: orders.gate(),
            seats: Arc::clone(&self.seats),
            shutdown: self.base.shutdown.clone(),
        });
        (routes, failure)
    }

    fn deadlines(&self, orders: &Participant<Keeper>) -> Deadlines<ReadPastEnd> {
        let (canceller, gate) = (Canceller::new(orders.appender()), orders.gate());
        Deadlines::new(canceller, gate, self.storage.clone(), self.config.deadline)
    }

    fn query_side(&self) -> QuerySide {
        QuerySide::new(QueryParts {
            storage: self.storage.clone(),
            longest_wait: self.config.answer_within(),
            patience: query::PATIENCE,
            seats: Arc::clone(&self.seats),
            // Streams must not use up the connections.
            stream_seats: Arc::new(Semaphore::new(
                (self.config.common.http.max_connections / 2).max(1),
            )),
            shutdown: self.base.shutdown.clone(),
        })
    }

    /// Gives the database to everybody once its tables are there, and says whether it answers.
    fn migrate(&self, service: &mut Service) -> watch::Receiver<bool> {
        let (database, storage) = (self.base.database.clone(), self.storage.clone());
        let (health, shutdown) = (
            self.base.health.component("database"),
            self.base.shutdown.clone(),
        );
        let (migrated, when_migrated) = watch::channel(false);
        service.spawn("database", async move {
            if migrate_when_up(&database, &[&MIGRATIONS], &health, &shutdown).await? {
                storage.provide(database.clone());
                migrated.send_replace(true);
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    never = ping(&database, &health) => match never {},
                }
            }
            anyhow::Ok(())
        });
        when_migrated
    }

    /// Folds the log, once the database is there.
    fn follow_log<D: Decider>(
        &self,
        service: &mut Service,
        name: &'static str,
        participant: Participant<D>,
        migrated: &watch::Receiver<bool>,
    ) {
        let (mut migrated, shutdown) = (migrated.clone(), self.base.shutdown.clone());
        service.spawn(name, async move {
            tokio::select! {
                true = async { migrated.wait_for(|done| *done).await.is_ok() } => {
                    participant.run(shutdown).await
                }
                () = shutdown.cancelled() => Ok(()),
            }
        });
    }

    /// Runs what ends with the service, and cannot fail.
    fn until_shutdown<F>(
        &self,
        service: &mut Service,
        name: &'static str,
        part: impl FnOnce(Shutdown) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = part(self.base.shutdown.clone());
        service.spawn(name, async move {
            running.await;
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
