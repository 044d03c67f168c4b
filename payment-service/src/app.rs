//! The parts of the service put together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use service_runtime::database::{Database, DatabaseError};
use service_runtime::health::Health;
use service_runtime::http::{self, ServiceInfo};
use service_runtime::jobs::Worker;
use service_runtime::kafka::KafkaProducer;
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{Participant, Parts, ReadPastEnd, WithOutcomes};
use service_runtime::service::{Service, migrate_when_up};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

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

/// How long requests to the gateway may take to end after a shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

type PaymentWorker = Worker<WithOutcomes<PaymentDecider, PaymentHandler<Gateway>>, ReadPastEnd>;

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
    // A child: in one process with others, a failure here is theirs only if their owner says so.
    let shutdown = shutdown.child();
    let health = Health::new(&shutdown);
    let database = Database::open(&config.database)?;
    let producer = KafkaProducer::new(&config.kafka).context("cannot make a Kafka producer")?;
    let wakes = Wakes::default();
    let participant = participant(&config, &database, &producer, &health, &wakes);
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
    let router = http::router(INFO, routes(database.clone()), &health, &config.http);

    let mut service = Service::new(&shutdown);
    let (http, stop) = (config.http.clone(), shutdown.clone());
    service.spawn("http", async move {
        http::serve(listener, router, &http, stop).await
    });
    let (schema, until) = (health.component("database"), shutdown.clone());
    let (migrated, when_migrated) = watch::channel(false);
    let tables = database.clone();
    service.spawn("participant", async move {
        if migrate_when_up(&tables, &[&MIGRATIONS], &schema, &until).await? {
            migrated.send_replace(true);
            participant.run(until).await?;
        }
        anyhow::Ok(())
    });
    for (name, worker) in workers {
        let (mut ready, until) = (when_migrated.clone(), shutdown.clone());
        service.spawn(name, async move {
            tokio::select! {
                true = async { ready.wait_for(|ready| *ready).await.is_ok() } => work(worker, &until).await,
                () = until.cancelled() => {}
            }
            Ok::<(), DatabaseError>(())
        });
    }
    let result = service.run(Some(&producer)).await;
    database.close().await;
    result
}

fn participant(
    config: &Config,
    database: &Database,
    producer: &KafkaProducer,
    health: &Health,
    wakes: &Wakes,
) -> Participant<PaymentDecider> {
    let (charges, refunds) = (Arc::clone(&wakes.charges), Arc::clone(&wakes.refunds));
    Participant::new(Parts {
        name: "payment",
        writer: crate::NAME,
        log_name: Some("payment"),
        decider: PaymentDecider::new(database.dialect(), charges, refunds),
        database: database.clone(),
        kafka: config.kafka.clone(),
        producer: producer.clone(),
        settings: config.participant.clone(),
        health: health.clone(),
    })
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

/// Runs a worker, which knows another kind of shutdown, until this one. A request that is under way
/// then, or whose answer the database does not take, is left to its lease: it is asked again.
async fn work(worker: PaymentWorker, shutdown: &Shutdown) {
    let stop = CancellationToken::new();
    let out_of_time = async {
        shutdown.cancelled().await;
        stop.cancel();
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        () = worker.run(stop.clone()) => {}
        () = out_of_time => tracing::warn!("A payment under way was left to its lease."),
    }
}
