//! The command line that every service has.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::healthcheck::Probe;
use crate::config::parse_duration;

/// What the process is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Run the service.
    Run,
    /// Print the effective configuration.
    PrintConfig,
    /// Ask the running service how it is.
    Healthcheck(Probe),
    /// Create the topics.
    Topics {
        /// Groups whose dead-letter topics are wanted, besides those of the service itself.
        groups: Vec<String>,
        /// How long the cluster is waited for.
        timeout: Duration,
    },
    /// Run a command that only this service has.
    Tool { name: String, arguments: ArgMatches },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    /// The file with settings.
    pub(super) config: Option<PathBuf>,
    pub(super) task: Task,
}

/// Reads the command line, which may also name one of `tools`; the error is the help or version text when that
/// was asked for.
pub(super) fn parse(
    name: &'static str,
    version: &'static str,
    tools: impl IntoIterator<Item = Command>,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Arguments, clap::Error> {
    let command = command(name, version).subcommands(tools);
    let matches = command.try_get_matches_from(arguments)?;
    let config = matches.get_one::<PathBuf>("config").cloned();
    let task = match matches.subcommand() {
        Some(("healthcheck", matches)) => Task::Healthcheck(match matches.get_flag("live") {
            true => Probe::Live,
            false => Probe::Ready,
        }),
        Some(("topics", matches)) => topics(matches),
        Some((tool, matches)) => Task::Tool {
            name: tool.to_owned(),
            arguments: matches.clone(),
        },
        _ if matches.get_flag("print-config") => Task::PrintConfig,
        _ => Task::Run,
    };
    Ok(Arguments { config, task })
}

fn topics(matches: &ArgMatches) -> Task {
    let groups = matches.get_many::<String>("group").unwrap_or_default();
    let timeout = matches.get_one::<Duration>("timeout").copied();
    Task::Topics {
        groups: groups.cloned().collect(),
        timeout: timeout.unwrap_or_default(),
    }
}

fn command(name: &'static str, version: &'static str) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .global(true)
        .value_parser(value_parser!(PathBuf))
        .help("Read settings from a TOML file; the environment wins over it");
    let print = Arg::new("print-config")
        .long("print-config")
        .action(ArgAction::SetTrue)
        .help("Print every setting with its effective value and end");
    let live = Arg::new("live")
        .long("live")
        .action(ArgAction::SetTrue)
        .help("Ask only whether it lives: for whoever restarts it when it does not");
    let group = Arg::new("group")
        .value_name("GROUP")
        .action(ArgAction::Append)
        .help("Consumer groups of other services whose dead-letter topics are created as well");
    let timeout = Arg::new("timeout")
        .long("timeout")
        .value_name("DURATION")
        .default_value("60s")
        .value_parser(parse_duration)
        .help("How long to wait for the cluster");
    Command::new(name)
        .version(version)
        .about("Runs the service, unless another command is given")
        .args([config, print])
        .subcommands([
            Command::new("healthcheck")
                .about("Ask the service that runs here whether it is ready; exit code 0 or 1")
                .arg(live),
            Command::new("topics")
                .about("Create the log and the dead-letter topics where they are missing, and end")
                .args([group, timeout]),
        ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(line: &str) -> Task {
        let arguments = line.split_whitespace().map(OsString::from);
        let tool =
            Command::new("tidy").arg(Arg::new("hard").long("hard").action(ArgAction::SetTrue));
        parse("service", "1.2.3", [tool], arguments).unwrap().task
    }

    #[test]
    fn without_a_command_the_service_runs() {
        assert_eq!(task("service"), Task::Run);
        assert_eq!(task("service --print-config"), Task::PrintConfig);
    }

    #[test]
    fn a_health_check_asks_for_readiness_unless_told_otherwise() {
        assert_eq!(task("service healthcheck"), Task::Healthcheck(Probe::Ready));
        let live = task("service healthcheck --live");
        assert_eq!(live, Task::Healthcheck(Probe::Live));
    }

    #[test]
    fn topics_take_groups_and_a_timeout() {
        let topics = |groups: &[&str], seconds| Task::Topics {
            groups: groups.iter().copied().map(str::to_owned).collect(),
            timeout: Duration::from_secs(seconds),
        };
        assert_eq!(task("service topics"), topics(&[], 60));
        let given = task("service topics --timeout 2m stock email");
        assert_eq!(given, topics(&["stock", "email"], 120));
    }

    #[test]
    fn a_command_of_the_service_itself_comes_with_its_arguments() {
        let Task::Tool { name, arguments } = task("service tidy --hard") else {
            panic!("another task");
        };
        assert_eq!((name.as_str(), arguments.get_flag("hard")), ("tidy", true));
    }

    #[test]
    fn the_file_with_settings_may_stand_before_or_after_the_command() {
        for line in ["s --config a.toml topics", "s topics --config a.toml"] {
            let arguments = line.split_whitespace().map(OsString::from);
            let config = parse("s", "1", [], arguments).unwrap().config;
            assert_eq!(config, Some(PathBuf::from("a.toml")), "{line}");
        }
    }
}
