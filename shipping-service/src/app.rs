//! The parts of the service put together.

use std::sync::Arc;

use service_runtime::database::DatabaseError;
use service_runtime::http::ServiceInfo;
use service_runtime::jobs::Worker;
use service_runtime::lifecycle::Shutdown;
use service_runtime::service::{Base, migrate_when_up};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use crate::config::Config;
use crate::decider::ShippingDecider;
use crate::dispatch::Dispatcher;
use crate::job::DispatchHandler;
use crate::routes::routes;
use crate::store::MIGRATIONS;

const INFO: ServiceInfo = ServiceInfo {
    name: crate::NAME,
    version: env!("CARGO_PKG_VERSION"),
    description: "Shipments by order: what is prepared, and what was dispatched.",
};

pub(crate) async fn run(
    listener: TcpListener,
    config: Config,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let base = Base::open(INFO, &config.common, &shutdown)?;
    let database = base.database.clone();
    let (wake, ended) = (Arc::new(Notify::new()), watch::Sender::new(()));
    let decider = ShippingDecider::new(database.dialect(), config.dispatch.after, ended.clone());
    let participant = base.participant("shipping", Some("shipping"), &config.participant, decider);
    let handler = participant.with_outcomes(DispatchHandler::new(database.dialect()));
    let worker = Worker::new(
        database.clone(),
        handler,
        participant.gate(),
        config.dispatch.worker(),
        Arc::clone(&wake),
    );
    let dispatcher = Dispatcher {
        database: database.clone(),
        worker: wake,
        ended,
        wait: config.dispatch.answer_wait,
        shutdown: base.shutdown.clone(),
    };

    let (schema, until) = (base.health.component("database"), base.shutdown.clone());
    let mut service = base.serve(listener, routes(dispatcher));
    let (migrated, mut when_migrated) = watch::channel(false);
    service.spawn("participant", async move {
        if migrate_when_up(&database, &[&MIGRATIONS], &schema, &until).await? {
            migrated.send_replace(true);
            participant.run(until).await?;
        }
        anyhow::Ok(())
    });
    let until = base.shutdown.clone();
    service.spawn("dispatch worker", async move {
        tokio::select! {
            true = async { when_migrated.wait_for(|ready| *ready).await.is_ok() } => worker.run(until).await,
            () = until.cancelled() => {}
        }
        Ok::<(), DatabaseError>(())
    });
    base.run(service).await
}
