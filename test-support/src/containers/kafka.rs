//! One Kafka broker.

use testcontainers_modules::kafka::apache;
use testcontainers_modules::testcontainers::{ContainerRequest, ImageExt};

use super::Container;

const TAG: &str = "4.3.1";

/// Apache Kafka in a container.
#[derive(Debug)]
pub struct Kafka {
    bootstrap_servers: String,
    pub(super) container: Container<apache::Kafka>,
}

impl Kafka {
    /// Starts a broker and waits until it is there. Works within a runtime, which it blocks.
    ///
    /// # Errors
    /// No engine answers, the image cannot be had, or the broker does not start.
    pub fn start() -> Result<Self, String> {
        Self::of(Container::start(request())?)
    }

    /// As [`start`](Self::start), for a test that stops it: its address and its data stay.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_to_be_stopped() -> Result<Self, String> {
        let port = apache::KAFKA_PORT.as_u16();
        Self::of(Container::start_on_fixed_ports(request, &[port])?)
    }

    fn of(container: Container<apache::Kafka>) -> Result<Self, String> {
        Ok(Self {
            // For the first connection: the broker itself advertises 127.0.0.1, with the same port.
            bootstrap_servers: container.address(apache::KAFKA_PORT.as_u16())?,
            container,
        })
    }

    /// What a client sets as `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }
}

fn request() -> ContainerRequest<apache::Kafka> {
    apache::Kafka::default()
        .with_jvm_image()
        .with_tag(TAG)
        .with_env_var("KAFKA_HEAP_OPTS", "-Xmx384m")
        .with_env_var("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
        // Tests of members that die or freeze would otherwise wait for six seconds each time.
        .with_env_var("KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS", "1000")
        .with_env_var("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "1")
        // One broker cannot keep the three copies that are the default.
        .with_env_var("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
        .with_env_var("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
}
