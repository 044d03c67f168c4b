//! What a command works with: the global options, made usable.

use std::ffi::OsString;
use std::time::Duration;

use service_runtime::config::Reader;
use service_runtime::kafka::KafkaConfig;

use crate::Failure;
use crate::api::Api;
use crate::cli::{Global, Service};
use crate::output::Output;

/// What every command gets.
#[derive(Debug)]
pub struct Context {
    /// Where data goes.
    pub output: Output,
    global: Global,
}

impl Context {
    /// The context that these options describe.
    #[must_use]
    pub fn new(global: Global) -> Self {
        Self {
            output: Output { json: global.json },
            global,
        }
    }

    /// How long one answer may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.global.timeout
    }

    /// A client of `service`.
    ///
    /// # Errors
    /// Its URL cannot be used.
    pub fn api(&self, service: Service) -> Result<Api, Failure> {
        Api::new(service.name(), self.global.url(service), self.timeout())
    }

    /// Where the broker is, and how to talk to it: the services' settings.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn kafka(&self) -> Result<KafkaConfig, Failure> {
        let options = [
            ("KAFKA_BOOTSTRAP_SERVERS", &self.global.kafka),
            ("KAFKA_TOPIC", &self.global.topic),
        ];
        let given = options.into_iter().filter_map(|(name, value)| {
            let value = value.as_ref()?;
            Some((OsString::from(name), OsString::from(value)))
        });
        // Of two values of one name the later one counts.
        let mut reader = Reader::new(None, std::env::vars_os().chain(given));
        let mut config = KafkaConfig::read(&mut reader, "orderctl");
        reader
            .finish()
            .map_err(|error| Failure::Usage(error.to_string()))?;
        config.delivery_timeout = self.timeout();
        Ok(config)
    }
}
