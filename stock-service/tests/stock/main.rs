//! The stock service on a real database: SQLite always, and PostgreSQL when `TEST_POSTGRES` is the
//! URL of a server without options.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod concurrency;
mod http;
mod seeding;
mod service;
mod support;
