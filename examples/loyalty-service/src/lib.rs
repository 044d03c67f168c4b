//! loyalty-service: points for orders that were shipped, as an example of a service of one's own.
//!
//! - [`points`] is the decision and its rows, [`routes`] is what can be asked of it.
//! - An order has points if and only if SHIPPED took effect in the log, and it has them once.
//! - Points are kept by order. The customer is known by an e-mail address only, and no trace of it is
//!   kept, not even a hash: whoever has a list of addresses could look it up.
//!
//! `docs/add-a-service.md` walks through it.

mod config;
pub mod points;
pub mod routes;

use anyhow::Context as _;
use service_runtime::http::{self, ServiceInfo};
use service_runtime::lifecycle::Shutdown;
use service_runtime::service::Base;
use tokio::net::TcpListener;

pub use config::Config;

/// Name of the service: in its settings, log lines and API description.
pub const NAME: &str = "loyalty-service";

const INFO: ServiceInfo = ServiceInfo {
    name: NAME,
    version: env!("CARGO_PKG_VERSION"),
    description: "Loyalty points for shipped orders.",
};

/// Runs the service on the configured port until `shutdown` and drains it.
///
/// # Errors
/// A setting that cannot work, a log or a database that contradicts what the service knows, or a
/// defect. A broker or a database that is down is waited for.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = http::bind(&config.common.http).await?;
    run_on(listener, config, shutdown).await
}

/// Like [`run`], on a listener that is already open.
///
/// # Errors
/// As [`run`].
pub async fn run_on(
    listener: TcpListener,
    config: Config,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let base = Base::open(INFO, &config.common, &shutdown)?;
    let settings = &config.participant;
    let participant = base.participant("loyalty", Some("loyalty"), settings, points::Giver);
    let mut service = base.serve(listener, routes::routes(base.database.clone()));
    base.follow_log(&mut service, participant, &[&points::MIGRATIONS]);
    base.run(service).await.context(NAME)
}
