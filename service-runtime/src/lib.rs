//! What every service of the order system is built on.
//!
//! - [`participant`]: how a service takes part in an order's life; a service writes a decision.
//! - [`kafka`]: clients, consumer loop, dead letters; the only user of rdkafka.
//! - [`database`], [`jobs`]: SQLite or PostgreSQL, and the work that leaves the database.
//! - [`service`]: runs the parts of a service together.
//! - [`config`], [`lifecycle`], [`health`], [`http`], [`telemetry`]: a process that starts, tells
//!   how it is and stops as it should.
//! - [`fault`]: where tests have a process die or freeze; empty in every build that is run.

pub mod config;
pub mod database;
pub mod fault;
pub mod health;
pub mod http;
pub mod jobs;
pub mod kafka;
pub mod lifecycle;
pub mod participant;
pub mod service;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
