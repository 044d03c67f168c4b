//! The life of a service process: command line, configuration, signals, drain, exit code.
//!
//! A service's `main.rs` is one call of [`main`]. The first SIGTERM or SIGINT announces the
//! shutdown (readiness ends), after `SHUTDOWN_DELAY` work stops, and the service then has
//! `SHUTDOWN_TIMEOUT` to finish what it began. A second signal ends the process at once.
//!
//! Besides running, every service can check the health of its own running process and create the
//! topics; both take the same settings as the service. A service may have a [`Tool`] of its own beside them.
//!
//! Exit codes: 0 clean end, 1 failure, unhealthy, or a drain that took too long, 2 unusable command
//! line or configuration, 128 + signal number after a second signal, or after a first one while
//! `topics` waits for the cluster or a tool was at work. A tool may have further ones.

mod arguments;
mod config;
mod entry;
mod healthcheck;
mod shutdown;
mod supervisor;
#[cfg(test)]
mod tests;
mod tool;
mod topics;

pub use config::{LifecycleConfig, ProcessConfig, ServiceConfig};
pub use entry::{install_crypto, main, main_with};
pub use shutdown::{Part, Shutdown};
pub use tool::{Tool, ToolEnd};
