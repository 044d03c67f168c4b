//! The loyalty service as a whole, on SQLite and on PostgreSQL, with librdkafka's mock cluster.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod points;
mod world;

test_support::main!(points);
