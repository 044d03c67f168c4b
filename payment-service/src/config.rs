//! Settings of the service.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use service_runtime::config::Reader;
use service_runtime::jobs::{Backoff, Pause, WorkerConfig};
use service_runtime::lifecycle::{ProcessConfig, ServiceConfig};
use service_runtime::participant::ParticipantSettings;
use service_runtime::service::CommonConfig;

use crate::gateway::{HttpSettings, check_url, holds_credentials};

const PORT: u16 = 8083;
const DATABASE_URL: &str = "sqlite://data/payment.db";
/// Between the first two attempts, and the first pause of a worker.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every service has.
    pub common: CommonConfig,
    /// Group and bounds.
    pub participant: ParticipantSettings,
    /// Who moves the money, and how persistently it is asked.
    pub payment: PaymentConfig,
}

/// Who moves the money, and how persistently it is asked.
#[derive(Debug, Clone)]
pub struct PaymentConfig {
    /// `None`: the built-in sandbox.
    pub gateway: Option<HttpSettings>,
    /// For the answer to one request.
    pub timeout: Duration,
    /// How long the gateway remembers idempotency keys. A charge or refund that is older than half of
    /// it is looked up before it is asked for: an attempt takes time, and clocks differ.
    pub key_lifetime: Duration,
    /// Most charges at a time, and most refunds.
    pub concurrency: usize,
    /// Longest wait between two attempts, and longest pause.
    pub retry_max_delay: Duration,
    /// Attempts without an answer in a row after which a worker pauses.
    pub pause_after: u32,
}

impl ServiceConfig for Config {
    fn read(reader: &mut Reader) -> Self {
        Self {
            common: CommonConfig::read(reader, crate::NAME, PORT, DATABASE_URL),
            participant: ParticipantSettings::read(reader, "KAFKA_GROUP", "payment"),
            payment: PaymentConfig::read(reader),
        }
    }

    fn process(&self) -> &ProcessConfig {
        &self.common.process
    }

    fn common(&self) -> Option<&CommonConfig> {
        Some(&self.common)
    }

    fn groups(&self) -> Vec<&str> {
        vec![&self.participant.group]
    }
}

impl PaymentConfig {
    fn read(reader: &mut Reader) -> Self {
        let limits = Duration::from_millis(1)..=Duration::from_secs(10 * 60);
        let gateway = gateway(reader);
        let connect_timeout = reader.duration_in(
            "PAYMENT_CONNECT_TIMEOUT",
            Duration::from_secs(3),
            limits.clone(),
            "for connecting to the gateway",
        );
        let timeout = reader.duration_in(
            "PAYMENT_TIMEOUT",
            Duration::from_secs(10),
            limits,
            "for the gateway's answer; without one the same is asked again",
        );
        Self {
            gateway: gateway.map(|(url, token)| HttpSettings {
                url,
                token,
                connect_timeout,
                timeout,
            }),
            timeout,
            key_lifetime: reader.duration(
                "PAYMENT_KEY_LIFETIME",
                DAY,
                "how long the gateway remembers idempotency keys; what is older than half of it is looked up first",
            ),
            concurrency: reader.get_in(
                "PAYMENT_CONCURRENCY",
                4,
                1..=100,
                "most charges at a time, and most refunds",
            ),
            retry_max_delay: reader.duration_in(
                "PAYMENT_RETRY_MAX_DELAY",
                Duration::from_secs(60),
                Duration::from_millis(10)..=DAY,
                "longest wait between two attempts, which double from one second, and longest pause",
            ),
            pause_after: reader.get_in(
                "PAYMENT_PAUSE_AFTER",
                5,
                1..=1_000_000,
                "attempts without an answer in a row after which no other payment is tried for a while",
            ),
        }
    }

    /// How charges and refunds are worked on.
    ///
    /// Attempts have no limit, and no age either: whether money was moved has to become known (rule R5).
    #[must_use]
    pub fn worker(&self) -> WorkerConfig {
        let backoff = Backoff {
            initial: FIRST_DELAY.min(self.retry_max_delay),
            max: self.retry_max_delay,
        };
        WorkerConfig {
            concurrency: self.concurrency,
            batch: self.concurrency,
            // Looking up and asking, within nine tenths of it.
            lease: (self.timeout * 2).mul_f64(1.2) + Duration::from_secs(5),
            backoff,
            max_attempts: None,
            max_age: None,
            pause: Some(Pause {
                after: self.pause_after,
                backoff,
            }),
            ..WorkerConfig::default()
        }
    }
}

/// URL and token of the gateway; `None`: the sandbox.
fn gateway(reader: &mut Reader) -> Option<(SecretString, Option<SecretString>)> {
    const NAME: &str = "PAYMENT_GATEWAY_URL";
    const TOKEN: &str = "PAYMENT_GATEWAY_TOKEN";
    let url = reader.url(
        NAME,
        "",
        "http(s)://[user:password@]host/path of a payment gateway; a built-in sandbox if empty, in which the cents of \
         an order's total decide: .02 is declined, .03 answers at the second try, .04 gets no answer at the first",
    );
    let token = reader.secret(
        TOKEN,
        "bearer token for the gateway, instead of user:password in its URL",
    );
    if url.expose_secret().is_empty() {
        if token.is_some() {
            reader.problem(TOKEN, "is set, but PAYMENT_GATEWAY_URL is not");
        }
        return None;
    }
    if let Err(problem) = check_url(url.expose_secret()) {
        reader.problem(NAME, problem);
    }
    if token.is_some() && holds_credentials(url.expose_secret()) {
        reader.problem(
            TOKEN,
            "is set, and PAYMENT_GATEWAY_URL holds a user or password; only one of them can be sent",
        );
    }
    Some((url, token))
}

#[cfg(test)]
mod tests;
