//! Errors of reading: which of them end the loop, and when one that does not is over.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::Instant;

use super::ConsumerLoop;
use crate::kafka::{BatchHandler, Interruption, LoopError};

/// The broker refused to let the log be read. librdkafka tells each partition's error once and
/// then tries in silence, so that only fetches made afresh tell whether it is over.
pub(super) struct Refused {
    /// When the error came, or the fetches were made afresh.
    at: Instant,
    /// Whether they were, since the last error.
    afresh: bool,
}

impl<H: BatchHandler> ConsumerLoop<H> {
    /// Most errors are news about connections, which librdkafka mends by itself.
    pub(super) fn judge(&mut self, error: &KafkaError) -> Result<(), LoopError> {
        match error.rdkafka_error_code() {
            // It would go on behind the damaged record: the partition has to wait instead.
            Some(
                RDKafkaErrorCode::BadMessage
                | RDKafkaErrorCode::BadCompression
                | RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::NotImplemented,
            ) => Err(LoopError::Fatal(format!(
                "a record of the log cannot be decoded: {error}"
            ))),
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic,
            ) => {
                tracing::warn!(group = self.group, %error, "The log cannot be read.");
                self.health.set_not_ready(error.to_string());
                self.refused = Some(Refused {
                    at: Instant::now(),
                    afresh: false,
                });
                Ok(())
            }
            // The group gives this member's partitions to others; it joins again with this poll.
            Some(RDKafkaErrorCode::PollExceeded) => {
                metrics::counter!("consumer_poll_exceeded_total", "group" => self.group.clone())
                    .increment(1);
                tracing::warn!(group = self.group, %error, "A batch took longer than the poll interval.");
                Ok(())
            }
            _ => {
                tracing::debug!(group = self.group, %error, "The consumer reports an error.");
                Ok(())
            }
        }
    }

    pub(super) fn is_refusal_to_be_tested(&self) -> bool {
        let waited = |refused: &Refused| refused.at.elapsed() >= self.settings.read_again_after;
        self.refused.as_ref().is_some_and(waited)
    }

    /// A refusal is over when fetches made afresh brought no error for long enough. Nothing is in
    /// the batch, so that the progress is where each partition is read next.
    pub(super) async fn test_refusal(&mut self) -> Result<(), Interruption> {
        if self.refused.take_if(|refused| refused.afresh).is_some() {
            return Ok(());
        }
        for (partition, offset) in self.progress.positions() {
            self.seek(partition, offset).await?;
        }
        self.refused = Some(Refused {
            at: Instant::now(),
            // Without a partition nothing is fetched: the next assignment ends it.
            afresh: !self.partitions.is_empty(),
        });
        Ok(())
    }
}
