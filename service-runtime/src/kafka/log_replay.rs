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
        self.balance()
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
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::kafka::{EventProducer, KafkaProducer, NewRecord};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn ahead(from: i64, times: &[i64]) -> Ahead {
        let mut ahead = Ahead::from(from);
        for (offset, time) in (from..).zip(times) {
            ahead.push(Record {
                partition: 0,
                offset,
                timestamp: Some(*time),
                key: None,
                headers: vec![],
                value: None,
            });
        }
        ahead
    }

    fn reader(partitions: impl IntoIterator<Item = Ahead>) -> Reader {
        // Never asked in these tests: nobody listens on port 1.
        let config = KafkaConfig::for_bootstrap("127.0.0.1:1", "test");
        Reader {
            consumer: client::consumer(&config, "test").create().unwrap(),
            topic: "orders".to_owned(),
            partitions: (0..).zip(partitions).collect(),
            ahead_limit: 4,
        }
    }

    fn taken(reader: &mut Reader, until: &Offsets) -> Vec<i64> {
        std::iter::from_fn(|| reader.take_earliest(until))
            .map(|record| record.timestamp.unwrap())
            .collect()
    }

    #[tokio::test]
    async fn partitions_are_put_side_by_side_by_time_and_each_keeps_its_order() {
        let mut reader = reader([ahead(0, &[1, 5, 3, 6]), ahead(7, &[2, 4, 9])]);
        let until = Offsets::from([(0, 4), (1, 10)]);
        assert_eq!(taken(&mut reader, &until), [1, 2, 4, 5, 3, 6, 9]);
        assert!(reader.partitions_before(&until).next().is_none());
    }

    #[tokio::test]
    async fn an_offset_without_a_record_is_no_record_to_wait_for() {
        let mut reader = reader([ahead(5, &[1])]);
        assert_eq!(
            reader.partitions_before(&Offsets::from([(0, 9)])).count(),
            1
        );
        // What comes next is behind the end.
        let until = Offsets::from([(0, 5)]);
        assert!(reader.partitions_before(&until).next().is_none());
        reader.partitions.get_mut(&0).unwrap().next = 3;
        assert!(reader.partitions_before(&until).next().is_none());
    }

    #[tokio::test]
    async fn nothing_is_taken_beyond_the_end_that_was_asked_for() {
        let mut reader = reader([ahead(0, &[1, 2, 3]), ahead(0, &[1])]);
        assert_eq!(taken(&mut reader, &Offsets::from([(0, 2), (1, 0)])), [1, 2]);
        assert_eq!(taken(&mut reader, &Offsets::from([(0, 3), (1, 1)])), [1, 3]);
    }

    #[tokio::test]
    async fn a_partition_that_may_have_an_earlier_record_is_waited_for() {
        let mut reader = reader([ahead(0, &[1, 2]), ahead(0, &[])]);
        let until = Offsets::from([(0, 2), (1, 1)]);
        assert!(taken(&mut reader, &until).is_empty());
        let waited = reader.next(&until, 10, Duration::ZERO).unwrap();
        assert_eq!(waited, []);
        assert_eq!(taken(&mut reader, &Offsets::from([(0, 2)])), [1, 2]);
    }

    async fn append(mock: &MockCluster<'_, impl rdkafka::ClientContext>, counts: &[usize]) {
        let config = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
        let producer = KafkaProducer::new(&config).unwrap();
        let mut deliveries = Vec::new();
        for (partition, count) in (0..).zip(counts) {
            for n in 0..*count {
                let record = NewRecord {
                    topic: "orders".to_owned(),
                    partition: Some(partition),
                    key: None,
                    headers: vec![],
                    value: Some(n.to_string().into_bytes()),
                };
                deliveries.push(producer.enqueue(&record).unwrap());
            }
        }
        for delivery in deliveries {
            delivery.await.unwrap();
        }
    }

    #[tokio::test]
    async fn every_record_is_read_once_however_often_the_end_moves_on() {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("orders", 3, 1).unwrap();
        append(&mock, &[700, 30, 0]).await;
        let config = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
        let from = Offsets::from([(0, 0), (1, 0), (2, 0)]);
        let mut replay = LogReplay::open(&config, "orders", &from).unwrap();
        let mut seen = Vec::new();
        for until in [[1, 0, 0], [500, 30, 0], [700, 30, 0]] {
            let until: Offsets = (0..).zip(until).collect();
            loop {
                let records = replay.next(&until, 64, PATIENCE).await.unwrap();
                if records.is_empty() {
                    break;
                }
                seen.extend(
                    records
                        .iter()
                        .map(|record| (record.partition, record.offset)),
                );
            }
            assert_eq!(replay.remaining(&until), 0);
            let all: i64 = until.values().sum();
            assert_eq!(i64::try_from(seen.len()).unwrap(), all);
        }
        seen.sort_unstable();
        let expected = (0..700).map(|n| (0, n)).chain((0..30).map(|n| (1, n)));
        assert!(seen.into_iter().eq(expected));
    }

    #[tokio::test]
    async fn offsets_that_the_log_does_not_have_are_an_error() {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("orders", 1, 1).unwrap();
        append(&mock, &[2]).await;
        let config = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
        let mut replay = LogReplay::open(&config, "orders", &Offsets::from([(0, 9)])).unwrap();
        let until = Offsets::from([(0, 12)]);
        let error = replay.next(&until, 10, PATIENCE).await.unwrap_err();
        assert!(matches!(error, ReadError::Deleted), "{error}");
    }
}
