//! Three brokers in containers, of which some are killed under load.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod brokers;
mod leader;
mod quorum;
mod report;

use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster");
    let tests = [leader::tests(), quorum::tests(), report::tests()].concat();
    let result = integration_tests::suite::run(folder, tests);
    brokers::end();
    result
}
