//! Dead letters: records that cannot have their effect, kept with their original bytes.
//!
//! The headers are Spring Kafka's (`kafka_dlt-*`, numbers as big-endian integers), so that the
//! tools of that world read them. The error text is capped and never holds payload data.

use std::sync::Arc;

use super::{EventProducer, NewRecord, ProduceError, Record};
use crate::fault;

/// Longest error text in a header, in bytes.
const MAX_ERROR_BYTES: usize = 1024;

/// Names of Spring's dead-letter headers.
pub mod dlt {
    /// Topic the record was read from.
    pub const ORIGINAL_TOPIC: &str = "kafka_dlt-original-topic";
    /// Its partition, 4 bytes big-endian.
    pub const ORIGINAL_PARTITION: &str = "kafka_dlt-original-partition";
    /// Its offset, 8 bytes big-endian.
    pub const ORIGINAL_OFFSET: &str = "kafka_dlt-original-offset";
    /// Its timestamp in epoch milliseconds, 8 bytes big-endian.
    pub const ORIGINAL_TIMESTAMP: &str = "kafka_dlt-original-timestamp";
    /// The group that could not handle it.
    pub const ORIGINAL_CONSUMER_GROUP: &str = "kafka_dlt-original-consumer-group";
    /// Stable code of the cause.
    pub const EXCEPTION_FQCN: &str = "kafka_dlt-exception-fqcn";
    /// What was wrong, in words.
    pub const EXCEPTION_MESSAGE: &str = "kafka_dlt-exception-message";

    /// All of them.
    pub const ALL: [&str; 7] = [
        ORIGINAL_TOPIC,
        ORIGINAL_PARTITION,
        ORIGINAL_OFFSET,
        ORIGINAL_TIMESTAMP,
        ORIGINAL_CONSUMER_GROUP,
        EXCEPTION_FQCN,
        EXCEPTION_MESSAGE,
    ];
}

/// The dead-letter topic of `group` for `topic`.
#[must_use]
pub fn dead_letter_topic(topic: &str, group: &str) -> String {
    format!("{topic}.{group}.dlt")
}

/// A record and why it is dead.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// The record.
    pub record: &'a Record,
    /// Stable word for tools.
    pub code: &'a str,
    /// What was wrong, without payload data.
    pub reason: &'a str,
}

/// Writes the dead letters of one group.
pub struct DeadLetters {
    producer: Arc<dyn EventProducer>,
    topic: String,
    group: String,
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "DeadLetters({} of {})", self.group, self.topic)
    }
}

impl DeadLetters {
    /// Dead letters of `group`, which reads `topic`.
    #[must_use]
    pub fn new(producer: Arc<dyn EventProducer>, topic: &str, group: &str) -> Self {
        Self {
            producer,
            topic: topic.to_owned(),
            group: group.to_owned(),
        }
    }

