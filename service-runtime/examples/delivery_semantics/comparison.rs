//! The comparison: consumers over librdkafka's mock cluster, killed where they stop, started again,
//! and counted.

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use anyhow::ensure;
use base_domains::{Encoder, OrderEvent, OrderId, OrderStatus, WireOrder};
use clap::ValueEnum as _;
use futures_util::future::try_join_all;
use rdkafka::mocking::MockCluster;
use service_runtime::kafka::{EventProducer as _, KafkaConfig, KafkaProducer, NewRecord};

use super::consumer::{Mode, Stop};
use super::counts::{Counts, count};
use super::ledger::Ledger;
use super::process::{Start, name};

const ORDERS: usize = 300;
/// Each consumer does a batch, stops in the next, and leaves the rest to its successor.
const BATCH: usize = 50;
const PARTITIONS: i32 = 3;

/// What came of one way to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) mode: Mode,
    pub(crate) killed: Option<Stop>,
    pub(crate) counts: Counts,
}

/// What is done: the records of the log, and which consumers read it.
pub(crate) struct Trial {
    /// An order that is in here twice is in the log twice.
    pub(crate) log: Vec<OrderId>,
    /// In which modes, and where each is killed.
    pub(crate) consumers: Vec<(Mode, Option<Stop>)>,
}

/// Every mode, killed everywhere.
pub(crate) fn ways_to_die() -> Trial {
    let kills = |mode: &Mode| [Stop::HalfWay, Stop::BetweenSteps].map(|stop| (*mode, Some(stop)));
    Trial {
        log: orders(ORDERS),
        consumers: Mode::value_variants().iter().flat_map(kills).collect(),
    }
}

/// So many orders, the same ones each time.
pub(crate) fn orders(count: usize) -> Vec<OrderId> {
    let order = |n: usize| OrderId::from_idempotency_key("demo", &n.to_string());
    (0..count).map(order).collect()
}

/// Runs `trial`, its consumers side by side in groups of their own.
pub(crate) async fn kill_and_count(trial: Trial) -> anyhow::Result<Vec<Row>> {
    let cluster = MockCluster::new(1)?;
    let mut config = KafkaConfig::for_bootstrap(&cluster.bootstrap_servers(), "comparison");
    config.partitions = PARTITIONS;
    cluster.create_topic(&config.topic, PARTITIONS, 1)?;
    place(&config, &trial.log).await?;
    let folder = tempfile::tempdir()?;
    let consumers = trial.consumers.iter();
    let rows = consumers.map(|(mode, stop)| survive(&config, folder.path(), *mode, *stop));
    try_join_all(rows).await
}

async fn place(config: &KafkaConfig, log: &[OrderId]) -> anyhow::Result<()> {
    let producer = KafkaProducer::new(config)?;
    let encoder = Encoder {
        writer: "demo".to_owned(),
        type_id: None,
    };
    let mut deliveries = Vec::new();
    for order_id in log {
        let order = WireOrder {
            order_id: *order_id,
            name: "book order".to_owned(),
            qty: 1,
            price: 10.0,
            email: None,
            items: None,
        };
        let event = OrderEvent::new(OrderStatus::Pending, order);
        let event = encoder.encode(&event, jiff::Timestamp::now(), None)?;
        deliveries.push(producer.enqueue(&NewRecord::event(&config.topic, &event))?);
    }
    try_join_all(deliveries).await?;
    Ok(())
}

/// A consumer is killed where it stops, and its successor reads to the end.
async fn survive(
    config: &KafkaConfig,
    folder: &Path,
    mode: Mode,
    killed: Option<Stop>,
) -> anyhow::Result<Row> {
    let place = killed.map_or_else(String::new, |stop| format!("-{}", name(stop)));
    let start = Start {
        config,
        mode,
        batch: BATCH,
        ledger: folder.join(format!("{mode}{place}.db")),
        group: format!("{mode}{place}"),
    };
    if let Some(stop) = killed {
        let mut doomed = start.consumer(Some(stop))?;
        doomed.until_stopped().await?;
        doomed.kill()?;
        let status = doomed.ended().await?;
        ensure!(status.signal() == Some(9), "not killed: {status}");
    }
    let mut successor = start.consumer(None)?;
    let status = successor.ended().await?;
    ensure!(status.success(), "{status}: {}", successor.said()?);
    let ledger = Ledger::open(&start.ledger).await?;
    let counts = count(config, &start.group, &ledger).await?;
    Ok(Row {
        mode,
        killed,
        counts,
    })
}

/// The rows as a table in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| mode             | killed                     | orders | delivered again | lost | duplicated |\n\
         |------------------|----------------------------|-------:|----------------:|-----:|-----------:|\n",
    );
    for row in rows {
        let killed = row
            .killed
            .map_or_else(|| "never".to_owned(), |stop| stop.to_string());
        let mode = row.mode.to_string();
        let Counts {
            orders,
            redelivered,
            lost,
            duplicated,
        } = row.counts;
        writeln!(
            table,
            "| {mode:<16} | {killed:<26} | {orders:>6} | {redelivered:>15} | {lost:>4} | {duplicated:>10} |"
        )
        .ok();
    }
    table
}
