//! The only place that builds librdkafka configurations.
//!
//! Order matters: our defaults, then the user's pass-through settings, then the settings that
//! the guarantees need, so that no configuration can switch those off.

#![allow(clippy::disallowed_methods)] // this is the one place that may call them

use std::time::Duration;

use rdkafka::ClientConfig;
use secrecy::ExposeSecret;

use super::config::{GroupProtocol, KafkaConfig};

/// Defaults that a pass-through setting may change.
const CONSUMER_DEFAULTS: &[(&str, &str)] = &[
    // Work of a batch, with every retry in it, stays far below this.
    ("max.poll.interval.ms", "300000"),
    // Commits what was stored; a shorter interval means fewer repeats after a kill.
    ("auto.commit.interval.ms", "1000"),
    // The default of 1000 stalls a consumer whenever its local queue was full.
    ("fetch.queue.backoff.ms", "10"),
    // The default of 64 MiB per consumer is more than a whole service should take.
    ("queued.max.messages.kbytes", "8192"),
    // An idle connection that is closed is no news.
    ("log.connection.close", "false"),
];

/// What the guarantees need; nothing overrides these.
const CONSUMER_REQUIRED: &[(&str, &str)] = &[
    // Offsets are stored by the loop after the work is durable and published (invariant 7).
    ("enable.auto.offset.store", "false"),
    // librdkafka commits what was stored, also on revoke and close, and reports failures.
    ("enable.auto.commit", "true"),
    // A new group, or one whose offsets expired, must not skip orders (the default is `latest`).
    ("auto.offset.reset", "earliest"),
    // A consumer never creates the topic with the broker's defaults.
    ("allow.auto.create.topics", "false"),
    // The loop knows no such event; without it a caught-up partition is simply silent.
    ("enable.partition.eof", "false"),
    // A damaged record is an error, not an order.
    ("check.crcs", "true"),
];

const PRODUCER_DEFAULTS: &[(&str, &str)] = &[
    // A sparse request leaves at once; under load batches form behind the requests in flight.
    ("linger.ms", "1"),
    ("compression.type", "lz4"),
    // Bounded queues turn a dead broker into 503, not into memory (the default is 1 GiB).
    ("queue.buffering.max.messages", "20000"),
    ("queue.buffering.max.kbytes", "32768"),
    ("log.connection.close", "false"),
];

const PRODUCER_REQUIRED: &[(&str, &str)] = &[
    // Retries inside librdkafka neither repeat nor reorder records.
    ("enable.idempotence", "true"),
    // A 2xx means every in-sync replica has the record (invariant 1).
    ("acks", "all"),
    // Java's partitioner: the home partition of an order is the same for every client.
    ("partitioner", "murmur2_random"),
    // A dead letter is the record with our headers on top, and this limit is on what the log
    // accepted compressed: `LARGEST_DEAD_LETTER`.
    ("message.max.bytes", "16777216"),
    ("allow.auto.create.topics", "false"),
];

/// Members learn by a heartbeat's answer that the group rebalances. Until the last one knows, the
/// partitions that move are read by nobody.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(3);

/// Configuration of a consumer in group `group`.
#[must_use]
pub fn consumer(config: &KafkaConfig, group: &str) -> ClientConfig {
    let mut client = common(config);
    set_all(&mut client, CONSUMER_DEFAULTS);
    client.set(
        "fetch.wait.max.ms",
        config.fetch_wait_max.as_millis().to_string(),
    );
    match config.group_protocol {
        GroupProtocol::Classic => {
            // A rebalance takes only the partitions that move.
            client.set("partition.assignment.strategy", "cooperative-sticky");
            let session = config.session_timeout.as_millis();
            client.set("session.timeout.ms", session.to_string());
            let heartbeat = (session / 3).clamp(1, LONGEST_HEARTBEAT.as_millis());
            client.set("heartbeat.interval.ms", heartbeat.to_string());
        }
        GroupProtocol::Consumer => {
            client.set("group.protocol", "consumer");
        }
    }
    if let Some(instance) = &config.group_instance_id {
        client.set("group.instance.id", format!("{group}-{instance}"));
    }
    pass_through(&mut client, config);
    client.set("group.id", group);
    set_all(&mut client, CONSUMER_REQUIRED);
    if config.group_protocol == GroupProtocol::Consumer {
        // librdkafka refuses to start when a key of the classic protocol is set beside KIP-848.
        for key in [
            "partition.assignment.strategy",
            "session.timeout.ms",
            "heartbeat.interval.ms",
            "group.protocol.type",
        ] {
            client.remove(key);
        }
    }
    client
}

/// Configuration of the producer of a service.
#[must_use]
pub fn producer(config: &KafkaConfig) -> ClientConfig {
    let mut client = common(config);
    set_all(&mut client, PRODUCER_DEFAULTS);
    pass_through(&mut client, config);
    set_all(&mut client, PRODUCER_REQUIRED);
    // An alias of the next setting: of two values librdkafka would take either.
    client.remove("message.timeout.ms");
    // Transactions would fence the other instances of a service.
    client.remove("transactional.id");
    // Bounds the wait for an ack: below the HTTP request timeout, checked at start.
    client.set(
        "delivery.timeout.ms",
        config.delivery_timeout.as_millis().to_string(),
    );
    client
}

