//! The stock service on a real database.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod concurrency;
mod http;
mod restore;
mod seeding;
mod service;
mod support;

test_support::main!(concurrency, http, restore, seeding, service);
