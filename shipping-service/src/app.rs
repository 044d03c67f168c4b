//! The parts of the service put together.

use std::sync::Arc;

use service_runtime::database::DatabaseError;
use service_runtime::http::ServiceInfo;
use service_runtime::jobs::{self, Worker};
use service_runtime::lifecycle::Shutdown;
use service_runtime::service::Base;
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

    let routes = routes(dispatcher).merge(jobs::routes(database));
    let mut service = base.serve(listener, routes);
    let migrated = base.follow_log(&mut service, participant, &[&MIGRATIONS]);
    let until = base.shutdown.clone();
    service.spawn("dispatch worker", async move {
        if migrated.wait().await {
            worker.run(until).await;
        }
        Ok::<(), DatabaseError>(())
    });
    base.run(service).await
}
