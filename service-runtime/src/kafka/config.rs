//! Settings of the Kafka clients.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

use crate::config::{Properties, Reader};

/// How group members agree on their partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupProtocol {
    /// The protocol of all Kafka versions, with the cooperative-sticky assignor.
    Classic,
    /// KIP-848, from Kafka 4.0 on.
    Consumer,
}

impl FromStr for GroupProtocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "classic" => Ok(Self::Classic),
            "consumer" => Ok(Self::Consumer),
            other => Err(format!("`{other}` is neither `classic` nor `consumer`")),
        }
    }
}

impl fmt::Display for GroupProtocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        })
    }
}

/// Where the brokers are and how to talk to them.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// `host:port`, comma separated.
    pub bootstrap_servers: String,
    /// Name of this client in the broker's logs and quotas.
    pub client_id: String,
    /// The topic that is the log.
    pub topic: String,
    /// Partitions of the topics when they are created; never changed afterwards (rule R4).
    pub partitions: i32,
    /// Replicas of the topics when they are created.
    pub replication: i32,
    /// Whether missing topics are created at start.
    pub create_topics: bool,
    /// Classic groups or KIP-848.
    pub group_protocol: GroupProtocol,
    /// Static membership; needs a name that is stable and unique per instance.
    pub group_instance_id: Option<String>,
    /// A member that is silent for so long loses its partitions (classic protocol).
    pub session_timeout: Duration,
    /// How long a broker may hold an empty fetch back.
    pub fetch_wait_max: Duration,
    /// How long an append may take until its result counts as unknown.
    pub delivery_timeout: Duration,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security_protocol: String,
    /// `PLAIN`, `SCRAM-SHA-256`, …
    pub sasl_mechanism: Option<String>,
    /// SASL user.
    pub sasl_username: Option<String>,
    /// SASL password.
    pub sasl_password: Option<SecretString>,
    /// File or folder of trusted certificates.
    pub ssl_ca_location: Option<String>,
    /// Further librdkafka settings, passed through.
    pub extra: Properties,
}

impl KafkaConfig {
    /// The defaults for `bootstrap_servers`.
    #[must_use]
    pub fn for_bootstrap(bootstrap_servers: &str, client_id: &str) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
            client_id: client_id.to_owned(),
            topic: "orders".to_owned(),
            partitions: 3,
            replication: 1,
            create_topics: true,
            group_protocol: GroupProtocol::Classic,
            group_instance_id: None,
            session_timeout: Duration::from_secs(45),
            fetch_wait_max: Duration::from_millis(500),
            delivery_timeout: Duration::from_secs(10),
            security_protocol: "plaintext".to_owned(),
            sasl_mechanism: None,
            sasl_username: None,
            sasl_password: None,
            ssl_ca_location: None,
            extra: Properties::default(),
        }
    }

    /// Reads the settings named `KAFKA_…`; `client_id` is the service's name.
    pub fn read(reader: &mut Reader, client_id: &str) -> Self {
        let default = Self::for_bootstrap("127.0.0.1:9092", client_id);
        Self {
            bootstrap_servers: reader.get(
                "KAFKA_BOOTSTRAP_SERVERS",
                default.bootstrap_servers,
                "brokers to start from, host:port, comma separated",
            ),
            client_id: reader.get(
                "KAFKA_CLIENT_ID",
                default.client_id,
                "name of this client in the broker's logs and quotas",
            ),
            topic: reader.get("KAFKA_TOPIC", default.topic, "the topic that is the log"),
            partitions: reader.get_in(
                "KAFKA_TOPIC_PARTITIONS",
                default.partitions,
                1..=10_000,
                "partitions when topics are created; an existing topic's count must not change",
            ),
            replication: reader.get_in(
                "KAFKA_TOPIC_REPLICATION",
                default.replication,
                1..=100,
                "replicas when topics are created; 3 or more also sets min.insync.replicas=2",
            ),
            create_topics: reader.get(
                "KAFKA_CREATE_TOPICS",
                default.create_topics,
                "create missing topics at start",
            ),
            group_protocol: reader.get(
                "KAFKA_GROUP_PROTOCOL",
                default.group_protocol,
                "classic, or consumer for KIP-848 (Kafka 4.0 and later)",
            ),
            group_instance_id: reader.optional(
                "KAFKA_GROUP_INSTANCE_ID",
                "static membership: a stable name, unique per instance",
            ),
            session_timeout: reader.duration(
                "KAFKA_SESSION_TIMEOUT",
                default.session_timeout,
                "a silent member loses its partitions after this (classic protocol)",
            ),
            fetch_wait_max: reader.duration(
                "KAFKA_FETCH_WAIT_MAX",
                default.fetch_wait_max,
                "how long a broker may hold an empty fetch back",
            ),
            delivery_timeout: reader.duration(
                "KAFKA_DELIVERY_TIMEOUT",
                default.delivery_timeout,
                "how long an append may take until its result counts as unknown",
            ),
            security_protocol: security_protocol(reader),
            sasl_mechanism: reader.optional(
                "KAFKA_SASL_MECHANISM",
                "PLAIN; SCRAM-* and TLS need a build with the `kafka-tls` feature",
            ),
            sasl_username: reader.optional("KAFKA_SASL_USERNAME", "SASL user"),
            sasl_password: reader.secret("KAFKA_SASL_PASSWORD", "SASL password"),
            ssl_ca_location: reader.optional(
                "KAFKA_SSL_CA_LOCATION",
                "file or folder of trusted certificates",
            ),
            extra: reader.pairs(
                "KAFKA_EXTRA",
                "further librdkafka settings, key=value, comma separated; in a file of KAFKA_EXTRA_FILE one a line",
            ),
        }
    }
}

fn security_protocol(reader: &mut Reader) -> String {
    const NAME: &str = "KAFKA_SECURITY_PROTOCOL";
    let value: String = reader.get(
        NAME,
        "plaintext".to_owned(),
        "plaintext, ssl, sasl_plaintext or sasl_ssl",
    );
    let value = value.to_ascii_lowercase();
    if !["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"].contains(&value.as_str()) {
        reader.problem(
            NAME,
            format!("`{value}` is none of plaintext, ssl, sasl_plaintext, sasl_ssl"),
        );
    }
    value
}
