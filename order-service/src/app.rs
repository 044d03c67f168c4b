//! Puts the service together and runs its parts; the first one that fails ends all of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use base_domains::Encoder;
use service_runtime::database::Database;
use service_runtime::health::Health;
use service_runtime::http::{self, ServiceInfo};
use service_runtime::kafka::KafkaProducer;
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{Participant, Parts};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use utoipa_axum::router::OpenApiRouter;

use crate::command::{self, CommandParts};
use crate::config::Config;
use crate::producer_failure::{ProducerFailure, WatchedProducer};
use crate::query::{self, Projection, QueryParts};
use crate::storage::Storage;
use crate::{NAME, database};

/// What is queued when the requests have ended was given up by their clients; it deserves a moment.
const FLUSH: Duration = Duration::from_secs(5);

/// How the service describes itself.
const INFO: ServiceInfo = ServiceInfo {
    name: NAME,
    version: env!("CARGO_PKG_VERSION"),
    description: "Takes orders and appends them to the log; shows each order as the log tells it.",
};

type Tasks = JoinSet<anyhow::Result<()>>;

/// The service, ready to run.
struct App {
    config: Config,
    shutdown: Shutdown,
    health: Health,
    database: Database,
    storage: Storage,
    producer: KafkaProducer,
}

/// Runs the service on `listener` until `shutdown`.
pub(crate) async fn run_on(
    listener: TcpListener,
    config: Config,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let app = App {
        database: Database::open(&config.database)?,
        producer: KafkaProducer::new(&config.kafka).context("the kafka settings cannot be used")?,
        health: Health::new(&shutdown),
        storage: Storage::new(),
        config,
        shutdown,
    };
    let (routes, projection, failure) = app.routes();
    let mut tasks = Tasks::new();
    app.serve(&mut tasks, listener, routes);
    app.follow_log(&mut tasks, projection);
    app.watch_producer(&mut tasks, failure);
    let result = join(tasks, &app.shutdown).await;
    app.close().await;
    result
}

impl App {
    fn routes(&self) -> (OpenApiRouter, Projection, ProducerFailure) {
        let (producer, failure) = WatchedProducer::new(self.producer.clone());
        let command = command::routes(CommandParts {
            producer: Arc::new(producer),
            topic: self.config.kafka.topic.clone(),
            encoder: Encoder {
                writer: NAME.to_owned(),
                type_id: self.config.view.type_id.clone(),
            },
            storage: self.storage.clone(),
            answer_within: self.config.answer_within(),
        });
        let (query, projection) = query::routes(QueryParts {
            storage: self.storage.clone(),
            longest_wait: self.config.answer_within(),
            // Waiting is cheap, but it must not use up the requests that may be under way.
            max_waiting: self.config.http.max_in_flight / 2,
            shutdown: self.shutdown.clone(),
        });
        (command.merge(query), projection, failure)
    }

    fn serve(&self, tasks: &mut Tasks, listener: TcpListener, routes: OpenApiRouter) {
        let config = self.config.http.clone();
        let router = http::router(INFO, routes, &self.health, &config);
        let shutdown = self.shutdown.clone();
        tasks.spawn(async move {
            http::serve(listener, router, &config, shutdown)
                .await
                .context("the http server failed")
        });
    }

    /// Folds the log into the read model, once the database is there.
    fn follow_log(&self, tasks: &mut Tasks, projection: Projection) {
        let participant = Participant::new(Parts {
            name: "orders-view",
            writer: NAME,
            log_name: None,
            decider: projection,
            database: self.database.clone(),
            kafka: self.config.kafka.clone(),
            producer: self.producer.clone(),
            settings: self.config.view.clone(),
            health: self.health.clone(),
        });
        let (database, storage) = (self.database.clone(), self.storage.clone());
        let (health, shutdown) = (self.health.component("database"), self.shutdown.clone());
        tasks.spawn(async move {
            if !database::prepare(&database, &storage, &health, &shutdown).await? {
                return Ok(());
            }
            let (followed, ()) = tokio::join!(
                async {
                    let ended = participant.run(shutdown.clone()).await;
                    // Ends the watch as well.
                    shutdown.trigger();
                    ended
                },
                database::watch(&database, &health, &shutdown),
            );
            followed.context("the read model cannot follow the log")
        });
    }

    /// A producer that failed for good is replaced by a new process.
    fn watch_producer(&self, tasks: &mut Tasks, failure: ProducerFailure) {
        let shutdown = self.shutdown.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => Ok(()),
                reason = failure.reason() => Err(anyhow!("the producer failed for good: {reason}")),
            }
        });
    }

    /// After everybody else: nothing is queued any more, and nobody uses the database.
    async fn close(self) {
        if let Err(error) = self.producer.flush(FLUSH).await {
            tracing::warn!(%error, "Some records were not acknowledged before the end.");
        }
        self.database.close().await;
    }
}

/// Waits for every task. The first one that ends ends the others; the first failure is returned.
async fn join(mut tasks: Tasks, shutdown: &Shutdown) -> anyhow::Result<()> {
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        shutdown.trigger();
        let ended = ended.unwrap_or_else(|panic| Err(anyhow!(panic)));
        result = result.and(ended);
    }
    result
}
