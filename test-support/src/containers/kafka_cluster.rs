//! Three Kafka brokers that are each other's replicas, and can be killed and started again.

use std::net::Ipv4Addr;
use std::thread;

use testcontainers_modules::testcontainers::bollard::query_parameters::StartContainerOptions;
use testcontainers_modules::testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers_modules::testcontainers::{ContainerRequest, GenericImage, ImageExt};
use uuid::Uuid;

use super::engine::{self, ask, connect};
use super::network::Network;
use super::{Container, ports};

const IMAGE: &str = "apache/kafka";
const TAG: &str = "4.3.1";
/// Node ids, and with them the voters of the controllers' quorum.
const NODES: [u16; 3] = [1, 2, 3];
/// Where programs of this machine connect, within the container.
const HOST_PORT: u16 = 9092;

/// What holds for every broker; `docker-compose.cluster.yml` has the same.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("CLUSTER_ID", "b3JkZXItc3lzdGVtLXRlc3Q"),
    ("KAFKA_PROCESS_ROLES", "broker,controller"),
    ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
    (
        "KAFKA_LISTENERS",
        "CONTROLLER://:29093,CONTAINERS://:29092,HOST://:9092",
    ),
    (
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
        "CONTROLLER:PLAINTEXT,CONTAINERS:PLAINTEXT,HOST:PLAINTEXT",
    ),
    ("KAFKA_INTER_BROKER_LISTENER_NAME", "CONTAINERS"),
    ("KAFKA_LOG_DIRS", "/var/lib/kafka/data"),
    ("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false"),
    ("KAFKA_DEFAULT_REPLICATION_FACTOR", "3"),
    ("KAFKA_MIN_INSYNC_REPLICAS", "2"),
    ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "3"),
    ("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "3"),
    ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "3"),
    ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "2"),
    (
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR",
        "3",
    ),
    ("KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR", "2"),
    ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
    ("KAFKA_HEAP_OPTS", "-Xmx256m"),
    // A broker that comes back may have another address, and the others must not go on asking at
    // the old one, or at what has it now.
    (
        "KAFKA_OPTS",
        "-Dsun.net.inetaddr.ttl=1 -Dsun.net.inetaddr.negative.ttl=1",
    ),
];

/// A cluster of three brokers, which are its controllers too. Dropping it removes everything.
#[derive(Debug)]
pub struct KafkaCluster {
    brokers: Vec<Broker>,
    // Removed after its containers.
    _network: Network,
}

#[derive(Debug)]
struct Broker {
    port: u16,
    container: Container<GenericImage>,
}

impl KafkaCluster {
    /// Starts the brokers and waits until they are there. Works within a runtime, which it blocks.
    ///
    /// # Errors
    /// No engine answers, the image cannot be had, or a broker does not start.
    pub fn start() -> Result<Self, String> {
        engine::engine()?;
        ports::or_with_others(Self::start_once)
    }

    fn start_once() -> Result<Self, String> {
        let id = Uuid::new_v4().simple().to_string();
        let network = Network::create(format!("order-system-tests-{}", &id[..8]))?;
        let ports = ports::free(NODES.len())?;
        // At once: one alone is no quorum, and waits for the others.
        let started = thread::scope(|scope| {
            let starting: Vec<_> = NODES
                .iter()
                .zip(ports)
                .map(|(node, port)| {
                    let request = request(network.name(), *node, port);
                    scope.spawn(move || {
                        Container::start(request).map(|container| Broker { port, container })
                    })
                })
                .collect();
            let joined = starting.into_iter().map(thread::ScopedJoinHandle::join);
            joined
                .map(|joined| joined.unwrap_or_else(|_| Err("a start panicked".to_owned())))
                .collect::<Vec<_>>()
        });
        let mut failure = None;
        let mut brokers = Vec::new();
        for broker in started {
            match broker {
                Ok(broker) => brokers.push(broker),
                Err(error) => failure = Some(error),
            }
        }
        // Owns, and so removes, also what started beside a failure.
        let cluster = Self {
            brokers,
            _network: network,
        };
        failure.map_or(Ok(cluster), Err)
    }

    /// What a client sets as `bootstrap.servers`: all three.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        let addresses = self.brokers.iter().map(Broker::address);
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The brokers' node ids.
    pub fn nodes(&self) -> impl Iterator<Item = i32> {
        NODES.into_iter().map(i32::from)
    }

    /// Ends the broker `node` by SIGKILL.
    ///
    /// # Errors
    /// There is none, it does not run, or the engine does not answer.
    pub fn kill(&self, node: i32) -> Result<(), String> {
        engine::kill(self.id(node)?).map_err(|error| format!("broker {node}: {error}"))
    }

    /// Starts the broker `node` again, with all that it had on its disk; does nothing where it
    /// runs. It joins the others within seconds of this call.
    ///
    /// # Errors
    /// There is none, its port was taken, or the engine does not answer.
    pub fn start_again(&self, node: i32) -> Result<(), String> {
        let id = self.id(node)?;
        ask(async {
            let options = None::<StartContainerOptions>;
            let started = connect()?.start_container(id, options).await;
            started.map_err(|error| format!("broker {node}: {error}"))
        })
    }

    fn id(&self, node: i32) -> Result<&str, String> {
        let place = NODES.iter().position(|known| i32::from(*known) == node);
        let broker = place.and_then(|place| self.brokers.get(place));
        let broker = broker.ok_or_else(|| format!("there is no broker {node}"))?;
        Ok(broker.container.get()?.id())
    }
}

impl Broker {
    fn address(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }
}

impl Drop for KafkaCluster {
    fn drop(&mut self) {
        // Threads: the caller may be within a runtime, and each takes its time.
        thread::scope(|scope| {
            for broker in self.brokers.drain(..) {
                scope.spawn(move || drop(broker));
            }
        });
    }
}

fn request(network: &str, node: u16, port: u16) -> ContainerRequest<GenericImage> {
    let name = |node: u16| format!("{network}-{node}");
    let voters = NODES.map(|node| format!("{node}@{}:29093", name(node)));
    let advertised = format!(
        "CONTAINERS://{}:29092,HOST://{}:{port}",
        name(node),
        Ipv4Addr::LOCALHOST
    );
    let request = GenericImage::new(IMAGE, TAG)
        .with_exposed_port(HOST_PORT.tcp())
        .with_wait_for(WaitFor::message_on_stdout("Kafka Server started"))
        .with_network(network)
        // The name that the others find it by.
        .with_container_name(name(node))
        .with_env_var("KAFKA_NODE_ID", node.to_string())
        .with_env_var("KAFKA_CONTROLLER_QUORUM_VOTERS", voters.join(","))
        .with_env_var("KAFKA_ADVERTISED_LISTENERS", advertised)
        // After every start the one that the broker advertises.
        .with_host_config_modifier(move |host| ports::publish(host, &[(HOST_PORT, port)]));
    ENVIRONMENT.iter().fold(request, |request, (key, value)| {
        request.with_env_var(*key, *value)
    })
}