/// Configuration of an admin client.
#[must_use]
pub fn admin(config: &KafkaConfig) -> ClientConfig {
    let mut client = common(config);
    pass_through(&mut client, config);
    client
}

#[expect(
    clippy::disallowed_methods,
    reason = "every client of the workspace is built from here"
)]
fn common(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.bootstrap_servers);
    client.set("client.id", &config.client_id);
    client.set("security.protocol", &config.security_protocol);
    if let Some(mechanism) = &config.sasl_mechanism {
        client.set("sasl.mechanism", mechanism);
    }
    if let Some(username) = &config.sasl_username {
        client.set("sasl.username", username);
    }
    if let Some(password) = &config.sasl_password {
        client.set("sasl.password", password.expose_secret());
    }
    if let Some(location) = &config.ssl_ca_location {
        client.set("ssl.ca.location", location);
    }
    client
}

/// Settings for consumers only or producers only are dropped by librdkafka with a warning.
fn pass_through(client: &mut ClientConfig, config: &KafkaConfig) {
    for (key, value) in config.extra.iter() {
        client.set(key, value);
    }
}

fn set_all(client: &mut ClientConfig, settings: &[(&str, &str)]) {
    for (key, value) in settings {
        client.set(*key, *value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_with(extra: &[(&str, &str)]) -> KafkaConfig {
        let mut config = KafkaConfig::for_bootstrap("127.0.0.1:9092", "test");
        for (key, value) in extra {
            config.extra.insert(*key, *value);
        }
        config
    }

    #[test]
    fn a_pass_through_setting_changes_a_default() {
        let client = producer(&config_with(&[("linger.ms", "50")]));
        assert_eq!(client.get("linger.ms"), Some("50"));
    }

    #[test]
    fn no_pass_through_setting_changes_what_the_guarantees_need() {
        let config = config_with(&[
            ("enable.auto.offset.store", "true"),
            ("auto.offset.reset", "latest"),
            ("acks", "1"),
            ("enable.idempotence", "false"),
            ("partitioner", "random"),
            ("group.id", "other"),
            ("message.timeout.ms", "1"),
            ("transactional.id", "mine"),
        ]);
        let consumer = consumer(&config, "stock");
        assert_eq!(consumer.get("enable.auto.offset.store"), Some("false"));
        assert_eq!(consumer.get("auto.offset.reset"), Some("earliest"));
        assert_eq!(consumer.get("group.id"), Some("stock"));
        let producer = producer(&config);
        assert_eq!(producer.get("acks"), Some("all"));
        assert_eq!(producer.get("enable.idempotence"), Some("true"));
        assert_eq!(producer.get("partitioner"), Some("murmur2_random"));
        assert_eq!(producer.get("message.timeout.ms"), None);
        assert_eq!(producer.get("transactional.id"), None);
    }

    #[test]
    fn a_rebalance_is_noticed_within_seconds_however_long_the_session() {
        for (session, heartbeat) in [(45_000, "3000"), (6_000, "2000"), (1, "1")] {
            let mut config = config_with(&[]);
            config.session_timeout = Duration::from_millis(session);
            let client = consumer(&config, "stock");
            assert_eq!(client.get("heartbeat.interval.ms"), Some(heartbeat));
        }
    }

    #[test]
    fn the_new_group_protocol_has_none_of_the_classic_keys() {
        let mut config = config_with(&[("session.timeout.ms", "6000")]);
        config.group_protocol = GroupProtocol::Consumer;
        let client = consumer(&config, "stock");
        assert_eq!(client.get("group.protocol"), Some("consumer"));
        assert_eq!(client.get("session.timeout.ms"), None);
        assert_eq!(client.get("partition.assignment.strategy"), None);
    }

    #[test]
    fn sasl_and_tls_settings_reach_the_client_and_the_password_stays_out_of_debug() {
        let mut config = config_with(&[]);
        config.security_protocol = "sasl_ssl".to_owned();
        config.sasl_mechanism = Some("SCRAM-SHA-512".to_owned());
        config.sasl_username = Some("orders".to_owned());
        config.sasl_password = Some("canary-password".into());
        config.ssl_ca_location = Some("/etc/ca.pem".to_owned());
        let client = producer(&config);
        assert_eq!(client.get("security.protocol"), Some("sasl_ssl"));
        assert_eq!(client.get("sasl.mechanism"), Some("SCRAM-SHA-512"));
        assert_eq!(client.get("sasl.password"), Some("canary-password"));
        assert_eq!(client.get("ssl.ca.location"), Some("/etc/ca.pem"));
        assert!(!format!("{config:?} {client:?}").contains("canary-password"));
    }

    #[test]
    fn the_delivery_timeout_bounds_the_wait_for_an_ack() {
        let mut config = config_with(&[("delivery.timeout.ms", "300000")]);
        config.delivery_timeout = Duration::from_secs(8);
        assert_eq!(producer(&config).get("delivery.timeout.ms"), Some("8000"));
    }
}
