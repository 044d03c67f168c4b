//! `--minutes N` and `--seed N`, which the harness does not know: the same program runs again, with them
//! as environment variables.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

const MINUTES: &str = "TEST_MINUTES";
const SEED: &str = "TEST_SEED";

/// Runs the program again where one of the arguments is given; returns only if that failed.
pub(crate) fn become_settings() -> Option<ExitCode> {
    let mut command = Command::new(env::current_exe().ok()?);
    let mut found = false;
    let mut arguments = env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        let name = match argument.to_str() {
            Some("--minutes") => MINUTES,
            Some("--seed") => SEED,
            _ => {
                command.arg(argument);
                continue;
            }
        };
        found = true;
        let Some(value) = arguments.next().filter(|value| is_number(value.to_str())) else {
            eprintln!("error: {} needs a number", argument.display());
            return Some(ExitCode::from(2));
        };
        command.env(name, value);
    }
    if !found {
        return None;
    }
    eprintln!("error: {}", command.exec());
    Some(ExitCode::FAILURE)
}

fn is_number(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.parse::<u64>().is_ok())
}

/// How long the trouble lasts.
pub(crate) fn length() -> Duration {
    Duration::from_secs(60 * number(MINUTES).unwrap_or(1))
}

/// The seed of the run.
pub(crate) fn seed() -> u64 {
    number(SEED).unwrap_or_else(|| fastrand::u64(..u64::from(u32::MAX)))
}

fn number(name: &str) -> Option<u64> {
    let given = env::var(name).ok()?;
    Some(
        given
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}
