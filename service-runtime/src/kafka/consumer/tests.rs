//! A loop whose rebalances and records are told to it: readiness, and what it holds; no broker is asked.

use std::io;
use std::sync::Mutex;

use super::*;
use crate::health::Health;
use crate::kafka::{Assigned, Start};

const TOPIC: &str = "orders";

/// What this thread logs.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// Until the guard is dropped.
    fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let logs = Self::default();
        let writer = logs.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (logs, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Is asked nothing in these tests.
struct Silent;

impl BatchHandler for Silent {
    async fn check(&mut self, _: &Assigned) -> Result<Start, Interruption> {
        Ok(Start::Committed)
    }

    async fn handle(&mut self, _: &[Record]) -> Result<(), Interruption> {
        Ok(())
    }
}

fn standing_loop(health: &Health) -> ConsumerLoop<Silent> {
    let mut config = KafkaConfig::for_bootstrap("127.0.0.1:1", "test");
    config.topic = TOPIC.to_owned();
    let component = health.component("consumer");
    let (settings, progress) = (LoopSettings::default(), Progress::default());
    ConsumerLoop::new(&config, "group", Silent, settings, component, progress).unwrap()
}

impl ConsumerLoop<Silent> {
    fn told(&mut self, event: RebalanceEvent) {
        self.consumer.context().note(event);
        self.note_rebalances();
    }
}

fn record(partition: PartitionId, offset: i64) -> Record {
    Record {
        partition,
        offset,
        timestamp: None,
        key: None,
        headers: vec![],
        value: None,
    }
}

fn places(records: &[Record]) -> Vec<(PartitionId, i64)> {
    let place = |record: &Record| (record.partition, record.offset);
    records.iter().map(place).collect()
}

fn reason(health: &Health) -> Option<String> {
    health.readiness().components["consumer"].reason.clone()
}

#[tokio::test]
async fn a_member_that_lost_its_partitions_while_blocked_is_ready_when_it_goes_on() {
    let health = Health::new(&Shutdown::new());
    let mut member = standing_loop(&health);
    member.told(RebalanceEvent::Assigned(vec![0]));
    member.block("database: down");
    member.told(RebalanceEvent::Revoked(vec![0]));
    member.told(RebalanceEvent::Assigned(vec![]));
    assert_eq!(reason(&health).as_deref(), Some("database: down"));
    member.attempt().await.unwrap();
    member.unblock();
    assert_eq!(reason(&health), None, "it stands by");
}

#[tokio::test]
async fn a_member_is_not_ready_before_its_first_assignment() {
    let health = Health::new(&Shutdown::new());
    let mut member = standing_loop(&health);
    member.unblock();
    assert_eq!(reason(&health).as_deref(), Some("starting"));
    member.told(RebalanceEvent::Assigned(vec![]));
    assert_eq!(reason(&health), None, "one instance too many stands by");
}

/// Rule R8: the new owner handles them, and this one may not store their offsets.
#[tokio::test]
async fn what_is_held_of_a_partition_that_leaves_is_dropped_and_the_rest_is_kept() {
    let mut member = standing_loop(&Health::new(&Shutdown::new()));
    member.told(RebalanceEvent::Assigned(vec![0, 1]));
    member.partitions = BTreeMap::from([(0, true), (1, true)]);
    for (partition, offset) in [(0, 7), (1, 3), (0, 8)] {
        member.take(Ok(record(partition, offset))).unwrap();
    }
    member.block("database: down");
    member.told(RebalanceEvent::Revoked(vec![0]));
    assert_eq!(places(&member.batch), [(1, 3)]);
    assert!(member.partitions.keys().eq([&1]));
}

/// Rule R8: the partition's place in the log is compared with the database's first.
#[tokio::test]
async fn what_comes_before_its_partition_is_checked_is_read_again_from_the_first_of_it() {
    let mut member = standing_loop(&Health::new(&Shutdown::new()));
    member.told(RebalanceEvent::Assigned(vec![0, 1]));
    for (partition, offset) in [(0, 8), (1, 3), (0, 9), (0, 7)] {
        member.take(Ok(record(partition, offset))).unwrap();
    }
    assert_eq!(places(&member.batch), []);
    assert_eq!(member.read_again, BTreeMap::from([(0, 7), (1, 3)]));
}

#[tokio::test]
async fn every_reason_to_wait_is_logged_when_it_comes_and_not_again() {
    let (logs, _guard) = Logs::capture();
    let mut member = standing_loop(&Health::new(&Shutdown::new()));
    for reason in ["down", "down", "stopped", "stopped", "down"] {
        member.block(reason);
    }
    member.unblock();
    let text = logs.text();
    let events: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.split_once("Partitions ")?.1.split_once(" group="))
        .map(|(message, fields)| (message, fields.split_once(' ').unwrap().1))
        .collect();
    let another = "stay paused for another reason.";
    let expected = [
        ("paused until this works again.", "reason=\"down\""),
        (another, "reason=\"stopped\""),
        (another, "reason=\"down\""),
        ("resumed.", "attempts=5"),
    ];
    assert_eq!(events, expected, "{text}");
}

#[tokio::test]
async fn reasons_that_alternate_do_not_fill_the_log() {
    let (logs, _guard) = Logs::capture();
    let mut member = standing_loop(&Health::new(&Shutdown::new()));
    for attempt in 0..100 {
        member.block(if attempt % 2 == 0 { "down" } else { "busy" });
    }
    let text = logs.text();
    assert_eq!(text.matches("paused").count(), 8, "{text}");
}
