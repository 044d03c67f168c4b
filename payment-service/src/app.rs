//! The parts of the service put together.

use std::sync::Arc;

use anyhow::Context as _;
use service_runtime::database::{Database, DatabaseError};
use service_runtime::http::ServiceInfo;
use service_runtime::jobs::{self, Worker};
use service_runtime::lifecycle::Shutdown;
use service_runtime::service::Base;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::config::{Config, PaymentConfig};
use crate::decider::PaymentDecider;
use crate::gateway::{Gateway, HttpGateway, Operation, Sandbox};
use crate::job::PaymentHandler;
use crate::routes::routes;
use crate::store::MIGRATIONS;

const INFO: ServiceInfo = ServiceInfo {
    name: crate::NAME,
    version: env!("CARGO_PKG_VERSION"),
    description: "Payments by order: what was charged, declined and refunded.",
};

/// Notified when there may be something to charge, and something to refund.
#[derive(Default)]
struct Wakes {
    charges: Arc<Notify>,
    refunds: Arc<Notify>,
}

pub(crate) async fn run(
    listener: TcpListener,
    config: Config,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let base = Base::open(INFO, &config.common, &shutdown)?;
    let (database, wakes) = (base.database.clone(), Wakes::default());
    let (charges, refunds) = (Arc::clone(&wakes.charges), Arc::clone(&wakes.refunds));
    let decider = PaymentDecider::new(database.dialect(), charges, refunds);
    let participant = base.participant("payment", Some("payment"), &config.participant, decider);
    let gateway = gateway(&config.payment, &database)?;
    let workers = [
        (Operation::Charge, "charge worker", &wakes.charges),
        (Operation::Refund, "refund worker", &wakes.refunds),
    ]
    .map(|(operation, name, wake)| {
        let handler = PaymentHandler::new(
            operation,
            gateway.clone(),
            database.dialect(),
            config.payment.key_lifetime,
            Arc::clone(&wakes.refunds),
        );
        let handler = participant.with_outcomes(handler);
        let (gate, settings) = (participant.gate(), config.payment.worker());
        let worker = Worker::new(database.clone(), handler, gate, settings, Arc::clone(wake));
        (name, worker)
    });

    let routes = routes(database.clone()).merge(jobs::routes(database));
    let mut service = base.serve(listener, routes);
    let migrated = base.follow_log(&mut service, participant, &[&MIGRATIONS]);
    for (name, worker) in workers {
        let (migrated, until) = (migrated.clone(), base.shutdown.clone());
        service.spawn(name, async move {
            if migrated.wait().await {
                worker.run(until).await;
            }
            Ok::<(), DatabaseError>(())
        });
    }
    base.run(service).await
}

fn gateway(config: &PaymentConfig, database: &Database) -> anyhow::Result<Gateway> {
    let Some(settings) = &config.gateway else {
        tracing::info!("PAYMENT_GATEWAY_URL is not set: payments go to the built-in sandbox.");
        return Ok(Gateway::Sandbox(Sandbox::new(
            database.clone(),
            config.timeout,
        )));
    };
    let gateway = HttpGateway::new(settings).context("PAYMENT_GATEWAY_URL cannot be used")?;
    tracing::info!(?gateway, "Payments go to a gateway.");
    if gateway.exposes_credentials() {
        tracing::warn!(
            ?gateway,
            "The gateway's credentials go over the network in the clear."
        );
    }
    Ok(Gateway::Http(gateway))
}
