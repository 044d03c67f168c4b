//! Settings of order-service.

use std::time::Duration;

use service_runtime::config::{Reader, format_duration};
use service_runtime::http::HttpConfig;
use service_runtime::lifecycle::{ProcessConfig, ServiceConfig};
use service_runtime::participant::ParticipantSettings;
use service_runtime::service::CommonConfig;

/// Group of the read model. The command side will have one of its own, under another setting.
const VIEW_GROUP: &str = "orders-view";
const PORT: u16 = 8080;
const DATABASE_URL: &str = "sqlite://data/orders.db";
/// How long before the server's own limit a handler answers.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every service has.
    pub common: CommonConfig,
    /// The participant that folds the read model; its `type_id` is for the command side as well.
    pub view: ParticipantSettings,
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
        };
        check_timeouts(reader, &config);
        config
    }

    fn process(&self) -> &ProcessConfig {
        &self.common.process
    }

    fn common(&self) -> Option<&CommonConfig> {
        Some(&self.common)
    }

    fn groups(&self) -> Vec<&str> {
        vec![&self.view.group]
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
        assert_eq!(config.view.group, "orders-view");
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
        let config = load(&[("KAFKA_VIEW_GROUP", "mine"), ("KAFKA_TYPE_ID", "a.b.C")]).unwrap();
        assert_eq!(config.view.group, "mine");
        assert_eq!(config.view.type_id.as_deref(), Some("a.b.C"));
    }
}
