//! The service from outside: which mails an order causes, what is in them, how they are handed over
//! and what is told about them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in a helper function"
)]

mod decider;
mod http;
mod mailer;
mod message;
mod service;
mod support;
mod worker;
