//! `cargo demo`: the order system in one process.

use std::collections::BTreeMap;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use quickstart::arguments::Arguments;
use quickstart::ports::Ports;
use quickstart::system::System;
use quickstart::{banner, once};
use service_runtime::config::Reader;
use service_runtime::lifecycle::install_crypto;
use service_runtime::telemetry::{self, LogConfig};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    // The embedded broker links a second crypto provider: rustls has to be told which one.
    install_crypto();
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let result = runtime.block_on(run(&arguments));
    // A Kafka client that still waits for its broker must not hold the exit back.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    // What is not text cannot be one of our settings.
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let mut reader = Reader::new(None, environment.clone());
    let mut log = LogConfig::read(&mut reader);
    if arguments.once && !environment.contains_key("LOG_LEVEL") {
        // The report is what is to be read.
        "warn".clone_into(&mut log.level);
    }
    reader.finish()?;
    telemetry::init(&log);
    telemetry::log_panics();
    telemetry::install_metrics();
    // From here on a signal ends the run in an orderly way, so that no folder is left behind.
    let stop = stop_signal()?;
    let ports = Ports::from_arguments(arguments);
    let mut system = System::launch(&ports, &environment).await?;
    let result = tokio::select! {
        result = serve(&mut system, arguments) => result,
        () = stop => interrupted(arguments),
    };
    let stopped = system.stop().await.map_err(anyhow::Error::from);
    result.and(stopped)
}

/// Ends when there is nothing left to do, or when the system fails.
async fn serve(system: &mut System, arguments: &Arguments) -> anyhow::Result<()> {
    system.until_ready().await?;
    if arguments.once {
        return Ok(once::run(system).await?);
    }
    println!("{}", banner::text(system).await?);
    Err(system.failed().await.into())
}

/// Waits for Ctrl-C (SIGINT) or SIGTERM; both are heard from the moment this returns.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// How a run ends that somebody stopped: as it should, unless it was to verify something.
fn interrupted(arguments: &Arguments) -> anyhow::Result<()> {
    anyhow::ensure!(!arguments.once, "stopped before all orders were verified");
    Ok(())
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
