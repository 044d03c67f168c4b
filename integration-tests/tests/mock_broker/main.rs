//! Services as child processes on librdkafka's mock cluster, which fails as no real broker does on
//! demand: late acknowledgements, errors for good, and a broker that is gone at the end.
//!
//! On SQLite, without a container. `TEST_ENDS=N` for more ends than the few of a usual run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod acknowledged;
mod ends;
mod failed;
mod support;

test_support::main!(acknowledged, ends, failed);
