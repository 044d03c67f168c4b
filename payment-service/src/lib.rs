//! payment-service: charges orders whose stock is reserved, and gives the money back when a charged
//! order ends without being shipped.
//!
//! - [`payment`] is the whole rule book, pure functions over one payment. [`decider`] runs it over the
//!   events of a batch, [`job`] over the answers of a gateway, both under the lock of the order's row.
//! - A [`gateway`] moves the money: the built-in sandbox, or one behind HTTP. It is called by jobs only,
//!   and always with the same key for the same charge or refund.
//! - An order is charged at most once; charges less refunds are 1 for a shipped order and 0 for every
//!   other order that ended (invariant 4).
//! - A charge that was begun is never dropped: it is repeated until its answer is known (rule R5).

mod app;
mod config;
pub mod decider;
pub mod gateway;
pub mod job;
pub mod payment;
pub mod routes;
pub mod store;

use anyhow::Context as _;
use service_runtime::http;
use service_runtime::lifecycle::Shutdown;
use tokio::net::TcpListener;

pub use config::{Config, PaymentConfig};

/// Name of the service: in `ce_source`, in event ids, in metrics.
pub const NAME: &str = "payment-service";

/// Runs the service on the configured port until `shutdown` and drains it.
///
/// # Errors
/// A setting that cannot work, a log or a database that contradicts what the service knows, or a
/// defect. A broker, a database or a gateway that is down is waited for.
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
