//! Settings of the service.

use std::time::Duration;

use service_runtime::config::Reader;
use service_runtime::jobs::{Backoff, Pause, WorkerConfig};
use service_runtime::lifecycle::{ProcessConfig, ServiceConfig};
use service_runtime::participant::ParticipantSettings;
use service_runtime::service::CommonConfig;
use url::Url;

use crate::sender::SenderSettings;
use crate::target::Policy;

const PORT: u16 = 8085;
const DATABASE_URL: &str = "sqlite://data/webhook.db";
/// Between the first two attempts, and the first pause of a worker.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// Failures in a row after which a receiver gets a pause.
const PAUSE_AFTER: u32 = 5;
/// Its longest pause: how late it may be noticed that it is up again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every service has.
    pub common: CommonConfig,
    /// Group and bounds.
    pub participant: ParticipantSettings,
    /// Who may be told, and how persistently.
    pub webhook: WebhookConfig,
}

/// Who may be told, and how persistently.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Where order-service is reached by receivers, without a slash at its end.
    pub public_url: String,
    /// How requests are made, and to whom.
    pub sender: SenderSettings,
    /// Most webhooks.
    pub max_registered: i64,
    /// Most requests to one webhook at a time.
    pub concurrency: usize,
    /// A delivery is dead after so many attempts.
    pub max_attempts: u32,
    /// Longest wait between two attempts.
    pub retry_max_delay: Duration,
    /// A delivery is given up at this age, and older events are not told of.
    pub max_age: Duration,
}

impl ServiceConfig for Config {
    fn read(reader: &mut Reader) -> Self {
        Self {
            common: CommonConfig::read(reader, crate::NAME, PORT, DATABASE_URL),
            participant: ParticipantSettings::read(reader, "KAFKA_GROUP", "webhook"),
            webhook: WebhookConfig::read(reader),
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

impl WebhookConfig {
    fn read(reader: &mut Reader) -> Self {
        Self {
            public_url: public_url(reader),
            sender: sender(reader),
            max_registered: reader.get_in(
                "WEBHOOK_MAX_REGISTERED",
                50,
                1..=1000,
                "most webhooks; each has a worker of its own, which looks for deliveries once a second",
            ),
            concurrency: reader.get_in(
                "WEBHOOK_CONCURRENCY",
                4,
                1..=100,
                "most requests to one webhook at a time",
            ),
            max_attempts: reader.get_in(
                "WEBHOOK_MAX_ATTEMPTS",
                // With up to an hour between two, mostly the age decides.
                200,
                1..=1000,
                "a delivery is dead after so many attempts",
            ),
            retry_max_delay: reader.duration_in(
                "WEBHOOK_RETRY_MAX_DELAY",
                HOUR,
                Duration::from_millis(10)..=24 * HOUR,
                "longest wait between two attempts, which double from one second",
            ),
            max_age: reader.duration(
                "WEBHOOK_MAX_AGE",
                72 * HOUR,
                "a delivery is dead at this age; an event that is older when it is read is skipped",
            ),
        }
    }

    /// How the deliveries of one webhook are worked on.
    ///
    /// Their age is the handler's to judge: it tells old history from what waited for its receiver.
    #[must_use]
    pub fn worker(&self) -> WorkerConfig {
        let backoff = |max: Duration| Backoff {
            initial: FIRST_DELAY.min(max),
            max,
        };
        WorkerConfig {
            concurrency: self.concurrency,
            batch: self.concurrency,
            // The request, within nine tenths of it.
            lease: self.sender.timeout.mul_f64(1.2) + Duration::from_secs(5),
            backoff: backoff(self.retry_max_delay),
            max_attempts: Some(self.max_attempts),
            max_age: None,
            pause: Some(Pause {
                after: PAUSE_AFTER,
                backoff: backoff(self.retry_max_delay.min(LONGEST_PAUSE)),
            }),
            ..WorkerConfig::default()
        }
    }
}

fn sender(reader: &mut Reader) -> SenderSettings {
    let limits = Duration::from_millis(1)..=Duration::from_secs(10 * 60);
    let private_addresses = reader.get(
        "WEBHOOK_ALLOW_PRIVATE_ADDRESSES",
        false,
        "also send to loopback, private, link-local and other addresses that are not public; \
         whoever can register a webhook can then reach them",
    );
    SenderSettings {
        policy: Policy {
            private_addresses,
            http: reader.get(
                "WEBHOOK_ALLOW_HTTP",
                private_addresses,
                "also send without TLS; by default as WEBHOOK_ALLOW_PRIVATE_ADDRESSES",
            ),
        },
        connect_timeout: reader.duration_in(
            "WEBHOOK_CONNECT_TIMEOUT",
            Duration::from_secs(3),
            limits.clone(),
            "for connecting to a receiver",
        ),
        timeout: reader.duration_in(
            "WEBHOOK_TIMEOUT",
            Duration::from_secs(10),
            limits,
            "for a receiver's answer, connecting included",
        ),
    }
}

fn public_url(reader: &mut Reader) -> String {
    const NAME: &str = "PUBLIC_URL";
    let text = reader.get(
        NAME,
        "http://127.0.0.1:8080".to_owned(),
        "where receivers reach order-service; the links in notifications begin with it",
    );
    let url = Url::parse(&text).ok().filter(|url| {
        let bare = url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && bare && anonymous
    });
    let Some(url) = url else {
        reader.problem(
            NAME,
            "must be an http or https URL such as https://shop.example.com",
        );
        return String::new();
    };
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests;
