//! The harness of the black-box tests: real processes, HTTP and Kafka. Of the inside only the
//! [`database`]s are read, after the fact, to compare what the services keep with what the log says.
//!
//! `TEST_KAFKA` chooses the broker: `testcontainers` (the default where a container engine answers),
//! `embedded` (the default elsewhere) or `HOST:PORT`. Tests share it, but
//! never a topic or a group: each [`System`] has names of its own.

// A test fails by panicking, in its harness too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod broker;
pub mod client;
pub mod database;
pub mod invariants;
pub mod log;
pub mod pace;
pub mod process;
pub mod suite;
pub mod system;
pub mod traffic;
pub mod wait;

pub use client::{Answer, Client};
pub use process::{Process, Signal};
pub use system::{System, SystemBuilder};
pub use wait::{DEADLINE, eventually};
