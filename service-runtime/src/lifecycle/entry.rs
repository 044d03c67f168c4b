//! The entry point of every service binary.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use tokio::runtime;

use super::{
    LifecycleConfig, ServiceConfig, Shutdown,
    arguments::{Arguments, Task, parse},
    healthcheck::{self, Probe},
    supervisor::{CLEAN, FAILED, listen, supervise},
    tool::{self, Tool},
    topics,
};
use crate::fault;
use crate::service::CommonConfig;
use crate::telemetry;

/// Exit code for an unusable command line or configuration.
const UNUSABLE: u8 = 2;

/// Runs a service from start to exit.
///
/// ```no_run
/// # use service_runtime::{config::Reader, lifecycle::*};
/// # struct Config(ProcessConfig);
/// # impl ServiceConfig for Config {
/// #     fn read(reader: &mut Reader) -> Self { Self(ProcessConfig::read(reader)) }
/// #     fn process(&self) -> &ProcessConfig { &self.0 }
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
    main_with(name, version, run, Vec::new())
}

/// As [`main`], for a service that has commands of its own.
pub fn main_with<C, R, F>(
    name: &'static str,
    version: &'static str,
    run: R,
    tools: Vec<Tool<C>>,
) -> ExitCode
where
    C: ServiceConfig,
    R: FnOnce(C, Shutdown) -> F + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let program = Program {
        name,
        version,
        tools,
    };
    ExitCode::from(start(
        program,
        std::env::args_os(),
        std::env::vars_os(),
        run,
    ))
}

/// What a program is besides its service.
pub(super) struct Program<C> {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) tools: Vec<Tool<C>>,
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
    program: Program<C>,
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
    fault::set_up();
    let Program {
        name,
        version,
        tools,
    } = program;
    let commands = tools.iter().map(|tool| tool.command.clone());
    let Arguments { config, task } = match parse(name, version, commands, arguments) {
        Ok(arguments) => arguments,
        Err(message) => {
            let printed = message.print();
            return u8::try_from(message.exit_code())
                .map_or(UNUSABLE, |code| written(printed, code));
        }
    };
    let (config, loaded) = match C::load(config.as_deref(), environment) {
        Ok(loaded) => loaded,
        Err(error) => {
            let code = match task {
                // Container engines reserve every other code of a check.
                Task::Healthcheck(_) => FAILED,
                _ => UNUSABLE,
            };
            return written(writeln!(io::stderr(), "{name}: {error}"), code);
        }
    };
    match task {
        Task::Run => run_service(name, version, config, run),
        Task::PrintConfig => written(write!(io::stdout(), "{loaded}"), CLEAN),
        Task::Healthcheck(probe) => check_health(name, &config, probe),
        Task::Topics { groups, timeout } => {
            telemetry::init(&config.process().log);
            create_topics(&config, &groups, timeout).unwrap_or_else(|error| {
                tracing::error!(error = format!("{error:#}"), "Topics could not be created.");
                FAILED
            })
        }
        Task::Tool {
            name: named,
            arguments,
        } => {
            let tool = tools.into_iter().find(|tool| tool.name() == named);
            run_tool(config, tool, arguments).unwrap_or_else(|error| {
                written(writeln!(io::stderr(), "{name}: {error:#}"), FAILED)
            })
        }
    }
}

fn run_tool<C: ServiceConfig>(
    config: C,
    tool: Option<Tool<C>>,
    arguments: clap::ArgMatches,
) -> anyhow::Result<u8> {
    // Only those that were given are parsed.
    let tool = tool.context("no such command")?;
    telemetry::init(&config.process().log);
    let lifecycle = config.process().lifecycle.clone();
    let shutdown = Shutdown::new();
    let work = (tool.work)(config, arguments, shutdown.clone());
    tool::run(&lifecycle, &shutdown, work)
}

fn run_service<C, R, F>(name: &'static str, version: &'static str, config: C, run: R) -> u8
where
    C: ServiceConfig,
    R: FnOnce(C, Shutdown) -> F + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    telemetry::init(&config.process().log);
    telemetry::log_panics();
    telemetry::install_metrics();
    tracing::info!(service = name, version, "Service is starting.");
    let lifecycle = config.process().lifecycle.clone();
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

fn check_health(name: &str, config: &impl ServiceConfig, probe: Probe) -> u8 {
    let Some(CommonConfig { http, .. }) = config.common() else {
        return written(writeln!(io::stderr(), "{name}: has no HTTP server"), FAILED);
    };
    match healthcheck::check(http, probe) {
        Ok(status) => written(writeln!(io::stdout(), "{name}: {status}"), CLEAN),
        Err(reason) => written(writeln!(io::stderr(), "{name}: {reason}"), FAILED),
    }
}

fn create_topics(
    config: &impl ServiceConfig,
    others: &[String],
    timeout: Duration,
) -> anyhow::Result<u8> {
    let common = config.common().context("this program reads no topic")?;
    let kafka = &common.kafka;
    let groups = config.groups().into_iter().map(str::to_owned);
    let groups = groups.chain(others.iter().cloned()).collect();
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let work = topics::create(kafka.clone(), groups, timeout);
    let ended = runtime.block_on(async {
        let mut signals = listen().context("cannot listen for signals")?;
        tokio::select! {
            created = runtime.spawn(work) => created.context("the work panicked")?.map(|()| CLEAN),
            Some(signal) = signals.recv() => {
                tracing::warn!(signal = signal.name, "Ended by a signal before the topics were there.");
                Ok(signal.code())
            }
        }
    });
    // A question to a cluster that does not answer must not hold the exit.
    runtime.shutdown_background();
    ended
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
