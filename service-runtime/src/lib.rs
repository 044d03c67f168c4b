//! What every service of this workspace stands on: configuration, logs and metrics, lifecycle,
//! health and HTTP.

pub mod config;
pub mod health;
pub mod http;
pub mod lifecycle;
pub mod telemetry;
