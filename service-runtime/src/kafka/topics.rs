//! Topics with explicit settings, and what the cluster says of them.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::producer::Producer;

use super::config::KafkaConfig;
use super::{KafkaProducer, client};

/// Bytes of the largest record that a dead-letter topic takes: what the producer takes, and room
/// for headers and framing.
const LARGEST_DEAD_LETTER: u32 = (16 + 1) * 1024 * 1024;

/// A topic that has to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Partitions.
    pub partitions: i32,
    /// Replicas of each partition.
    pub replication: i32,
    /// Largest record in bytes; `None` leaves the broker's setting.
    pub max_message_bytes: Option<u32>,
}

impl TopicSpec {
    /// The log itself, as `config` describes it.
    #[must_use]
    pub fn log(config: &KafkaConfig) -> Self {
        Self {
            name: config.topic.clone(),
            partitions: config.partitions,
            replication: config.replication,
            max_message_bytes: None,
        }
    }

    /// The dead-letter topic of `group`, with room for records that were compressed and for the
    /// added headers.
    #[must_use]
    pub fn dead_letters(config: &KafkaConfig, group: &str, partitions: i32) -> Self {
        Self {
            name: super::dead_letter_topic(&config.topic, group),
            partitions,
            max_message_bytes: Some(LARGEST_DEAD_LETTER),
            ..Self::log(config)
        }
    }

    /// Topic settings that are always explicit.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let in_sync = if self.replication >= 3 { 2 } else { 1 };
        let mut settings = vec![
            ("cleanup.policy", "delete".to_owned()),
            // The log is the truth: it is kept for ever.
            ("retention.ms", "-1".to_owned()),
            ("retention.bytes", "-1".to_owned()),
            ("min.insync.replicas", in_sync.to_string()),
        ];
        if let Some(bytes) = self.max_message_bytes {
            settings.push(("max.message.bytes", bytes.to_string()));
        }
        settings
    }
}

/// Why topics are not as they have to be.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The client could not be made, or the cluster does not answer.
    #[error("the cluster does not answer: {0}")]
    Kafka(#[from] KafkaError),
    /// The broker refused to create the topic.
    #[error("topic {topic} cannot be created: {code}")]
    Refused {
        /// Name of the topic.
        topic: String,
        /// The broker's error.
        code: RDKafkaErrorCode,
    },
    /// The topic is not there and must not be created.
    #[error("topic {0} does not exist")]
    Missing(String),
}

impl TopicError {
    /// Whether waiting may help: for brokers that are still to come, or for metadata that is not
    /// everywhere yet.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Kafka(_) | Self::Missing(_) => true,
            Self::Refused { code, .. } => matches!(
                code,
                RDKafkaErrorCode::InvalidReplicationFactor
                    | RDKafkaErrorCode::NotController
                    | RDKafkaErrorCode::RequestTimedOut
                    | RDKafkaErrorCode::OperationTimedOut
            ),
        }
    }
}

/// Creates those of `topics` that are missing; existing ones are left as they are.
///
/// # Errors
/// No answer within `timeout`, or a refusal.
pub async fn ensure_topics(
    config: &KafkaConfig,
    topics: &[TopicSpec],
    timeout: Duration,
) -> Result<(), TopicError> {
    let admin: AdminClient<DefaultClientContext> = client::admin(config).create()?;
    let settings: Vec<_> = topics.iter().map(TopicSpec::settings).collect();
    let wanted: Vec<NewTopic<'_>> = topics
        .iter()
        .zip(&settings)
        .map(|(topic, settings)| {
            let new = NewTopic::new(
                &topic.name,
                topic.partitions,
                TopicReplication::Fixed(topic.replication),
            );
            settings
                .iter()
                .fold(new, |new, (key, value)| new.set(key, value))
        })
        .collect();
    let options = AdminOptions::new()
        .request_timeout(Some(timeout))
        .operation_timeout(Some(timeout));
    for result in admin.create_topics(&wanted, &options).await? {
        match result {
            Ok(topic) => tracing::info!(topic, "Topic created."),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(TopicError::Refused { topic, code }),
        }
    }
    Ok(())
}

