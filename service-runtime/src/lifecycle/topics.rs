//! The topics, created by a job of its own before any service runs.
//!
//! Services create what is missing by themselves; the job is for deployments that want the topics
//! there first, or whose services may not create any. What exists is left as it is.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::kafka::{KafkaConfig, ensure_all};

/// Bounds of one question to the cluster; shorter ones would fail while a connection is made.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// Makes sure that the log and the dead-letter topics of `groups` are there, and tries again for
/// `timeout` while the cluster does not answer or has too few brokers.
pub(super) async fn create(
    kafka: KafkaConfig,
    groups: BTreeSet<String>,
    timeout: Duration,
) -> anyhow::Result<()> {
    let named: Vec<&str> = groups.iter().map(String::as_str).collect();
    let deadline = Instant::now() + timeout;
    let question = timeout.clamp(SHORTEST, LONGEST);
    let mut told = false;
    loop {
        match ensure_all(&kafka, &named, question).await {
            Ok(partitions) => {
                report(&kafka, &groups, partitions);
                return Ok(());
            }
            Err(error) if !error.may_pass() || Instant::now() + BETWEEN_ATTEMPTS > deadline => {
                return Err(error.into());
            }
            Err(error) if !told => {
                tracing::warn!(%error, "Waiting for the cluster.");
                told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
    }
}

fn report(kafka: &KafkaConfig, groups: &BTreeSet<String>, partitions: i32) {
    let topic = &kafka.topic;
    if partitions != kafka.partitions {
        let wanted = kafka.partitions;
        tracing::warn!(
            topic,
            partitions,
            wanted,
            "The log exists with another number of partitions."
        );
    }
    tracing::info!(topic, partitions, dead_letters_of = ?groups, "All topics are there.");
}
