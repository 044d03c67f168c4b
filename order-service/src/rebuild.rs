//! The command `rebuild`: makes the read model anew from the log while the service goes on.
//!
//! It takes the settings of the service. What came of it is printed on stdout, progress on stderr. Exit codes: 0 the
//! new read model is in use, or a dry run found no difference; 1 it failed; 2 unusable command line or
//! configuration; 3 a dry run found differences; 4 refused (another log, a log without its beginning, another rebuild
//! at work); 128 + signal number when it was interrupted. Unless with 0, nothing was switched, but for a failure that
//! says that this is not known.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use service_runtime::config::parse_duration;
use service_runtime::database::Database;
use service_runtime::lifecycle::{Shutdown, Tool, ToolEnd};

use crate::config::Config;
use crate::query::rebuild::{Options, Progress, RebuildError, RebuildParts, Report, open, rebuild};

/// A dry run found differences.
const DIFFERENT: u8 = 3;
/// It must not be done.
const REFUSED: u8 = 4;

/// The command, for the program of the service.
#[must_use]
pub fn rebuild_tool() -> Tool<Config> {
    let dry_run = Arg::new("dry-run")
        .long("dry-run")
        .action(ArgAction::SetTrue)
        .help("Compare, and leave the read model as it is; exit code 3 if it differs");
    let force = Arg::new("force")
        .long("force")
        .action(ArgAction::SetTrue)
        .help("Also from a log whose beginning was deleted: what was there alone will be missing");
    let hold = Arg::new("longest-hold")
        .long("longest-hold")
        .value_name("DURATION")
        .default_value("2s")
        .value_parser(parse_duration)
        .help("How long the switch may hold running instances up");
    let command = Command::new("rebuild")
        .about("Make the read model anew from the log, compare, and switch to it; exit code 0, 1, 3 or 4")
        .args([dry_run, force, hold]);
    Tool::new(command, run)
}

async fn run(config: Config, matches: ArgMatches, shutdown: Shutdown) -> anyhow::Result<ToolEnd> {
    let options = Options {
        dry_run: matches.get_flag("dry-run"),
        longest_hold: matches
            .get_one::<Duration>("longest-hold")
            .copied()
            .unwrap_or_default(),
    };
    let database = Database::open(&config.common.database)?;
    let force = matches.get_flag("force");
    let ended = make(&config, &database, &options, force, shutdown).await;
    database.close().await;
    match ended {
        Ok(report) if options.dry_run && report.different > 0 => Ok(ToolEnd::Code(DIFFERENT)),
        Ok(_) => Ok(ToolEnd::Code(0)),
        Err(RebuildError::Interrupted) => {
            writeln!(io::stderr(), "Interrupted, nothing was switched.")?;
            Ok(ToolEnd::Interrupted)
        }
        Err(error) if error.is_refusal() => {
            writeln!(io::stderr(), "Refused: {error}.")?;
            Ok(ToolEnd::Code(REFUSED))
        }
        Err(error @ RebuildError::Unknown(_)) => Err(error.into()),
        Err(error) => Err(anyhow::Error::new(error).context("nothing was switched")),
    }
}

async fn make(
    config: &Config,
    database: &Database,
    options: &Options,
    force: bool,
    shutdown: Shutdown,
) -> Result<Report, RebuildError> {
    let opening = open(database, &config.common.kafka, force);
    let log = tokio::select! {
        log = opening => log?,
        () = shutdown.cancelled() => return Err(RebuildError::Interrupted),
    };
    let parts = RebuildParts {
        database: database.clone(),
        source: log.source,
        begin: log.begin,
        partitions: log.partitions,
        group: config.view.group.clone(),
        progress: Progress::new(io::stderr(), io::stderr().is_terminal()),
        shutdown,
    };
    rebuild(parts, options, |report| {
        // Whoever closed stdout gets the exit code.
        writeln!(io::stdout(), "{report}").ok();
    })
    .await
}
