//! The parts of the service put together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lettre::message::Mailbox;
use service_runtime::database::{Database, DatabaseError};
use service_runtime::health::Health;
use service_runtime::http::{self, ServiceInfo};
use service_runtime::jobs::Worker;
use service_runtime::kafka::KafkaProducer;
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{Participant, Parts, ReadPastEnd};
use service_runtime::service::{Service, migrate_when_up};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, MailConfig, Transport};
use crate::decider::MailDecider;
use crate::job::MailHandler;
use crate::mailer::{FileMailer, Outbox, SmtpMailer};
use crate::routes::routes;

const INFO: ServiceInfo = ServiceInfo {
    name: crate::NAME,
    version: env!("CARGO_PKG_VERSION"),
    description: "Mail to customers: what was sent, and what waits.",
};

type MailWorker = Worker<MailHandler<Arc<Outbox>>, ReadPastEnd>;

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
    let wake = Arc::new(Notify::new());
    let participant = participant(&config, &database, &producer, &health, &wake);
    let outbox = Arc::new(outbox(&config.mail.transport));
    let worker = worker(&config.mail, &database, &outbox, participant.gate(), wake)?;
    let router = http::router(INFO, routes(database.clone()), &health, &config.http);

    let mut service = Service::new(&shutdown);
    let (http, stop) = (config.http.clone(), shutdown.clone());
    service.spawn("http", async move {
        http::serve(listener, router, &http, stop).await
    });
    let (schema, until) = (health.component("database"), shutdown.clone());
    let (migrated, when_migrated) = oneshot::channel();
    let tables = database.clone();
    service.spawn("participant", async move {
        if migrate_when_up(&tables, &[], &schema, &until).await? && migrated.send(()).is_ok() {
            participant.run(until).await?;
        }
        anyhow::Ok(())
    });
    service.spawn("mail worker", async move {
        tokio::select! {
            Ok(()) = when_migrated => work(worker, &shutdown).await,
            () = shutdown.cancelled() => {}
        }
        outbox.close().await;
        Ok::<(), DatabaseError>(())
    });
    let result = service.run(Some(&producer)).await;
    database.close().await;
    result
}

/// How long mails under way may take to end after a shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

fn participant(
    config: &Config,
    database: &Database,
    producer: &KafkaProducer,
    health: &Health,
    wake: &Arc<Notify>,
) -> Participant<MailDecider> {
    Participant::new(Parts {
        name: "email",
        writer: crate::NAME,
        log_name: Some("email"),
        decider: MailDecider::new(&config.mail, database.dialect(), Arc::clone(wake)),
        database: database.clone(),
        kafka: config.kafka.clone(),
        producer: producer.clone(),
        settings: config.participant.clone(),
        health: health.clone(),
    })
}

fn worker(
    config: &MailConfig,
    database: &Database,
    outbox: &Arc<Outbox>,
    gate: ReadPastEnd,
    wake: Arc<Notify>,
) -> anyhow::Result<MailWorker> {
    let from: Mailbox = config.from.parse().context("EMAIL_FROM cannot be used")?;
    let handler = MailHandler::new(from, Arc::clone(outbox));
    Ok(Worker::new(
        database.clone(),
        handler,
        gate,
        config.worker(),
        wake,
    ))
}

/// Runs the worker, which knows another kind of shutdown, until this one. A mail that is under way
/// then, or whose result the database does not take, is left to its lease.
async fn work(worker: MailWorker, shutdown: &Shutdown) {
    let stop = CancellationToken::new();
    let out_of_time = async {
        shutdown.cancelled().await;
        stop.cancel();
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        () = worker.run(stop.clone()) => {}
        () = out_of_time => tracing::warn!("A mail under way was left to its lease."),
    }
}

fn outbox(transport: &Transport) -> Outbox {
    match transport {
        Transport::Smtp(settings) => {
            let server = &settings.server;
            tracing::info!(?server, "Mail goes to an SMTP server.");
            if server.exposes_credentials() {
                tracing::warn!(
                    ?server,
                    "The SMTP password goes over the network in the clear."
                );
            }
            Outbox::Smtp(SmtpMailer::new(settings.clone()))
        }
        Transport::Folder(folder) => {
            let folder_name = folder.display();
            tracing::info!(folder = %folder_name, "SMTP_URL is not set: mail is written into a folder.");
            Outbox::File(FileMailer::new(folder))
        }
    }
}
