//! Logs and metrics of the process.
//!
//! Both are global and set up at most once, however many services share the process. Logs go to
//! stdout, one line per event: control characters in messages and fields are escaped, so that no
//! user's text can forge a line or drive a terminal.

mod logs;
mod metrics;

pub use logs::{LogConfig, LogFormat, init, log_panics};
pub use metrics::{install_metrics, metrics_text};
