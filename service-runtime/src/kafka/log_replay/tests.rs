//! The order of partitions, and reading from a broker that is librdkafka's own.

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
async fn a_partition_that_is_far_ahead_waits_for_the_others_and_loses_nothing() {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("orders", 2, 1).unwrap();
    append(&mock, &[3_000, 0]).await;
    let config = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
    let from = Offsets::from([(0, 0), (1, 0)]);
    let mut replay = LogReplay::open(&config, "orders", &from).unwrap();
    replay.0.as_mut().unwrap().ahead_limit = 100;
    let until = Offsets::from([(0, 3_000), (1, 1)]);
    let far_ahead = |replay: &LogReplay| replay.0.as_ref().unwrap().partitions[&0].paused;
    let begun = Instant::now();
    while !far_ahead(&replay) {
        assert!(begun.elapsed() < PATIENCE);
        let moment = Duration::from_millis(50);
        let nothing = replay.next(&until, 10, moment).await.unwrap();
        assert_eq!(nothing, []);
    }
    let kept = replay.0.as_ref().unwrap().partitions[&0].records.len();
    assert!((101..200).contains(&kept), "{kept}");
    append(&mock, &[0, 1]).await;
    let mut offsets = Vec::new();
    while replay.remaining(&until) > 0 {
        let records = replay.next(&until, 500, PATIENCE).await.unwrap();
        assert!(!records.is_empty());
        let read = records.iter().filter(|record| record.partition == 0);
        offsets.extend(read.map(|record| record.offset));
    }
    assert!(offsets.into_iter().eq(0..3_000));
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
