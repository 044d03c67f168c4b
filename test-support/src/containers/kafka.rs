//! One Kafka broker.

use testcontainers_modules::kafka::apache;
use testcontainers_modules::testcontainers::ImageExt;

use super::Container;

const TAG: &str = "4.3.1";

/// Apache Kafka in a container.
#[derive(Debug)]
pub struct Kafka {
    bootstrap_servers: String,
    _container: Container<apache::Kafka>,
}

impl Kafka {
    /// Starts a broker and waits until it is there. Works within a runtime, which it blocks.
    ///
    /// # Errors
    /// No engine answers, the image cannot be had, or the broker does not start.
    pub fn start() -> Result<Self, String> {
        let request = apache::Kafka::default()
            .with_jvm_image()
            .with_tag(TAG)
            .with_env_var("KAFKA_HEAP_OPTS", "-Xmx384m")
            .with_env_var("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
            .with_env_var("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "1")
            // One broker cannot keep the three copies that are the default.
            .with_env_var("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
            .with_env_var("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1");
        let container = Container::start(request)?;
        Ok(Self {
            // For the first connection: the broker itself advertises 127.0.0.1, with the same port.
            bootstrap_servers: container.address(apache::KAFKA_PORT.as_u16())?,
            _container: container,
        })
    }

    /// What a client sets as `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }
}
