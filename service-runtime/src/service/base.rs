//! What the parts of a service share, opened in one place.

use anyhow::Context as _;
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;

use super::{CommonConfig, Service};
use crate::database::Database;
use crate::health::{Component, Health};
use crate::http::{self, ServiceInfo};
use crate::kafka::KafkaProducer;
use crate::lifecycle::Shutdown;
use crate::participant::{Decider, Participant, ParticipantSettings, Parts};

/// Database, producer, health and shutdown of one service.
#[derive(Debug)]
pub struct Base {
    /// Where its rows are; nothing is connected yet.
    pub database: Database,
    /// Its one producer.
    pub producer: KafkaProducer,
    /// Where its parts report.
    pub health: Health,
    /// Ends its parts. A child of the process's: in one process with others, a failure here is
    /// theirs only if their owner says so.
    pub shutdown: Shutdown,
    /// The state of its tables; registered before anybody can ask for it.
    pub(super) schema: Component,
    info: ServiceInfo,
    config: CommonConfig,
}

impl Base {
    /// Opens what needs no other side.
    ///
    /// # Errors
    /// Settings that cannot work.
    pub fn open(
        info: ServiceInfo,
        config: &CommonConfig,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let shutdown = shutdown.child();
        let health = Health::new(&shutdown);
        Ok(Self {
            database: Database::open(&config.database)?,
            producer: KafkaProducer::new(&config.kafka).context("cannot make a Kafka producer")?,
            schema: health.component("database"),
            health,
            shutdown,
            info,
            config: config.clone(),
        })
    }

    /// A participant of the service. `name` keys its rows and `log_name` is its name in the
    /// tutorial's log line, if it writes one; both are constants of the code.
    #[must_use]
    pub fn participant<D: Decider>(
        &self,
        name: &'static str,
        log_name: Option<&'static str>,
        settings: &ParticipantSettings,
        decider: D,
    ) -> Participant<D> {
        Participant::new(Parts {
            name,
            writer: self.info.name,
            log_name,
            decider,
            database: self.database.clone(),
            kafka: self.config.kafka.clone(),
            producer: self.producer.clone(),
            settings: settings.clone(),
            health: self.health.clone(),
        })
    }

    /// Answers HTTP from now on, by these routes and the common ones.
    #[must_use]
    pub fn serve(&self, listener: TcpListener, routes: OpenApiRouter) -> Service {
        let http = self.config.http.clone();
        let router = http::router(self.info, routes, &self.health, &http);
        let mut service = Service::new(&self.shutdown);
        let stop = self.shutdown.clone();
        service.spawn("http", async move {
            http::serve(listener, router, &http, stop).await
        });
        service
    }

    /// Waits for all parts, flushes the producer and closes the database.
    ///
    /// # Errors
    /// Those of [`Service::run`].
    pub async fn run(self, service: Service) -> anyhow::Result<()> {
        let result = service.run(Some(&self.producer)).await;
        self.database.close().await;
        result
    }
}