/// Creates the log and the dead-letter topics of `groups` where they are missing; returns how many
/// partitions the log has, and so each dead-letter topic that is new.
///
/// # Errors
/// No answer within `timeout` to one of the questions, or a refusal.
pub async fn ensure_all(
    config: &KafkaConfig,
    groups: &[&str],
    timeout: Duration,
) -> Result<i32, TopicError> {
    ensure_topics(config, &[TopicSpec::log(config)], timeout).await?;
    let admin: AdminClient<DefaultClientContext> = client::admin(config).create()?;
    let topic = config.topic.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let metadata = admin.inner().fetch_metadata(Some(&topic), timeout)?;
        partitions_in(&metadata, &topic)
    });
    let partitions = asked.await.map_err(|_| KafkaError::Canceled)??;
    let letters: Vec<_> = groups
        .iter()
        .map(|group| TopicSpec::dead_letters(config, group, partitions))
        .collect();
    if !letters.is_empty() {
        ensure_topics(config, &letters, timeout).await?;
    }
    Ok(partitions)
}

/// The number of partitions of `topic`.
///
/// # Errors
/// No answer within `timeout`, or no such topic.
pub async fn partition_count(
    producer: &KafkaProducer,
    topic: &str,
    timeout: Duration,
) -> Result<i32, TopicError> {
    let (producer, name) = (producer.client(), topic.to_owned());
    let asked =
        tokio::task::spawn_blocking(move || producer.client().fetch_metadata(Some(&name), timeout));
    let metadata = asked.await.unwrap_or(Err(KafkaError::Canceled))?;
    partitions_in(&metadata, topic)
}

fn partitions_in(metadata: &Metadata, topic: &str) -> Result<i32, TopicError> {
    let partitions = metadata
        .topics()
        .iter()
        .find(|found| found.name() == topic && found.error().is_none())
        .map_or(0, |found| found.partitions().len());
    match i32::try_from(partitions) {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(TopicError::Missing(topic.to_owned())),
    }
}

/// The cluster's id, which tells one cluster's offsets from another's.
///
/// # Errors
/// No answer within `timeout`.
pub async fn cluster_id(producer: &KafkaProducer, timeout: Duration) -> Result<String, TopicError> {
    let producer = producer.client();
    let asked =
        tokio::task::spawn_blocking(move || producer.client().fetch_cluster_id(timeout)).await;
    asked
        .ok()
        .flatten()
        .ok_or(TopicError::Kafka(KafkaError::Canceled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_brokers_may_pass_and_a_refusal_for_good_does_not() {
        let refused = |code| TopicError::Refused {
            topic: "orders".to_owned(),
            code,
        };
        assert!(refused(RDKafkaErrorCode::InvalidReplicationFactor).may_pass());
        assert!(TopicError::Kafka(KafkaError::Canceled).may_pass());
        assert!(TopicError::Missing("orders".to_owned()).may_pass());
        assert!(!refused(RDKafkaErrorCode::TopicAuthorizationFailed).may_pass());
        assert!(!refused(RDKafkaErrorCode::PolicyViolation).may_pass());
    }

    #[test]
    fn three_replicas_ask_for_two_in_sync_and_one_for_itself() {
        for (replication, in_sync) in [(1, "1"), (2, "1"), (3, "2")] {
            let mut config = KafkaConfig::for_bootstrap("127.0.0.1:1", "test");
            config.replication = replication;
            for topic in [
                TopicSpec::log(&config),
                TopicSpec::dead_letters(&config, "stock", 3),
            ] {
                let wanted = ("min.insync.replicas", in_sync.to_owned());
                assert!(topic.settings().contains(&wanted), "{topic:?}");
            }
        }
    }
}
