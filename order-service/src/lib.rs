//! The order service: takes and cancels orders over HTTP, and shows what became of them.
//!
//! - [`command`] appends PENDING to the log and answers after the broker's acknowledgement; it appends CANCELLED
//!   on request and after a deadline, and answers from what it has read back.
//! - [`query`] folds the log into a read model and answers from that.
//!
//! The two share nothing but the log: either could be a service of its own.

mod accept;
mod app;
pub mod command;
mod config;
mod producer_failure;
pub mod query;
mod rebuild;
mod refusal;
mod storage;
mod waiting;

pub use config::Config;
pub use rebuild::rebuild_tool;
use service_runtime::http;
use service_runtime::lifecycle::Shutdown;
pub use storage::{Storage, StorageError};
use tokio::net::TcpListener;

/// Name of the service: in events, where it must never change, and in what it says about itself.
pub const NAME: &str = "order-service";

/// The tables of the service.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Runs the service on the configured port until `shutdown`.
///
/// # Errors
/// The port is taken, a setting cannot be used, the database cannot be migrated, the log contradicts the
/// database, or the producer failed for good. A database or broker that is down is waited for.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = http::bind(&config.common.http).await?;
    run_on(listener, config, shutdown).await
}

/// Runs the service on `listener` until `shutdown`.
///
/// # Errors
/// Those of [`run`], but for the port.
pub async fn run_on(
    listener: TcpListener,
    config: Config,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    app::run_on(listener, config, shutdown).await
}
