//! Three ways to consume a topic, and what a killed process does to each.
//!
//! Without arguments it kills consumers in all three modes, over a broker in this process, and prints
//! what was lost and what happened twice. With `--mode` it is one such consumer, of the broker that
//! `KAFKA_BOOTSTRAP_SERVERS` names. The modes themselves are `Consumer::handle` in `consumer.rs`;
//! `docs/delivery-semantics.md` discusses them.

pub(crate) mod comparison;
pub(crate) mod consumer;
pub(crate) mod counts;
mod ledger;
mod process;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum as _};
use service_runtime::config::Reader;
use service_runtime::kafka::KafkaConfig;
use service_runtime::lifecycle::install_crypto;
use service_runtime::telemetry::{self, LogConfig};

use comparison::{kill_and_count, table, ways_to_die};
use consumer::{Mode, Stop};

/// Consumes placed orders in one of three ways, or compares the three.
#[derive(Debug, Parser)]
#[command(name = "delivery-semantics")]
struct Arguments {
    /// Consume the topic up to its end in this way [default: kill and compare all three]
    #[arg(long)]
    mode: Option<Mode>,
    /// Stop in the second batch, here, and wait to be killed
    #[arg(long, requires = "mode")]
    stop: Option<Stop>,
    /// Orders in a batch
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=1000))]
    batch: u16,
    /// Consumer group [default: demo-MODE]
    #[arg(long)]
    group: Option<String>,
    /// SQLite file that the effects are counted in [default: data/demo-MODE.db]
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// End when standard input is closed, as it is when the comparison is killed
    #[arg(long, hide = true)]
    end_with_stdin: bool,
}

pub(crate) fn main() -> ExitCode {
    install_crypto();
    telemetry::init(&LogConfig {
        // The client calls the end of a partition an error. What else it says there, `recv` says too.
        level: "warn,rdkafka::client=off".to_owned(),
        ..LogConfig::default()
    });
    let result = tokio::runtime::Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(Arguments::parse())));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Some(mode) = arguments.mode else {
        println!(
            "Killing six consumers and starting each again; this takes a quarter of a minute.\n"
        );
        println!("{}", table(&kill_and_count(ways_to_die()).await?));
        return Ok(());
    };
    if arguments.end_with_stdin {
        std::thread::spawn(end_with_stdin);
    }
    let name = format!("demo-{mode}");
    let options = consumer::Options {
        mode,
        stop: arguments.stop,
        batch: arguments.batch.into(),
        ledger: arguments
            .ledger
            .unwrap_or_else(|| format!("data/{name}.db").into()),
        group: arguments.group.unwrap_or(name),
    };
    let counts = consumer::run(&kafka()?, options).await?;
    println!("{mode}: {counts}");
    Ok(())
}

/// The services' own settings, `KAFKA_…`.
fn kafka() -> anyhow::Result<KafkaConfig> {
    // Who is started again after a kill should not wait 45 s for its partitions.
    let defaults = [("KAFKA_SESSION_TIMEOUT".into(), "6s".into())];
    let mut reader = Reader::new(None, defaults.into_iter().chain(std::env::vars_os()));
    let config = KafkaConfig::read(&mut reader, "delivery-semantics");
    reader.finish()?;
    Ok(config)
}

/// Nobody else would end a stopped consumer when the comparison is killed.
fn end_with_stdin() {
    // Ends when the other end is closed; nothing is ever written to it.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
    std::process::exit(1);
}

impl std::fmt::Display for Mode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_possible_value()
            .map_or(Ok(()), |value| formatter.write_str(value.get_name()))
    }
}
