//! The parts of the service put together.

use std::sync::Arc;

use service_runtime::http::ServiceInfo;
use service_runtime::lifecycle::Shutdown;
use service_runtime::service::{Base, migrate_when_up};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::config::Config;
use crate::crew::{Crew, CrewError};
use crate::decider::WebhookDecider;
use crate::routes::{Api, routes};
use crate::sender::Sender;
use crate::store::MIGRATIONS;
use crate::wakes::Wakes;

const INFO: ServiceInfo = ServiceInfo {
    name: crate::NAME,
    version: env!("CARGO_PKG_VERSION"),
    description: "Webhooks: who is told when an order comes to a state, and what was delivered.",
};

pub(crate) async fn run(
    listener: TcpListener,
    config: Config,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let base = Base::open(INFO, &config.common, &shutdown)?;
    let (database, wakes) = (base.database.clone(), Arc::new(Wakes::default()));
    let settings = config.webhook;
    let public_url = settings.public_url.clone();
    let decider = WebhookDecider::new(database.dialect(), public_url, Arc::clone(&wakes));
    let participant = base.participant("webhook", Some("webhook"), &config.participant, decider);
    if settings.sender.policy.private_addresses {
        tracing::warn!("Webhooks may lead to private addresses.");
    }
    let api = Api {
        database: database.clone(),
        policy: settings.sender.policy,
        max_registered: settings.max_registered,
        wakes: Arc::clone(&wakes),
    };
    let crew = Crew {
        database: database.clone(),
        gate: participant.gate(),
        sender: Sender::new(&settings.sender)?,
        config: settings,
        wakes,
    };

    let (schema, until) = (base.health.component("database"), base.shutdown.clone());
    let mut service = base.serve(listener, routes(api));
    let (migrated, when_migrated) = oneshot::channel();
    service.spawn("participant", async move {
        let migrations = [&MIGRATIONS];
        if migrate_when_up(&database, &migrations, &schema, &until).await?
            && migrated.send(()).is_ok()
        {
            participant.run(until).await?;
        }
        anyhow::Ok(())
    });
    let until = base.shutdown.clone();
    service.spawn("delivery workers", async move {
        tokio::select! {
            Ok(()) = when_migrated => crew.run(until).await,
            () = until.cancelled() => Ok::<(), CrewError>(()),
        }
    });
    base.run(service).await
}
