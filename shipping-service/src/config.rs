//! Settings of the service.

use std::time::Duration;

use service_runtime::config::{Reader, format_duration};
use service_runtime::jobs::WorkerConfig;
use service_runtime::lifecycle::{ProcessConfig, ServiceConfig};
use service_runtime::participant::ParticipantSettings;
use service_runtime::service::CommonConfig;

const PORT: u16 = 8084;
const DATABASE_URL: &str = "sqlite://data/shipping.db";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every service has.
    pub common: CommonConfig,
    /// Group and bounds.
    pub participant: ParticipantSettings,
    /// When parcels are dispatched.
    pub dispatch: DispatchConfig,
}

/// When parcels are dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatchConfig {
    /// How long after PAID; `None`: only when somebody asks for it.
    pub after: Option<Duration>,
    /// How long an answer waits for a dispatch that was asked for to be read back from the log.
    pub answer_wait: Duration,
}

impl ServiceConfig for Config {
    fn read(reader: &mut Reader) -> Self {
        let config = Self {
            common: CommonConfig::read(reader, crate::NAME, PORT, DATABASE_URL),
            participant: ParticipantSettings::read(reader, "KAFKA_GROUP", "shipping"),
            dispatch: DispatchConfig::read(reader),
        };
        let (wait, limit) = (
            config.dispatch.answer_wait,
            config.common.http.request_timeout,
        );
        if wait >= limit {
            let (wait, limit) = (format_duration(wait), format_duration(limit));
            let problem = format!("{wait} is not below HTTP_REQUEST_TIMEOUT ({limit})");
            reader.problem("SHIPPING_ANSWER_WAIT", problem);
        }
        config
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

impl DispatchConfig {
    fn read(reader: &mut Reader) -> Self {
        let automatic = reader.get(
            "SHIPPING_AUTO_DISPATCH",
            true,
            "dispatch what is paid by itself; if false, only by POST .../dispatch, and so later on what was paid meanwhile",
        );
        let delay = reader.duration_in(
            "SHIPPING_DISPATCH_DELAY",
            Duration::from_secs(5),
            Duration::ZERO..=DAY * 365,
            "how long after it was paid an order is dispatched by itself; a change is for orders paid from then on",
        );
        Self {
            after: automatic.then_some(delay),
            answer_wait: reader.duration_in(
                "SHIPPING_ANSWER_WAIT",
                Duration::from_secs(3),
                Duration::from_millis(1)..=Duration::from_secs(60),
                "how long a request to dispatch waits for its SHIPPED to be read back; then it is answered with 202",
            ),
        }
    }

    /// How dispatches are worked on. They have neither a limit nor an age: nothing outside can refuse
    /// one, and the order waits for it.
    #[must_use]
    pub fn worker(&self) -> WorkerConfig {
        let default = WorkerConfig::default();
        let shortest = Duration::from_millis(100);
        // As exact as the delay is long.
        let poll_interval = self.after.unwrap_or(Duration::MAX);
        WorkerConfig {
            max_attempts: None,
            max_age: None,
            poll_interval: poll_interval.clamp(shortest, default.poll_interval),
            ..default
        }
    }
}

#[cfg(test)]
mod tests;
