//! The command line.

use clap::Parser;

/// Runs the order system in one process: an embedded broker, the services, temporary databases.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "quickstart", version)]
pub struct Arguments {
    /// Place four orders, print what becomes of them, verify it and end: 0, or 1 with the reason
    #[arg(long)]
    pub once: bool,
    /// Port of the order service [default: 8080, with --once any free port]
    #[arg(long)]
    pub order_port: Option<u16>,
    /// Port of the stock service [default: 8081, with --once any free port]
    #[arg(long)]
    pub stock_port: Option<u16>,
    /// Port of the email service [default: 8082, with --once any free port]
    #[arg(long)]
    pub email_port: Option<u16>,
    /// Port of the payment service [default: 8083, with --once any free port]
    #[arg(long)]
    pub payment_port: Option<u16>,
    /// Port of the shipping service [default: 8084, with --once any free port]
    #[arg(long)]
    pub shipping_port: Option<u16>,
    /// Port of the webhook service [default: 8085, with --once any free port]
    #[arg(long)]
    pub webhook_port: Option<u16>,
    /// Port of the embedded broker [default: 9092, with --once any free port]
    #[arg(long)]
    pub kafka_port: Option<u16>,
}
