//! The crash-point matrix: processes that die or freeze before and after every durable step.
//!
//! At each point a process of its own is struck under a little load, started again or thawed, and everything
//! that was promised is checked once the system is at rest. A point that is not reached fails its cell. The
//! matrix is printed at the end. `TEST_SHORT=1` strikes at every point of the runtime once, in one mode after the
//! other, and leaves out the points of services and commands after which a lease of half a minute has to end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod bench;
mod load;
mod order;
mod redrive;
mod rows;
mod runtime;
mod sources;
mod table;
mod tools;
mod workers;

use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crash_points");
    let tests = [
        runtime::tests(),
        workers::tests(),
        order::tests(),
        tools::tests(),
        redrive::tests(),
        sources::tests(),
    ]
    .concat();
    let result = integration_tests::suite::run(folder, tests);
    if !std::env::args().any(|argument| argument == "--list") {
        println!("{}", table::text(&rows::all()));
    }
    result
}
