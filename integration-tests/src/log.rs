//! The log as a Kafka client sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use base_domains::{Effect, OrderId, OrderState, OrderStatus, Reading, header, read};
use service_runtime::kafka::{
    EventProducer, KafkaConfig, KafkaProducer, NewRecord, PartitionLag, Placement, Record,
    group_lag, placements, read_all,
};

use crate::history::Injected;

const TIMEOUT: Duration = Duration::from_secs(60);
/// Bound of one question that is asked again and again.
const QUESTION: Duration = Duration::from_secs(2);
/// How long a log may be unreadable before it is tried afresh.
const PATIENCE: Duration = Duration::from_secs(20);
const CONSOLE_PRODUCER: &str = "TEST_KAFKA_CONSOLE_PRODUCER";

/// A topic to write to and to read as a whole.
#[derive(Debug, Clone)]
pub struct Log {
    config: KafkaConfig,
    producer: KafkaProducer,
}

impl Log {
    /// The log of `topic` at `bootstrap_servers`.
    ///
    /// # Panics
    /// The client cannot be made.
    #[must_use]
    pub fn new(bootstrap_servers: &str, topic: &str) -> Self {
        let mut config = KafkaConfig::for_bootstrap(bootstrap_servers, "tests");
        topic.clone_into(&mut config.topic);
        config.fetch_wait_max = Duration::from_millis(10);
        Self {
            producer: KafkaProducer::new(&config).unwrap(),
            config,
        }
    }

    /// The same log with a producer of its own, after one that may have failed for good.
    ///
    /// # Panics
    /// The client cannot be made.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self {
            config: self.config.clone(),
            producer: KafkaProducer::new(&self.config).unwrap(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.config.topic
    }

    /// Appends `value` as a stranger would: no key, no headers; returns partition and offset.
    ///
    /// # Panics
    /// It is not acknowledged.
    pub async fn append_bare(&self, value: &[u8]) -> (i32, i64) {
        let record = NewRecord {
            topic: self.config.topic.clone(),
            partition: None,
            key: None,
            headers: vec![],
            value: Some(value.to_vec()),
        };
        let delivered = self.producer.enqueue(&record).unwrap().await.unwrap();
        (delivered.partition, delivered.offset)
    }

    /// Appends a record as it is, by its key; partition and offset if the append was acknowledged.
    pub async fn append(&self, record: &Injected) -> Option<(i32, i64)> {
        let record = NewRecord {
            topic: self.config.topic.clone(),
            partition: None,
            key: record.key.clone(),
            headers: record.headers.clone(),
            value: record.value.clone(),
        };
        let delivered = self.producer.enqueue(&record).ok()?.await.ok()?;
        Some((delivered.partition, delivered.offset))
    }

    /// Appends each line as a stranger would, by `TEST_KAFKA_CONSOLE_PRODUCER` where it is set: a
    /// shell command such as `kafka-console-producer.sh --bootstrap-server HOST:PORT`.
    ///
    /// # Panics
    /// The command fails, or a line is not acknowledged.
    pub async fn append_lines(&self, lines: &[String]) {
        let Ok(command) = std::env::var(CONSOLE_PRODUCER) else {
            for line in lines {
                self.append_bare(line.as_bytes()).await;
            }
            return;
        };
        println!("{} lines are written by `{command}`.", lines.len());
        let (topic, input) = (self.topic().to_owned(), lines.join("\n"));
        let written = tokio::task::spawn_blocking(move || {
            let mut shell = Command::new("sh")
                .args(["-c", &format!("{command} --topic \"$1\""), "sh", &topic])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = shell.stdin.take().unwrap();
            stdin.write_all(input.as_bytes()).unwrap();
            drop(stdin);
            shell.wait().unwrap()
        });
        let status = written.await.unwrap();
        assert!(status.success(), "{CONSOLE_PRODUCER}: {status}");
    }

    /// Every record of the topic.
    ///
    /// # Panics
    /// The broker does not answer.
    pub async fn records(&self) -> Vec<Record> {
        read_all(&self.config, &self.config.topic, TIMEOUT)
            .await
            .unwrap()
    }

    /// The same, of brokers that may be away.
    ///
    /// # Errors
    /// Why it cannot be read now.
    pub async fn try_records(&self) -> Result<Vec<Record>, String> {
        let records = read_all(&self.config, &self.config.topic, PATIENCE).await;
        records.map_err(|error| error.to_string())
    }

    /// How many partitions it has.
    #[must_use]
    pub fn partitions(&self) -> i32 {
        self.config.partitions
    }

    /// Where `group` is in it.
    ///
    /// # Errors
    /// Why nobody can say now.
    pub async fn lag(&self, group: &str) -> Result<Vec<PartitionLag>, String> {
        let lags = group_lag(&self.config, group, PATIENCE).await;
        lags.map_err(|error| error.to_string())
    }

    /// Every record of the dead-letter topic of `group`.
    ///
    /// # Panics
    /// The broker does not answer.
    pub async fn dead_letters(&self, group: &str) -> Vec<Record> {
        let topic = service_runtime::kafka::dead_letter_topic(&self.config.topic, group);
        read_all(&self.config, &topic, TIMEOUT).await.unwrap()
    }

    /// Where its partitions are; `None` while no broker can say.
    pub async fn placements(&self) -> Option<Vec<Placement>> {
        let found = placements(&self.producer, &self.config.topic, QUESTION).await;
        found.ok()
    }

    /// What the log says of every order, folded.
    ///
    /// # Panics
    /// The broker does not answer.
    pub async fn orders(&self) -> BTreeMap<OrderId, Story> {
        self.folded(self.records().await)
    }

    /// The same; none while brokers are not there, or do not agree who leads.
    pub async fn orders_if_readable(&self) -> Option<BTreeMap<OrderId, Story>> {
        let records = read_all(&self.config, &self.config.topic, PATIENCE).await;
        records.ok().map(|records| self.folded(records))
    }

    fn folded(&self, records: Vec<Record>) -> BTreeMap<OrderId, Story> {
        let mut orders: BTreeMap<OrderId, Story> = BTreeMap::new();
        for record in records {
            if let Ok(Reading::Event(heading)) = read(&record.as_ref(), self.config.partitions) {
                let story = orders.entry(heading.order_id).or_default();
                story.records += 1;
                if story.state.apply(heading.status) == Effect::Effective {
                    story.history.push(heading.status);
                }
                let writer = record.header(header::CE_SOURCE).unwrap_or_default();
                let events = story.events.entry(writer.to_owned()).or_default();
                events.insert((heading.event_id, heading.status.as_str()));
            }
        }
        orders
    }
}

/// The life of one order as the log tells it.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// The folded state.
    pub state: OrderState,
    /// The effective events.
    pub history: Vec<OrderStatus>,
    /// All records of the order, also those without effect.
    pub records: usize,
    /// Id and status of its events by their writer; a repeated one has the same.
    pub events: BTreeMap<String, BTreeSet<(String, &'static str)>>,
}

impl Story {
    /// The status that it came to; empty when it has none.
    #[must_use]
    pub fn status(&self) -> &'static str {
        self.state.status().map_or("", OrderStatus::as_str)
    }

    /// Whether it is at its end.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state.status().is_some_and(OrderStatus::is_terminal)
    }

    /// How many different events there are.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.events.values().map(BTreeSet::len).sum()
    }
}
