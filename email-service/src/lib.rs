//! email-service: tells the customer when an order comes to a state that is mailed.
//!
//! - [`decider`] turns an event into a job, one per order and state, in the batch's transaction. It
//!   appends nothing to the log.
//! - [`job`] sends the mail of a job: [`message`] composes it, a [`mailer`] hands it over to an
//!   SMTP server or, without one, writes it into a folder.
//! - Every mail goes out at least once and always with the same `Message-ID`. It can go out twice
//!   when the process dies, the answer gets lost or the lease ends between sending and recording:
//!   SMTP has no way to ask afterwards.
//! - Mail that is older than `EMAIL_MAX_AGE` is recorded as skipped, so that a replay of old history
//!   writes to nobody.

mod app;
mod config;
pub mod decider;
pub mod job;
pub mod mail;
pub mod mailer;
pub mod message;
pub mod message_id;
pub mod routes;
mod templates;
mod text;

use anyhow::Context as _;
use service_runtime::http;
use service_runtime::lifecycle::Shutdown;
use tokio::net::TcpListener;

pub use config::{Config, MailConfig, Transport};

/// Name of the service: in metrics, logs and the API description.
pub const NAME: &str = "email-service";

/// Runs the service on the configured port until `shutdown` and drains it.
///
/// # Errors
/// A setting that cannot work, a log or a database that contradicts what the service knows, or a
/// defect. A broker, a database or a mail server that is down is waited for.
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
