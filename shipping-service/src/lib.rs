//! shipping-service: prepares a parcel for each order that is PAID, appends SHIPPED when it is to be
//! dispatched, and hands it over when that SHIPPED is read back.
//!
//! - [`shipment`] is the whole rule book, pure functions over one shipment. [`decider`] runs it over the
//!   events of a batch, under the lock of the order's row.
//! - [`job`] appends SHIPPED when the dispatch falls due, if the order still is PAID; [`dispatch`] makes
//!   it due at once, for somebody who asks.
//! - Only the log decides: of SHIPPED and CANCELLED the first one in it wins. A parcel is handed over at
//!   most once, and never for an order that ended otherwise.

mod app;
mod config;
pub mod decider;
pub mod dispatch;
pub mod job;
pub mod routes;
pub mod shipment;
pub mod store;

use anyhow::Context as _;
use service_runtime::http;
use service_runtime::lifecycle::Shutdown;
use tokio::net::TcpListener;

pub use config::{Config, DispatchConfig};

/// Name of the service: in `ce_source`, in event ids, in metrics.
pub const NAME: &str = "shipping-service";

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
    Box::pin(app::run(listener, config, shutdown))
        .await
        .context(NAME)
}
