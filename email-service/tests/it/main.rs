//! What is in a mail, and how it is handed over.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in a helper function"
)]

mod mailer;
mod message;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "two targets share it, and each uses its part")]
mod support;
