//! Runs the tests of a target on what `TEST_KAFKA` chooses.

use std::process::ExitCode;

use test_support::Test;

use crate::{broker, database, mail};

/// Runs `tests`, whose sources are in `folder`, and ends the servers that they shared.
pub fn run(folder: &'static str, tests: Vec<Test>) -> ExitCode {
    match broker::choose() {
        Ok(choice) => println!("{choice}"),
        Err(reason) => {
            eprintln!("error: {reason}");
            return ExitCode::FAILURE;
        }
    }
    let result = test_support::run(folder, tests);
    broker::end();
    database::end();
    mail::end();
    result
}

/// The `main` of a target: runs what the function `tests` of each module lists.
#[macro_export]
macro_rules! main {
    ($($module:ident),+ $(,)?) => {
        fn main() -> std::process::ExitCode {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/", env!("CARGO_CRATE_NAME"));
            $crate::suite::run(folder, [$($module::tests()),+].concat())
        }
    };
}
