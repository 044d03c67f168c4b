//! A server is gone for a while, in the middle of the traffic: the broker, PostgreSQL, Mailpit.
//!
//! `TEST_OUTAGE_SECONDS` says how long PostgreSQL and Mailpit are gone, 30 if it is not set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod broker;
mod mailpit;
mod postgres;
mod support;

integration_tests::main!(broker, postgres, mailpit);
