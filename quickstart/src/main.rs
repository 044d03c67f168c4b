//! `cargo demo`: the order system in one process.

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
    let environment: std::collections::BTreeMap<String, String> = std::env::vars().collect();
    let mut reader = Reader::new(None, environment.clone());
    let mut log = LogConfig::read(&mut reader);
    if arguments.once && !environment.contains_key("LOG_LEVEL") {
        // The report is what is to be read.
        "warn".clone_into(&mut log.level);
    }
    reader.finish()?;
    telemetry::init(&log);
    let mut system = System::start(&Ports::from_arguments(arguments), &environment).await?;
    let result = if arguments.once {
        once::run(&system).await.map_err(Into::into)
    } else {
        println!("{}", banner::text(&system));
        tokio::select! {
            stop = tokio::signal::ctrl_c() => stop.context("cannot wait for Ctrl-C"),
            failure = system.failed() => Err(failure.into()),
        }
    };
    let stopped = system.stop().await;
    result.and(stopped.map_err(Into::into))
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
