//! The harness on itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fresh;
mod report;

test_support::main!(fresh, report);
