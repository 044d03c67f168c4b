//! Reads a topic from given offsets up to given offsets, apart from any group, as one sequence.
//!
//! The partitions are put side by side by the time of their records, each in its own order whatever its clocks
//! said, so that a replay comes to the same result every time. What was read too far is kept for the next call.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::log_reader::{ReadError, may_pass};
use super::{KafkaConfig, PartitionId, Record, client};

/// Records that are kept ahead, all partitions together, before those with many wait for those with none.
const AHEAD: usize = 50_000;
const POLL: Duration = Duration::from_millis(20);

/// Offsets by partition: in each the next one.
pub type Offsets = BTreeMap<PartitionId, i64>;

/// A source of records for a replay.
pub trait ReplaySource: Send + Sync {
    /// The next records before `until`, at most `max`; fewer when they do not come within `patience`, and none once
    /// all partitions are there.
    ///
    /// To be awaited to its end: records of a call that was dropped are lost, and the source with them.
    fn next(
        &mut self,
        until: &Offsets,
        max: usize,
        patience: Duration,
    ) -> impl Future<Output = Result<Vec<Record>, ReadError>> + Send;

    /// How many offsets before `until` were not handed out yet; 0 once all partitions are there.
    fn remaining(&self, until: &Offsets) -> u64;
}

/// Reads from a broker.
#[allow(missing_debug_implementations)] // the client has none
pub struct LogReplay(Option<Reader>);

struct Reader {
    consumer: BaseConsumer,
    topic: String,
    partitions: BTreeMap<PartitionId, Ahead>,
    ahead_limit: usize,
}

/// One partition.
struct Ahead {
    /// Offset that is handed out next.
    next: i64,
    /// With the latest time up to each.
    records: VecDeque<(i64, Record)>,
    latest: i64,
    paused: bool,
}

impl LogReplay {
    /// Reads `topic` from `from`. Offsets that the log does not have any more are an error when they are read.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn open(config: &KafkaConfig, topic: &str, from: &Offsets) -> Result<Self, ReadError> {
        let mut settings = client::consumer(config, &format!("replay-{}", uuid::Uuid::new_v4()));
        // It only assigns, so there is no group to commit for.
        settings.set("enable.auto.commit", "false");
        // Nothing may be passed over in silence.
        settings.set("auto.offset.reset", "error");
        let consumer: BaseConsumer = settings.create()?;
        let mut assignment = TopicPartitionList::new();
        for (partition, offset) in from {
            assignment.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        consumer.assign(&assignment)?;
        Ok(Self(Some(Reader {
            consumer,
            topic: topic.to_owned(),
            partitions: from
                .iter()
                .map(|(partition, offset)| (*partition, Ahead::from(*offset)))
                .collect(),
            ahead_limit: AHEAD / from.len().max(1),
        })))
    }
}

impl ReplaySource for LogReplay {
    async fn next(
        &mut self,
        until: &Offsets,
        max: usize,
        patience: Duration,
    ) -> Result<Vec<Record>, ReadError> {
        let mut reader = self.0.take().ok_or(ReadError::CutOff)?;
        let until = until.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let records = reader.next(&until, max, patience);
            (reader, records)
        });
        let (reader, records) = reading.await.map_err(|_| ReadError::CutOff)?;
        self.0 = Some(reader);
        records
    }

    fn remaining(&self, until: &Offsets) -> u64 {
        self.0.as_ref().map_or(u64::MAX, |reader| {
            let partitions = reader.partitions_before(until);
            partitions.map(|(_, _, left)| left).sum()
        })
    }
}

impl Reader {
    fn next(
        &mut self,
        until: &Offsets,
        max: usize,
        patience: Duration,
    ) -> Result<Vec<Record>, ReadError> {
        let deadline = Instant::now() + patience;
        let mut records = Vec::new();
        while records.len() < max {
            match self.take_earliest(until) {
                Some(record) => records.push(record),
                None if self.partitions_before(until).next().is_none() => break,
                None if Instant::now() >= deadline => break,
                None => self.read_more()?,
            }
        }
        Ok(records)
    }

    /// Partitions that have more to hand out before `until`, as far as is known, and how many offsets.
    fn partitions_before(
        &self,
        until: &Offsets,
    ) -> impl Iterator<Item = (PartitionId, &Ahead, u64)> {
        self.partitions.iter().filter_map(move |(id, ahead)| {
            let next = ahead.records.front().map(|(_, record)| record.offset);
            let left = *until.get(id)? - next.unwrap_or(ahead.next);
            let left = u64::try_from(left).ok().filter(|left| *left > 0)?;
            Some((*id, ahead, left))
        })
    }

    /// The earliest record before `until`; `None` when a partition that may have an earlier one is not read yet.
    fn take_earliest(&mut self, until: &Offsets) -> Option<Record> {
        let mut earliest = None;
        for (partition, ahead, _) in self.partitions_before(until) {
            let (time, _) = ahead.records.front()?;
            if earliest.is_none_or(|(known, _)| *time < known) {
                earliest = Some((*time, partition));
            }
        }
        let ahead = self.partitions.get_mut(&earliest?.1)?;
        let (_, record) = ahead.records.pop_front()?;
        ahead.next = record.offset + 1;
        Some(record)
    }

    fn read_more(&mut self) -> Result<(), ReadError> {
        // Before every poll: one that waits gives nothing.
        self.balance()?;
        let message = match self.consumer.poll(POLL) {
            None => return Ok(()),
            Some(Ok(message)) => Record::from(&message),
            Some(Err(error)) if may_pass(&error) => return Ok(()),
            Some(Err(error)) if is_deleted(&error) => return Err(ReadError::Deleted),
            Some(Err(error)) => return Err(error.into()),
        };
        let partition = message.partition;
        if let Some(ahead) = self.partitions.get_mut(&partition) {
            ahead.push(message);
        }
        Ok(())
    }

    /// Partitions that are far ahead wait while others have nothing.
    fn balance(&mut self) -> Result<(), ReadError> {
        let limit = self.ahead_limit;
        for (partition, ahead) in &mut self.partitions {
            let pause = match ahead.records.len() {
                many if many > limit => true,
                few if few < limit / 4 => false,
                _ => continue,
            };
            if pause != ahead.paused {
                let mut named = TopicPartitionList::new();
                named.add_partition(&self.topic, *partition);
                match pause {
                    true => self.consumer.pause(&named)?,
                    false => self.consumer.resume(&named)?,
                }
                ahead.paused = pause;
            }
        }
        Ok(())
    }
}

impl Ahead {
    fn from(offset: i64) -> Self {
        Self {
            next: offset,
            records: VecDeque::new(),
            latest: i64::MIN,
            paused: false,
        }
    }

    fn push(&mut self, record: Record) {
        // A record without a time, of a very old broker, goes with the one before it.
        self.latest = self.latest.max(record.timestamp.unwrap_or(i64::MIN));
        self.records.push_back((self.latest, record));
    }
}

fn is_deleted(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AutoOffsetReset, OffsetOutOfRange};
    matches!(
        error.rdkafka_error_code(),
        Some(AutoOffsetReset | OffsetOutOfRange)
    )
}

#[cfg(test)]
mod tests;
