//! Settings of the service.

use service_runtime::config::Reader;
use service_runtime::lifecycle::{ProcessConfig, ServiceConfig};
use service_runtime::participant::ParticipantSettings;
use service_runtime::service::CommonConfig;

const PORT: u16 = 8086;
const DATABASE_URL: &str = "sqlite://data/loyalty.db";
const GROUP: &str = "loyalty";

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every service has.
    pub common: CommonConfig,
    /// Group and bounds.
    pub participant: ParticipantSettings,
}

impl ServiceConfig for Config {
    fn read(reader: &mut Reader) -> Self {
        Self {
            common: CommonConfig::read(reader, crate::NAME, PORT, DATABASE_URL),
            participant: ParticipantSettings::read(reader, "KAFKA_GROUP", GROUP),
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
