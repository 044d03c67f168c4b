//! webhook-service: tells receivers that others registered when an order comes to a state.
//!
//! - [`decider`] turns an event into jobs, one per order, state and webhook that is registered for it and
//!   enabled when the event is read. A webhook that is registered later is not told of it. It appends
//!   nothing to the log.
//! - [`job`] delivers: a [`sender`] makes one signed request as [Standard Webhooks] has it. The message
//!   is thin ([`payload`]): type, id, status and link; whoever needs more follows the link.
//! - [`crew`] keeps one worker per webhook, so that a receiver that is slow or down keeps nobody else
//!   waiting.
//! - Receivers are addresses that strangers chose. [`address`] says which of them are public; others get
//!   no request unless the configuration allows it ([`target`], [`sender`]).
//! - A notification is delivered at least once, always under the same `webhook-id`, in no order: it can
//!   arrive twice when the process dies, an answer gets lost or a lease ends between sending and
//!   recording.
//! - Events older than `WEBHOOK_MAX_AGE` when they are read are skipped, so that a replay of old history
//!   floods nobody.
//! - Secrets are in the database as they are, because they are needed to sign. They are told once, to who
//!   registers the webhook, and are in no log and no later answer.
//!
//! [Standard Webhooks]: https://www.standardwebhooks.com

pub mod address;
mod app;
mod config;
pub mod crew;
pub mod decider;
pub mod failure;
pub mod job;
pub mod payload;
pub mod routes;
pub mod secret;
pub mod sender;
pub mod store;
pub mod target;
pub mod wakes;

use anyhow::Context as _;
use service_runtime::http;
use service_runtime::lifecycle::Shutdown;
use tokio::net::TcpListener;

pub use config::{Config, WebhookConfig};

/// Name of the service: in metrics, logs and the API description.
pub const NAME: &str = "webhook-service";

/// Runs the service on the configured port until `shutdown` and drains it.
///
/// # Errors
/// A setting that cannot work, a log or a database that contradicts what the service knows, or a
/// defect. A broker, a database or a receiver that is down is waited for.
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
    Box::pin(app::run(listener, config, shutdown))
        .await
        .context(NAME)
}
