//! Settings of the service.

use std::path::PathBuf;

use service_runtime::config::Reader;
use service_runtime::lifecycle::{ProcessConfig, ServiceConfig};
use service_runtime::participant::ParticipantSettings;
use service_runtime::service::CommonConfig;

use crate::catalogue::{Catalogue, CatalogueError};
use crate::unknown_product::UnknownProduct;

const PORT: u16 = 8081;
const DATABASE_URL: &str = "sqlite://data/stock.db";

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every service has.
    pub common: CommonConfig,
    /// Group and bounds.
    pub participant: ParticipantSettings,
    /// Products that a new database starts with.
    pub catalogue: Catalogue,
    /// What an order of an unknown product means.
    pub unknown_product: UnknownProduct,
}

impl ServiceConfig for Config {
    fn read(reader: &mut Reader) -> Self {
        Self {
            common: CommonConfig::read(reader, crate::NAME, PORT, DATABASE_URL),
            participant: ParticipantSettings::read(reader, "KAFKA_GROUP", "stock"),
            catalogue: catalogue(reader),
            unknown_product: reader.get(
                "STOCK_UNKNOWN_PRODUCT",
                UnknownProduct::default(),
                "an order of an unknown product: reject it, or a number of pieces to create it with",
            ),
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
