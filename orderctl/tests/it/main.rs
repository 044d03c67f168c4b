//! The program itself, against servers of the tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dlt;
mod jobs;
mod lag;
mod local;
mod orders;
mod stock;
mod support;
mod watch;
