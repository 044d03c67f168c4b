//! The parts of the service put together.

use std::sync::Arc;

use service_runtime::http::ServiceInfo;
use service_runtime::jobs;
use service_runtime::lifecycle::Shutdown;
use service_runtime::service::Base;
use tokio::net::TcpListener;

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
        tracing::info!("Webhooks may lead to private addresses.");
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

    let routes = routes(api).merge(jobs::routes(database));
    let mut service = base.serve(listener, routes);
    let migrated = base.follow_log(&mut service, participant, &[&MIGRATIONS]);
    let until = base.shutdown.clone();
    service.spawn("delivery workers", async move {
        match migrated.wait().await {
            true => crew.run(until).await,
            false => Ok::<(), CrewError>(()),
        }
    });
    base.run(service).await
}
