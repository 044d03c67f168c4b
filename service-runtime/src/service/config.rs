//! The settings that every service has.

use crate::config::Reader;
use crate::database::DatabaseConfig;
use crate::http::HttpConfig;
use crate::kafka::KafkaConfig;
use crate::lifecycle::ProcessConfig;

/// Where a service's log, rows and callers are; its own settings come beside it.
#[derive(Debug, Clone)]
pub struct CommonConfig {
    /// Brokers and topic.
    pub kafka: KafkaConfig,
    /// Where its rows are.
    pub database: DatabaseConfig,
    /// Where it listens.
    pub http: HttpConfig,
    /// How it logs and shuts down.
    pub process: ProcessConfig,
}

impl CommonConfig {
    /// Reads the settings of the service `name`, which unless told otherwise listens on `port` and
    /// has its rows in the database `url`.
    pub fn read(reader: &mut Reader, name: &str, port: u16, url: &str) -> Self {
        Self {
            kafka: KafkaConfig::read(reader, name),
            database: DatabaseConfig::read(reader, url),
            http: HttpConfig::read(reader, port),
            process: ProcessConfig::read(reader),
        }
    }
}
