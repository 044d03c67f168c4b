//! stock-service: reserves the pieces that orders ask for, gives them back or ships them.
//!
//! - [`decision`] is the whole rule book, a pure function; [`decider`] runs it in a batch's
//!   transaction over the rows that [`store`] locks and writes.
//! - [`inventory`] is the same stock for people, with [`routes`] in front of it.
//! - Stock is conserved: what was seeded and adjusted, which the ledger keeps, is what is available,
//!   reserved or shipped, and none of them is ever negative.

mod app;
pub mod catalogue;
mod config;
pub mod decider;
pub mod decision;
pub mod inventory;
pub mod level;
pub mod product;
pub mod reservation;
pub mod routes;
pub mod store;
pub mod unknown_product;

use anyhow::Context as _;
use service_runtime::http;
use service_runtime::lifecycle::Shutdown;
use tokio::net::TcpListener;

pub use config::Config;

/// Name of the service: in `ce_source`, in event ids, in metrics.
pub const NAME: &str = "stock-service";

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
