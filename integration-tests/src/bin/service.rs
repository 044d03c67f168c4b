//! The services, the embedded broker and the command line as child processes; `SERVICE` says which.
//!
//! Each is exactly what its own binary runs; one file makes sure that it is built with the tests.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::Context as _;
use quickstart::embedded::EmbeddedBroker;
use service_runtime::config::Reader;
use service_runtime::lifecycle::{
    ProcessConfig, ServiceConfig, Shutdown, main as run_service, main_with,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    // With arguments it is a command, which ends by itself.
    if std::env::args().len() == 1 {
        std::thread::spawn(end_with_the_tests);
    }
    match std::env::var("SERVICE").as_deref() {
        Ok("order") => main_with(
            order_service::NAME,
            VERSION,
            order_service::run,
            vec![order_service::rebuild_tool()],
        ),
        Ok("stock") => run_service(stock_service::NAME, VERSION, stock_service::run),
        Ok("email") => run_service(email_service::NAME, VERSION, email_service::run),
        Ok("payment") => run_service(payment_service::NAME, VERSION, payment_service::run),
        Ok("webhook") => run_service(webhook_service::NAME, VERSION, webhook_service::run),
        Ok("shipping") => run_service(shipping_service::NAME, VERSION, shipping_service::run),
        Ok("broker") => run_service("broker", VERSION, broker),
        Ok("orderctl") => orderctl::main(),
        _ => {
            eprintln!("SERVICE is none of the names in this file");
            ExitCode::from(2)
        }
    }
}

/// Nobody else would end this process when the tests are killed.
fn end_with_the_tests() {
    let mut nothing = Vec::new();
    // Ends when the other end is closed; nothing is ever written to it.
    std::io::stdin().read_to_end(&mut nothing).ok();
    std::process::exit(1);
}

/// Settings of the broker process.
struct BrokerConfig {
    port: u16,
    process: ProcessConfig,
}

impl ServiceConfig for BrokerConfig {
    fn read(reader: &mut Reader) -> Self {
        Self {
            port: reader.get("BROKER_PORT", 0, "where to listen"),
            process: ProcessConfig::read(reader),
        }
    }

    fn process(&self) -> &ProcessConfig {
        &self.process
    }
}

async fn broker(config: BrokerConfig, shutdown: Shutdown) -> anyhow::Result<()> {
    let broker = EmbeddedBroker::start(config.port)?;
    tracing::info!(address = %broker.bootstrap_servers(), "Listening.");
    shutdown.cancelled().await;
    broker.stop().context("the broker did not stop")
}
