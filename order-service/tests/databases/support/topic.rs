//! A topic in memory, the running read model that is folded from it, and what a rebuild reads of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base_domains::{Encoder, OrderEvent, OrderId, OrderStatus, home_partition};
use order_service::query;
use order_service::query::rebuild::{
    Options, Progress, RebuildError, RebuildParts, Report, rebuild,
};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::health::Health;
use service_runtime::kafka::{
    KafkaConfig, KafkaProducer, Offsets, ReadError, Record, ReplaySource,
};
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{Participant, ParticipantSettings, Parts};
use sqlx::Row as _;

use super::Service;
use super::log::{PARTITIONS, plain};

pub(crate) const GROUP: &str = "view";

/// Clones share the records.
#[derive(Clone, Default)]
pub(crate) struct Topic(Arc<Mutex<Vec<Record>>>);

impl Topic {
    /// Appends a record; its time is later than that of all others.
    pub(crate) fn append(
        &self,
        partition: i32,
        headers: Vec<(String, Vec<u8>)>,
        value: Option<Vec<u8>>,
    ) -> Record {
        let mut records = self.0.lock().unwrap();
        let same = records.iter().filter(|known| known.partition == partition);
        let record = Record {
            partition,
            offset: i64::try_from(same.count()).unwrap(),
            timestamp: Some(1_000 * (i64::try_from(records.len()).unwrap() + 1)),
            key: None,
            headers,
            value,
        };
        records.push(record.clone());
        record
    }

    /// Appends an event to its home partition, as a service does.
    pub(crate) fn event(&self, event: &OrderEvent) -> Record {
        let encoder = Encoder {
            writer: "test".to_owned(),
            type_id: None,
        };
        let epoch = jiff::Timestamp::UNIX_EPOCH;
        let encoded = encoder.encode(event, epoch, None).unwrap();
        let home = home_partition(event.order.order_id, PARTITIONS);
        self.append(
            home,
            encoded.header_bytes(),
            Some(encoded.value.into_bytes()),
        )
    }

    /// Brings the plain test order to these states, one after the other.
    pub(crate) fn story(&self, id: OrderId, statuses: &[OrderStatus]) -> Vec<Record> {
        let event = |status: &OrderStatus| self.event(&OrderEvent::new(*status, plain(id)));
        statuses.iter().map(event).collect()
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn source(&self) -> Source {
        Source {
            topic: self.clone(),
            next: (0..PARTITIONS).map(|partition| (partition, 0)).collect(),
            on_next: Box::new(|_| {}),
            on_remaining: Box::new(|| {}),
        }
    }
}

/// Reads a topic; a test may act when it does.
pub(crate) struct Source {
    topic: Topic,
    next: Offsets,
    /// Is told how many records were handed out before.
    pub(crate) on_next: Box<dyn FnMut(i64) + Send + Sync>,
    pub(crate) on_remaining: Box<dyn Fn() + Send + Sync>,
}

impl ReplaySource for Source {
    async fn next(
        &mut self,
        until: &Offsets,
        max: usize,
        _: Duration,
    ) -> Result<Vec<Record>, ReadError> {
        (self.on_next)(self.next.values().sum());
        let mut taken = Vec::new();
        // In the order in which they were appended, which is that of their times.
        for record in self.topic.records() {
            let next = self.next.get_mut(&record.partition).unwrap();
            let end = until.get(&record.partition).copied().unwrap_or(0);
            if record.offset == *next && record.offset < end && taken.len() < max {
                *next += 1;
                taken.push(record);
            }
        }
        Ok(taken)
    }

    fn remaining(&self, until: &Offsets) -> u64 {
        let left = until.iter().map(|(id, end)| (end - self.next[id]).max(0));
        let left: i64 = left.sum();
        (self.on_remaining)();
        u64::try_from(left).unwrap()
    }
}

/// The participant that folds the topic into the read model, batch by batch as it is told.
pub(crate) struct Live {
    participant: Participant<query::Projection>,
    // Takes the dead letters.
    _mock: MockCluster<'static, DefaultProducerContext>,
}

impl Live {
    pub(crate) fn of(service: &Service) -> Self {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("orders.view.dlt", PARTITIONS, 1).unwrap();
        let kafka = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
        let participant = Participant::new(Parts {
            name: query::PARTICIPANT,
            writer: order_service::NAME,
            log_name: None,
            decider: service.projection.clone(),
            database: service.database.clone(),
            producer: KafkaProducer::new(&kafka).unwrap(),
            kafka,
            settings: ParticipantSettings::for_group(GROUP),
            health: Health::new(&Shutdown::new()),
        });
        Self {
            participant,
            _mock: mock,
        }
    }

    pub(crate) async fn handle(&self, records: &[Record]) {
        self.participant.handle(PARTITIONS, records).await.unwrap();
    }
}

pub(crate) fn options(dry_run: bool) -> Options {
    Options {
        dry_run,
        longest_hold: Duration::from_secs(10),
    }
}

/// A rebuild as a process of its own does it: with its own connections.
pub(crate) fn parts(url: &str, source: Source, shutdown: &Shutdown) -> RebuildParts<Source> {
    RebuildParts {
        database: Database::open(&DatabaseConfig::new(url)).unwrap(),
        begin: source.next.clone(),
        source,
        partitions: PARTITIONS,
        group: GROUP.to_owned(),
        progress: Progress::new(std::io::sink(), false),
        shutdown: shutdown.clone(),
    }
}

pub(crate) async fn rebuilt(
    url: &str,
    source: Source,
    dry_run: bool,
) -> Result<Report, RebuildError> {
    let parts = parts(url, source, &Shutdown::new());
    let database = parts.database.clone();
    let mut told = None;
    let made = rebuild(parts, &options(dry_run), |report| {
        told = Some(report.clone());
    })
    .await;
    database.close().await;
    assert_eq!(told.as_ref(), made.as_ref().ok());
    made
}

/// Every row of the read model in use, as text.
pub(crate) async fn rows(database: &Database) -> Vec<String> {
    let views = "SELECT order_id || ' ' || status || ' ' || reason || ' ' || content || ' ' || \
        CAST(created_at AS TEXT) || ' ' || CAST(updated_at AS TEXT) FROM order_views \
        WHERE generation = (SELECT generation FROM read_model)";
    let steps = "SELECT order_id || ' ' || status || ' ' || reason || ' ' || \
        CAST(partition_id AS TEXT) || ':' || CAST(record_offset AS TEXT) || ' ' || \
        CAST(recorded_at AS TEXT) FROM order_history \
        WHERE generation = (SELECT generation FROM read_model)";
    let mut rows = Vec::new();
    for select in [views, steps] {
        let found = sqlx::query(select).fetch_all(database.pool()).await;
        rows.extend(found.unwrap().iter().map(|row| row.get::<String, _>(0)));
    }
    rows.sort();
    rows
}

/// Generations that have rows.
pub(crate) async fn generations(database: &Database) -> Vec<i64> {
    let select =
        "SELECT generation FROM order_views UNION SELECT generation FROM order_history ORDER BY 1";
    let rows = sqlx::query(select).fetch_all(database.pool()).await;
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

pub(crate) async fn execute(database: &Database, statement: &'static str) {
    let done = sqlx::query(statement).execute(database.pool()).await;
    done.unwrap();
}
