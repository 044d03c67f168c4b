//! Settings of order-service.

use std::ops::RangeInclusive;
use std::time::Duration;

use service_runtime::config::{Reader, format_duration};
use service_runtime::http::HttpConfig;
use service_runtime::lifecycle::{ProcessConfig, ServiceConfig};
use service_runtime::participant::ParticipantSettings;
use service_runtime::service::CommonConfig;

/// Group of the read model.
const VIEW_GROUP: &str = "orders-view";
/// Group of the command side.
const GROUP: &str = "orders";
/// How long an order may take: long enough for a payment gateway that is down for a night.
const ORDER_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);
const DEADLINES: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(10 * 365 * 24 * 60 * 60);
const PORT: u16 = 8080;
const DATABASE_URL: &str = "sqlite://data/orders.db";
/// How long before the server's own limit a handler answers.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every service has.
    pub common: CommonConfig,
    /// The participant that folds the read model.
    pub view: ParticipantSettings,
    /// The participant of the command side; its `type_id` is for new orders as well.
    pub orders: ParticipantSettings,
    /// An order that has not ended so long after its first record is cancelled.
    pub deadline: Duration,
}

impl Config {
    /// How long a handler may take: the server's limit, less what it takes to answer. The server's own
    /// answer could neither name the order nor show its state.
    #[must_use]
    pub fn answer_within(&self) -> Duration {
        answer_within(&self.common.http)
    }
}

impl ServiceConfig for Config {
    fn read(reader: &mut Reader) -> Self {
        let config = Self {
            common: CommonConfig::read(reader, crate::NAME, PORT, DATABASE_URL),
            view: ParticipantSettings::read(reader, "KAFKA_VIEW_GROUP", VIEW_GROUP),
            orders: ParticipantSettings::read(reader, "KAFKA_GROUP", GROUP),
            deadline: reader.duration_in(
                "ORDER_DEADLINE",
                ORDER_DEADLINE,
                DEADLINES,
                "an order that has not ended so long after it was placed is cancelled; \
                 a change applies to orders that are open as well",
            ),
        };
        check_timeouts(reader, &config);
        check_groups(reader, &config);
        config
    }

    fn process(&self) -> &ProcessConfig {
        &self.common.process
    }

    fn common(&self) -> Option<&CommonConfig> {
        Some(&self.common)
    }

    fn groups(&self) -> Vec<&str> {
        vec![&self.orders.group, &self.view.group]
    }
}

fn answer_within(http: &HttpConfig) -> Duration {
    let limit = http.request_timeout;
    limit - ANSWER_MARGIN.min(limit / 10)
}

/// The result of an append has to be there before the request is given up, or every slow append would be
/// answered as unknown.
fn check_timeouts(reader: &mut Reader, config: &Config) {
    let (delivery, answer) = (config.common.kafka.delivery_timeout, config.answer_within());
    if delivery >= answer {
        let limit = format_duration(config.common.http.request_timeout);
        reader.problem(
            "KAFKA_DELIVERY_TIMEOUT",
            format!(
                "{} is not below {}, the part of HTTP_REQUEST_TIMEOUT ({limit}) in which a request is answered",
                format_duration(delivery),
                format_duration(answer),
            ),
        );
    }
}

/// In one group each side would get a part of the partitions, and wait for the rest for ever.
fn check_groups(reader: &mut Reader, config: &Config) {
    if config.orders.group == config.view.group {
        let problem = "is the group of the read model too (KAFKA_VIEW_GROUP); each needs its own";
        reader.problem("KAFKA_GROUP", problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        match Config::load(None, environment.iter().copied()) {
            Ok((config, _)) => Ok(config),
            Err(error) => Err(error.problems().to_vec()),
        }
    }

    #[test]
    fn the_defaults_are_complete_and_agree_with_each_other() {
        let config = load(&[]).unwrap();
        assert_eq!(config.common.http.port, 8080);
        assert_eq!(config.common.kafka.topic, "orders");
        assert_eq!(config.common.kafka.client_id, "order-service");
        assert_eq!(config.groups(), ["orders", "orders-view"]);
        assert_eq!(config.deadline, Duration::from_secs(86_400));
        assert_eq!(config.answer_within(), Duration::from_millis(29_500));
    }

    #[test]
    fn an_append_that_may_take_longer_than_its_request_is_a_problem() {
        let problems = load(&[
            ("KAFKA_DELIVERY_TIMEOUT", "5s"),
            ("HTTP_REQUEST_TIMEOUT", "5s"),
        ])
        .unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        let problem = &problems[0];
        assert!(
            problem.starts_with(
                "KAFKA_DELIVERY_TIMEOUT: 5s is not below 4500ms, \
                 the part of HTTP_REQUEST_TIMEOUT (5s) in which a request is answered"
            ),
            "{problem}"
        );
        let short = [
            ("KAFKA_DELIVERY_TIMEOUT", "4s"),
            ("HTTP_REQUEST_TIMEOUT", "5s"),
        ];
        assert!(load(&short).is_ok());
    }

    #[test]
    fn the_groups_of_the_two_sides_have_their_own_names() {
        let config = load(&[
            ("KAFKA_GROUP", "mine"),
            ("KAFKA_VIEW_GROUP", "shown"),
            ("KAFKA_TYPE_ID", "a.b.C"),
        ])
        .unwrap();
        assert_eq!(config.groups(), ["mine", "shown"]);
        assert_eq!(config.orders.type_id.as_deref(), Some("a.b.C"));
        let problems = load(&[("KAFKA_GROUP", "orders-view")]).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with("KAFKA_GROUP: is the group of the read model too"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_deadline_is_from_a_second_to_ten_years() {
        for (text, seconds) in [("1s", 1), ("90m", 5_400), ("3650d", 315_360_000)] {
            let config = load(&[("ORDER_DEADLINE", text)]).unwrap();
            assert_eq!(config.deadline, Duration::from_secs(seconds));
        }
        for text in ["0s", "999ms", "3651d", "24"] {
            assert!(load(&[("ORDER_DEADLINE", text)]).is_err(), "{text}");
        }
    }
}