    /// Appends `letters` to the dead-letter topic and waits for every acknowledgement.
    ///
    /// # Errors
    /// The broker did not acknowledge: the caller must not move past the records.
    pub async fn publish(&self, letters: &[Letter<'_>]) -> Result<(), ProduceError> {
        if letters.is_empty() {
            return Ok(());
        }
        fault::point("dead_letter.before");
        let mut deliveries = Vec::with_capacity(letters.len());
        for letter in letters {
            let enqueued = self.producer.enqueue(&self.record(letter));
            deliveries.push(enqueued.map_err(|error| about(letter, error))?);
        }
        fault::point("dead_letter.enqueued");
        for (letter, delivery) in letters.iter().zip(deliveries) {
            let delivered = delivery.await.map_err(|error| about(letter, error))?;
            self.tell(letter, delivered.offset);
        }
        fault::point("dead_letter.after");
        Ok(())
    }

    fn tell(&self, letter: &Letter<'_>, offset: i64) {
        metrics::counter!(
            "dead_letters_total", "group" => self.group.clone(), "code" => letter.code.to_owned()
        )
        .increment(1);
        tracing::warn!(
            group = self.group,
            partition = letter.record.partition,
            offset = letter.record.offset,
            code = letter.code,
            reason = letter.reason,
            dead_letter_offset = offset,
            "Record dead-lettered."
        );
    }

    fn record(&self, letter: &Letter<'_>) -> NewRecord {
        let record = letter.record;
        let timestamp = record.timestamp.unwrap_or(-1);
        let added: [(&str, Vec<u8>); 7] = [
            (dlt::ORIGINAL_TOPIC, self.topic.as_bytes().to_vec()),
            (
                dlt::ORIGINAL_PARTITION,
                record.partition.to_be_bytes().to_vec(),
            ),
            (dlt::ORIGINAL_OFFSET, record.offset.to_be_bytes().to_vec()),
            (dlt::ORIGINAL_TIMESTAMP, timestamp.to_be_bytes().to_vec()),
            (dlt::ORIGINAL_CONSUMER_GROUP, self.group.as_bytes().to_vec()),
            (dlt::EXCEPTION_FQCN, letter.code.as_bytes().to_vec()),
            (
                dlt::EXCEPTION_MESSAGE,
                capped(letter.reason, MAX_ERROR_BYTES).as_bytes().to_vec(),
            ),
        ];
        // A record that was redriven and failed again carries our headers already: replace them.
        let kept = record
            .headers
            .iter()
            .filter(|(name, _)| !added.iter().any(|(ours, _)| ours == name))
            .cloned();
        NewRecord {
            topic: dead_letter_topic(&self.topic, &self.group),
            // Its origin is in the headers; this topic may have another number of partitions.
            partition: None,
            key: record.key.clone(),
            headers: kept
                .chain(
                    added
                        .iter()
                        .map(|(name, value)| ((*name).to_owned(), value.clone())),
                )
                .collect(),
            value: record.value.clone(),
        }
    }
}

/// A refusal holds its partition up until somebody does something about it, so it says what is
/// refused.
fn about(letter: &Letter<'_>, error: ProduceError) -> ProduceError {
    let ProduceError::Refused(reason) = error else {
        return error;
    };
    let Record {
        partition,
        offset,
        value,
        ..
    } = letter.record;
    let bytes = value.as_ref().map_or(0, Vec::len);
    ProduceError::Refused(format!(
        "the dead letter of the record {partition}@{offset}, {bytes} bytes: {reason}"
    ))
}

/// `text` cut to at most `limit` bytes at a character's border.
fn capped(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::kafka::{Delivered, Delivery};

    #[derive(Default)]
    struct Sink(Mutex<Vec<NewRecord>>, Option<ProduceError>);

    impl EventProducer for Sink {
        fn enqueue(&self, record: &NewRecord) -> Result<Delivery, ProduceError> {
            if let Some(error) = &self.1 {
                return Err(error.clone());
            }
            self.0.lock().unwrap().push(record.clone());
            let partition = record.partition.unwrap_or(0);
            Ok(Box::pin(async move {
                Ok(Delivered {
                    partition,
                    offset: 0,
                })
            }))
        }
    }

    fn poison() -> Record {
        Record {
            partition: 2,
            offset: 77,
            timestamp: Some(1_700_000_000_123),
            key: Some(b"key".to_vec()),
            headers: vec![
                ("mine".to_owned(), b"kept".to_vec()),
                (dlt::EXCEPTION_MESSAGE.to_owned(), b"old".to_vec()),
            ],
            value: Some(b"\xff garbage \0".to_vec()),
        }
    }

    #[tokio::test]
    async fn a_dead_letter_has_the_original_bytes_and_springs_headers() {
        let sink = Arc::new(Sink::default());
        let letters = DeadLetters::new(sink.clone(), "orders", "stock");
        let record = poison();
        let letter = Letter {
            record: &record,
            code: "undecodable",
            reason: "not JSON",
        };
        letters.publish(&[letter]).await.unwrap();
        let sent = sink.0.lock().unwrap().remove(0);
        assert_eq!(sent.topic, "orders.stock.dlt");
        assert_eq!(sent.partition, None);
        assert_eq!(sent.key, poison().key);
        assert_eq!(sent.value, poison().value);
        let expected: Vec<(String, Vec<u8>)> = [
            ("mine", b"kept".to_vec()),
            ("kafka_dlt-original-topic", b"orders".to_vec()),
            ("kafka_dlt-original-partition", vec![0, 0, 0, 2]),
            ("kafka_dlt-original-offset", vec![0, 0, 0, 0, 0, 0, 0, 77]),
            (
                "kafka_dlt-original-timestamp",
                1_700_000_000_123_i64.to_be_bytes().to_vec(),
            ),
            ("kafka_dlt-original-consumer-group", b"stock".to_vec()),
            ("kafka_dlt-exception-fqcn", b"undecodable".to_vec()),
            ("kafka_dlt-exception-message", b"not JSON".to_vec()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        assert_eq!(sent.headers, expected);
    }

    #[tokio::test]
    async fn a_refusal_says_which_record_is_held_up_by_it() {
        let refusal = ProduceError::Refused("message too large".to_owned());
        let sink = Arc::new(Sink(Mutex::default(), Some(refusal)));
        let letters = DeadLetters::new(sink, "orders", "stock");
        let record = poison();
        let letter = Letter {
            record: &record,
            code: "undecodable",
            reason: "not JSON",
        };
        let error = letters.publish(&[letter]).await.unwrap_err().to_string();
        assert!(
            error.contains("record 2@77, 11 bytes: message too large"),
            "{error}"
        );
        assert!(!error.contains("garbage"), "{error}");
    }

    #[test]
    fn an_error_text_is_cut_at_a_character_border() {
        assert_eq!(capped("short", 10), "short");
        assert_eq!(capped("aéé", 4), "aé");
    }
}
