//! Settings of the service.

use std::path::PathBuf;

use service_runtime::config::Reader;
use service_runtime::database::DatabaseConfig;
use service_runtime::http::HttpConfig;
use service_runtime::kafka::KafkaConfig;
use service_runtime::lifecycle::{LifecycleConfig, ServiceConfig};
use service_runtime::participant::ParticipantSettings;
use service_runtime::telemetry::LogConfig;

use crate::catalogue::{Catalogue, CatalogueError};
use crate::unknown_product::UnknownProduct;

const PORT: u16 = 8081;
const DATABASE_URL: &str = "sqlite://data/stock.db";

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Brokers and topic.
    pub kafka: KafkaConfig,
    /// Group and bounds.
    pub participant: ParticipantSettings,
    /// Where the stock is kept.
    pub database: DatabaseConfig,
    /// Where to listen.
    pub http: HttpConfig,
    /// How to log.
    pub log: LogConfig,
    /// How to shut down.
    pub lifecycle: LifecycleConfig,
    /// Products that a new database starts with.
    pub catalogue: Catalogue,
    /// What an order of an unknown product means.
    pub unknown_product: UnknownProduct,
}

impl ServiceConfig for Config {
    fn read(reader: &mut Reader) -> Self {
        Self {
            kafka: KafkaConfig::read(reader, crate::NAME),
            participant: ParticipantSettings::read(reader, "KAFKA_GROUP", "stock"),
            database: DatabaseConfig::read(reader, DATABASE_URL),
            http: HttpConfig::read(reader, PORT),
            log: LogConfig::read(reader),
            lifecycle: LifecycleConfig::read(reader),
            catalogue: catalogue(reader),
            unknown_product: reader.get(
                "STOCK_UNKNOWN_PRODUCT",
                UnknownProduct::default(),
                "an order of an unknown product: reject it, or a number of pieces to create it with",
            ),
        }
    }

    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn lifecycle(&self) -> &LifecycleConfig {
        &self.lifecycle
    }

    fn http(&self) -> Option<&HttpConfig> {
        Some(&self.http)
    }

    fn kafka(&self) -> Option<&KafkaConfig> {
        Some(&self.kafka)
    }

    fn groups(&self) -> Vec<&str> {
        vec![&self.participant.group]
    }
}

/// Read with the other settings, so that its problems are told with theirs.
fn catalogue(reader: &mut Reader) -> Catalogue {
    const NAME: &str = "STOCK_CATALOGUE";
    let path: Option<String> = reader.optional(
        NAME,
        "TOML file of the products that a new database starts with; a built-in one if unset",
    );
    let catalogue = match path {
        Some(path) => Catalogue::read(&PathBuf::from(path)),
        None => Catalogue::built_in(),
    };
    catalogue.unwrap_or_else(|CatalogueError { problems }| {
        for problem in problems {
            reader.problem(NAME, problem);
        }
        Catalogue::default()
    })
}

#[cfg(test)]
mod tests;
