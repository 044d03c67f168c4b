//! One Kafka broker behind a proxy.

use std::net::Ipv4Addr;
use std::time::Duration;

use testcontainers_modules::testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers_modules::testcontainers::{ContainerRequest, GenericImage, ImageExt};

use super::{Container, ports};

const IMAGE: &str = "apache/kafka";
const TAG: &str = "4.3.1";
/// A JVM on a machine that has much else to do.
const START: Duration = Duration::from_secs(180);
/// Where programs of this machine connect, within the container.
const DIRECT: u16 = 9092;
/// The same for those that come by the proxy.
const PROXIED: u16 = 9093;

const ENVIRONMENT: &[(&str, &str)] = &[
    ("CLUSTER_ID", "b3JkZXItc3lzdGVtLXRlc3Q"),
    ("KAFKA_NODE_ID", "1"),
    ("KAFKA_PROCESS_ROLES", "broker,controller"),
    ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
    ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9094"),
    (
        "KAFKA_LISTENERS",
        "DIRECT://:9092,PROXIED://:9093,CONTROLLER://:9094,INSIDE://:9095",
    ),
    (
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
        "DIRECT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT,INSIDE:PLAINTEXT",
    ),
    ("KAFKA_INTER_BROKER_LISTENER_NAME", "INSIDE"),
    ("KAFKA_LOG_DIRS", "/var/lib/kafka/data"),
    ("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false"),
    ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
    ("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "1"),
    ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
    ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
    (
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR",
        "1",
    ),
    ("KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR", "1"),
    ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
    ("KAFKA_HEAP_OPTS", "-Xmx384m"),
];

/// Apache Kafka in a container, with two addresses: its own, and that of a proxy, which everybody keeps to
/// who came by it. It can be stopped; addresses and data stay.
#[derive(Debug)]
pub struct KafkaBehind {
    direct: u16,
    proxied: u16,
    pub(super) container: Container<GenericImage>,
}

impl KafkaBehind {
    /// Starts a broker that says of itself it were on `port` of this machine, where a proxy listens, and waits
    /// until it is there. The proxy has to [lead to](crate::Proxy::lead_to) its [`proxied`](Self::proxied) port.
    /// Works within a runtime, which it blocks.
    ///
    /// # Errors
    /// No engine answers, the image cannot be had, or the broker does not start.
    pub fn start(port: u16) -> Result<Self, String> {
        ports::or_with_others(|| {
            let [direct, proxied] = ports::free(2)?[..] else {
                return Err("there are not enough free ports".to_owned());
            };
            Ok(Self {
                direct,
                proxied,
                container: Container::start(request(direct, proxied, port))?,
            })
        })
    }

    /// What a client sets as `bootstrap.servers` that does not come by the proxy.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.direct)
    }

    /// Where the proxy leads to on this machine.
    #[must_use]
    pub const fn proxied(&self) -> u16 {
        self.proxied
    }
}

fn request(direct: u16, proxied: u16, proxy: u16) -> ContainerRequest<GenericImage> {
    let here = Ipv4Addr::LOCALHOST;
    let advertised =
        format!("DIRECT://{here}:{direct},PROXIED://{here}:{proxy},INSIDE://localhost:9095");
    let request = GenericImage::new(IMAGE, TAG)
        .with_exposed_port(DIRECT.tcp())
        .with_exposed_port(PROXIED.tcp())
        .with_wait_for(WaitFor::message_on_stdout("Kafka Server started"))
        .with_startup_timeout(START)
        .with_env_var("KAFKA_ADVERTISED_LISTENERS", advertised)
        .with_host_config_modifier(move |host| {
            ports::publish(host, &[(DIRECT, direct), (PROXIED, proxied)]);
        });
    ENVIRONMENT.iter().fold(request, |request, (key, value)| {
        request.with_env_var(*key, *value)
    })
}
