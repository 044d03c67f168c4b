//! Which mails an order causes, that they are sent, and what is told about them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in a helper function"
)]

mod decider;
mod http;
mod service;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "two targets share it, and each uses its part")]
mod support;
mod worker;
mod world;

test_support::main!(decider, http, service, worker);
