//! The command line.

use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use service_runtime::config::parse_duration;

use crate::commands::{
    cancel, completions, dlt, get, jobs, lag, list, place, rebuild, stock, watch,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line, a setting or a parameter cannot be used
  3  no such order, product, job, dead letter or topic
  4  refused: a rule forbids it (HTTP 409, 422 and the like), or the order came to nothing
  5  a service or the broker does not answer; whether it was done may be unknown
  6  a condition does not hold: waited in vain, or a lag above --max
  `rebuild` ends with the code of the program that it runs.

Services and broker are looked for on 127.0.0.1 unless their URLs are set. Further settings of the
Kafka client are the services' own: KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_*, KAFKA_EXTRA.";

/// The command line of the order system
#[derive(Debug, Parser)]
#[command(name = "orderctl", version, about, after_help = EXIT_CODES, max_term_width = 120)]
pub struct Cli {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub global: Global,
    #[command(subcommand)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Print JSON, one document a line
    #[arg(long, global = true)]
    pub json: bool,
    /// How long one answer may take
    #[arg(long, global = true, value_name = "DURATION", env = "ORDERCTL_TIMEOUT", default_value = "30s", value_parser = timeout)]
    pub timeout: Duration,
    /// Log what happens to stderr; twice for more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Where the order service is
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "ORDER_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8080"
    )]
    pub order_url: String,
    /// Where the stock service is
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "STOCK_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8081"
    )]
    pub stock_url: String,
    /// Where the email service is
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "EMAIL_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8082"
    )]
    pub email_url: String,
    /// Where the payment service is
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "PAYMENT_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8083"
    )]
    pub payment_url: String,
    /// Where the shipping service is
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "SHIPPING_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8084"
    )]
    pub shipping_url: String,
    /// Where the webhook service is
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "WEBHOOK_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8085"
    )]
    pub webhook_url: String,
    /// Brokers to start from, as HOST:PORT, separated by commas [default: 127.0.0.1:9092]
    #[arg(
        long,
        global = true,
        value_name = "BROKERS",
        env = "KAFKA_BOOTSTRAP_SERVERS"
    )]
    pub kafka: Option<String>,
    /// The topic that is the log [default: orders]
    #[arg(long, global = true, value_name = "NAME", env = "KAFKA_TOPIC")]
    pub topic: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Place an order
    Place(place::Place),
    /// Show one order
    Get(get::Get),
    /// Follow one order until its end, or all orders, live
    Watch(watch::Watch),
    /// List orders, the newest first
    List(list::List),
    /// Cancel an order, if it is not too late
    Cancel(cancel::Cancel),
    /// Show and set stock
    #[command(subcommand)]
    Stock(stock::Stock),
    /// Look at dead letters, redrive or discard them
    #[command(subcommand)]
    Dlt(dlt::Dlt),
    /// Look at the jobs of a service and retry dead ones
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// Show how far the consumer groups are behind the log
    Lag(lag::Lag),
    /// Build the read model anew, by the order service's program
    Rebuild(rebuild::Rebuild),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

/// A service with an HTTP API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Service {
    Order,
    Stock,
    Email,
    Payment,
    Shipping,
    Webhook,
}

impl Service {
    /// The name of its program.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "order-service",
            Self::Stock => "stock-service",
            Self::Email => "email-service",
            Self::Payment => "payment-service",
            Self::Shipping => "shipping-service",
            Self::Webhook => "webhook-service",
        }
    }
}

/// A service that has jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "clap would print it")]
pub enum JobService {
    Email,
    Payment,
    Shipping,
    Webhook,
}

impl From<JobService> for Service {
    fn from(service: JobService) -> Self {
        match service {
            JobService::Email => Self::Email,
            JobService::Payment => Self::Payment,
            JobService::Shipping => Self::Shipping,
            JobService::Webhook => Self::Webhook,
        }
    }
}

impl Global {
    /// Where a service is.
    #[must_use]
    pub fn url(&self, service: Service) -> &str {
        match service {
            Service::Order => &self.order_url,
            Service::Stock => &self.stock_url,
            Service::Email => &self.email_url,
            Service::Payment => &self.payment_url,
            Service::Shipping => &self.shipping_url,
            Service::Webhook => &self.webhook_url,
        }
    }
}

/// A duration that is not nothing, and short enough to be added to any time.
pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() || duration > LONGEST {
        return Err("must be more than nothing and at most a day".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_text_names_every_exit_code() {
        let help = Cli::command().render_help().to_string();
        for code in 0..=6 {
            assert!(help.contains(&format!("\n  {code}  ")), "{code}: {help}");
        }
    }

    #[test]
    fn a_time_out_of_nothing_is_refused() {
        assert_eq!(timeout("1500ms"), Ok(Duration::from_millis(1500)));
        assert!(timeout("0s").is_err());
        assert!(timeout("2d").is_err());
        assert!(timeout("soon").is_err());
    }
}
