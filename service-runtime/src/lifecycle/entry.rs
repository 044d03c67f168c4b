//! The entry point of every service binary.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use tokio::runtime;

use super::{
    LifecycleConfig, ServiceConfig, Shutdown,
    supervisor::{CLEAN, FAILED, listen, supervise},
};
use crate::telemetry;

/// Exit code for an unusable command line or configuration.
const UNUSABLE: u8 = 2;

/// Runs a service from start to exit.
///
/// ```no_run
/// # use service_runtime::{config::Reader, lifecycle::*, telemetry::LogConfig};
/// # struct Config { log: LogConfig, lifecycle: LifecycleConfig }
/// # impl ServiceConfig for Config {
/// #     fn read(reader: &mut Reader) -> Self {
/// #         Self { log: LogConfig::read(reader), lifecycle: LifecycleConfig::read(reader) }
/// #     }
/// #     fn log(&self) -> &LogConfig { &self.log }
/// #     fn lifecycle(&self) -> &LifecycleConfig { &self.lifecycle }
/// # }
/// async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
///     shutdown.cancelled().await;
///     Ok(())
/// }
///
/// fn main() -> std::process::ExitCode {
///     service_runtime::lifecycle::main("some-service", env!("CARGO_PKG_VERSION"), run)
/// }
/// ```
pub fn main<C, R, F>(name: &'static str, version: &'static str, run: R) -> ExitCode
where
    C: ServiceConfig,
    R: FnOnce(C, Shutdown) -> F + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let environment = std::env::vars_os();
    ExitCode::from(start(name, version, std::env::args_os(), environment, run))
}

/// Makes rustls use ring. Must come before the first TLS connection: with two providers linked in,
/// rustls cannot choose and panics. Calling it again is harmless.
pub fn install_crypto() {
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("The cryptography provider was already installed.");
    }
}

pub(super) fn start<C, R, F>(
    name: &'static str,
    version: &'static str,
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    run: R,
) -> u8
where
    C: ServiceConfig,
    R: FnOnce(C, Shutdown) -> F + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    install_crypto();
    let matches = match command(name, version).try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(message) => {
            let printed = message.print();
            return u8::try_from(message.exit_code())
                .map_or(UNUSABLE, |code| written(printed, code));
        }
    };
    let (config, loaded) = match C::load(config_file(&matches), environment) {
        Ok(loaded) => loaded,
        Err(error) => return written(writeln!(io::stderr(), "{name}: {error}"), UNUSABLE),
    };
    if matches.get_flag("print-config") {
        return written(write!(io::stdout(), "{loaded}"), CLEAN);
    }
    telemetry::init(config.log());
    telemetry::log_panics();
    telemetry::install_metrics();
    tracing::info!(service = name, version, "Service is starting.");
    let lifecycle = config.lifecycle().clone();
    let shutdown = Shutdown::new();
    let service = {
        let shutdown = shutdown.clone();
        async move { run(config, shutdown).await }
    };
    run_to_end(name, service, &shutdown, &lifecycle).unwrap_or_else(|error| {
        tracing::error!(error = format!("{error:#}"), "Service could not start.");
        FAILED
    })
}

fn command(name: &'static str, version: &'static str) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Read settings from a TOML file; the environment wins over it");
    let print = Arg::new("print-config")
        .long("print-config")
        .action(ArgAction::SetTrue)
        .help("Print every setting with its effective value and end");
    Command::new(name).version(version).args([config, print])
}

fn config_file(matches: &ArgMatches) -> Option<&std::path::Path> {
    matches.get_one::<PathBuf>("config").map(PathBuf::as_path)
}

/// The code, unless the output that it stands for could not be written.
fn written(result: io::Result<()>, code: u8) -> u8 {
    result.map_or(FAILED, |()| code)
}

fn run_to_end(
    name: &'static str,
    service: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    shutdown: &Shutdown,
    config: &LifecycleConfig,
) -> anyhow::Result<u8> {
    let workers = runtime::Builder::new_multi_thread()
        .thread_name(name)
        .enable_all()
        .build()
        .context("cannot start worker threads")?;
    let supervisor = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let code = supervisor.block_on(async {
        let signals = listen().context("cannot listen for signals")?;
        let service = workers.spawn(service);
        Ok(supervise(service, signals, shutdown, config).await)
    });
    // Waiting here would let one blocking call, such as the close of a Kafka client whose broker is
    // gone, hold the exit.
    workers.shutdown_background();
    code
}
