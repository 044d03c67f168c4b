//! The harness of the black-box tests: real processes, HTTP and Kafka. Of the inside only the
//! [`database`]s are read, after the fact, to compare what the services keep with what the log says.
//!
//! `TEST_KAFKA` chooses the broker: `testcontainers` (the default where a container engine answers),
//! `embedded` (the default elsewhere) or `HOST:PORT`. On `testcontainers` the services have their
//! databases on a PostgreSQL and send their mail to a Mailpit, else they use SQLite and files. Tests
//! share the servers, but never a topic, a group or a database: each [`System`] has its own.

// A test fails by panicking, in its harness too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod aftermath;
pub mod broker;
pub mod canary;
pub mod client;
pub mod database;
pub mod history;
pub mod log;
pub mod mail;
pub mod old_stock;
pub mod pace;
pub mod process;
pub mod receiver;
mod shared;
pub mod smtp;
pub mod stream;
pub mod suite;
pub mod system;
pub mod traffic;
pub mod wait;

pub use client::{Answer, Client};
pub use process::{Process, Signal};
pub use system::{System, SystemBuilder};
pub use wait::{DEADLINE, eventually};
