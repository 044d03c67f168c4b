//! For tests of services, behind the cargo feature `testing`: no program is built with it.
//!
//! - [`Bench`] takes a participant through the log one step at a time, on a real database and with a
//!   [`MemoryLog`]: batches are handled and outcomes published as in the running service.
//! - [`lease`], [`expire`], [`record`] and [`jobs_of`] do the same for its jobs.
//! - [`Running`] is a whole service behind HTTP, and [`MockLog`] a broker for it.
//!
//! What goes wrong panics: it is the test that failed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod jobs;
mod memory_log;
mod mock_log;
mod running;

pub use crate::participant::Bench;
pub use jobs::{expire, jobs_of, lease, record};
pub use memory_log::{Fate, MemoryLog, PARTITIONS, garbled, read_record, redriven};
pub use mock_log::MockLog;
pub use running::{Running, eventually};

use std::time::Duration;

/// How long a test waits for something that is bound to happen.
pub const DEADLINE: Duration = Duration::from_secs(60);
