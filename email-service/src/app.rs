//! The parts of the service put together.

use std::sync::Arc;

use anyhow::Context as _;
use lettre::message::Mailbox;
use service_runtime::database::{Database, DatabaseError};
use service_runtime::http::ServiceInfo;
use service_runtime::jobs::{self, Worker};
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::ReadPastEnd;
use service_runtime::service::Base;
use tokio::net::TcpListener;
use tokio::sync::Notify;

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
    let base = Base::open(INFO, &config.common, &shutdown)?;
    let (database, wake) = (base.database.clone(), Arc::new(Notify::new()));
    let decider = MailDecider::new(&config.mail, database.dialect(), Arc::clone(&wake));
    let participant = base.participant("email", Some("email"), &config.participant, decider);
    let outbox = Arc::new(outbox(&config.mail.transport));
    let worker = worker(&config.mail, &database, &outbox, participant.gate(), wake)?;

    let routes = routes(database.clone()).merge(jobs::routes(database));
    let mut service = base.serve(listener, routes);
    let migrated = base.follow_log(&mut service, participant, &[]);
    let until = base.shutdown.clone();
    service.spawn("mail worker", async move {
        if migrated.wait().await {
            worker.run(until).await;
        }
        outbox.close().await;
        Ok::<(), DatabaseError>(())
    });
    base.run(service).await
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
