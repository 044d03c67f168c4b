//! `orderctl`: the command line of the order system, for its users and its operators.
//!
//! - Data goes to stdout, as tables for people or with `--json` one document a line, in the names
//!   of the HTTP API. Messages go to stderr, and progress bars only to a terminal.
//! - The exit code says what happened; see [`Failure`] and the help text.
//! - Nothing counts as done that was not acknowledged, and every wait is bounded by `--timeout`.
//! - Texts that came from somebody else are printed without control characters.

pub mod api;
pub mod cli;
pub mod commands;
mod context;
mod failure;
pub mod output;
mod progress;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

pub use cli::Cli;
pub use context::Context;
pub use failure::Failure;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    service_runtime::fault::set_up();
    ExitCode::from(run(std::env::args_os()))
}

/// Runs one command line, the program's name first; returns the exit code.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(message) => return told(&message),
    };
    service_runtime::lifecycle::install_crypto();
    log_to_stderr(cli.global.verbose);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(commands::run(cli));
            // The close of a client whose broker is gone must not hold the exit.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Failure::Failed(format!("cannot start threads: {error}"))),
    };
    match result {
        Ok(()) => 0,
        Err(failure) => {
            if let Some(message) = failure.message() {
                output::note(&message);
            }
            failure.code()
        }
    }
}

/// Prints help, version or what is wrong with the command line.
fn told(message: &clap::Error) -> u8 {
    let code = u8::try_from(message.exit_code()).unwrap_or(failure::USAGE);
    // A reader that went away has seen enough.
    message.print().map_or(code, |()| code)
}

/// The libraries' own words are for `--verbose`: what matters to the user is in the error.
fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => "info",
        _ => "debug",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .finish();
    if tracing_subscriber::util::SubscriberInitExt::try_init(subscriber).is_err() {
        output::note("logging was already set up");
    }
}
