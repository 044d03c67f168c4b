//! A server is gone for a while, in the middle of the traffic: the broker, PostgreSQL, Mailpit. Or only the
//! clocks are wrong.
//!
//! With `TEST_SHORT` for a shorter while.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod broker;
mod clocks;
mod mailpit;
mod postgres;
mod support;

integration_tests::main!(broker, clocks, postgres, mailpit);
