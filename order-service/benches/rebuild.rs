//! How fast `order-service rebuild` makes a read model anew, beside a running service that shows the same orders.
//!
//! `BENCH_ORDERS` says how many orders (200 000), `BENCH_KAFKA` which broker holds the log (else one in this process,
//! with enough partitions for the few megabytes that it keeps of each), and `BENCH_POSTGRES` is the URL of an empty
//! PostgreSQL database to measure on besides SQLite.

use std::env;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use base_domains::{Encoder, OrderEvent, OrderId, OrderStatus, WireOrder, home_partition};
use order_service::query::PARTICIPANT;
use order_service::query::rebuild::{Options, Progress, RebuildParts, open, rebuild};
use order_service::{Config, run_on};
use rdkafka::mocking::MockCluster;
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::kafka::{
    EventProducer as _, KafkaConfig, KafkaProducer, NewRecord, TopicSpec, ensure_topics,
};
use service_runtime::lifecycle::{ServiceConfig as _, Shutdown, install_crypto};
use service_runtime::participant::read_positions;
use service_runtime::telemetry::{self, LogConfig};
use tokio::net::TcpListener;

const TIMEOUT: Duration = Duration::from_secs(30);
/// Events that are on their way to the broker at a time.
const WINDOW: usize = 5_000;

use OrderStatus::{Paid, Pending, Rejected, Reserved, Shipped};

fn main() -> anyhow::Result<()> {
    install_crypto();
    telemetry::init(&LogConfig {
        level: "warn".to_owned(),
        ..LogConfig::default()
    });
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let orders = match env::var("BENCH_ORDERS") {
        Ok(orders) => orders.parse().context("BENCH_ORDERS")?,
        Err(_) => 200_000,
    };
    let (mock, mut kafka);
    match env::var("BENCH_KAFKA") {
        Ok(servers) => kafka = KafkaConfig::for_bootstrap(&servers, "bench"),
        Err(_) => {
            mock = MockCluster::new(1)?;
            kafka = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "bench");
            kafka.partitions = 48;
        }
    }
    kafka.topic = format!("orders-{}", uuid::Uuid::new_v4().simple());
    ensure_topics(&kafka, &[TopicSpec::log(&kafka)], TIMEOUT).await?;
    let begun = Instant::now();
    let events = fill(&kafka, orders).await?;
    println!(
        "{orders} orders, {events} events in {} partitions, appended in {:.1} s; {} cores\n",
        kafka.partitions,
        begun.elapsed().as_secs_f64(),
        std::thread::available_parallelism()?,
    );
    let folder = tempfile::TempDir::new()?;
    let sqlite = format!("sqlite://{}/orders.db", folder.path().display());
    measure("SQLite", &sqlite, &kafka, events).await?;
    if let Ok(postgres) = env::var("BENCH_POSTGRES") {
        measure("PostgreSQL", &postgres, &kafka, events).await?;
    }
    Ok(())
}

/// Appends the lives of so many orders side by side; returns how many events that are.
async fn fill(kafka: &KafkaConfig, orders: usize) -> anyhow::Result<i64> {
    let producer = KafkaProducer::new(kafka)?;
    let mut events = 0;
    for chunk in (0..orders).collect::<Vec<_>>().chunks(WINDOW / 4) {
        let ids: Vec<_> = chunk.iter().map(|_| uuid::Uuid::now_v7()).collect();
        for step in 0..4 {
            let mut deliveries = Vec::new();
            for (n, id) in chunk.iter().zip(&ids) {
                let life = match n % 10 {
                    0 => &[Pending, Rejected][..],
                    1..=3 => &[Pending, Reserved, Paid],
                    _ => &[Pending, Reserved, Paid, Shipped],
                };
                if let Some(status) = life.get(step) {
                    let record = record(kafka, *n, *id, *status)?;
                    deliveries.push(producer.enqueue(&record)?);
                }
            }
            events += deliveries.len();
            for delivery in deliveries {
                delivery.await?;
            }
        }
    }
    producer.flush(TIMEOUT).await?;
    Ok(i64::try_from(events)?)
}

fn record(
    kafka: &KafkaConfig,
    n: usize,
    id: uuid::Uuid,
    status: OrderStatus,
) -> anyhow::Result<NewRecord> {
    let order = WireOrder {
        order_id: OrderId::new(id),
        name: "book order".to_owned(),
        qty: i64::try_from(n % 9 + 1)?,
        price: 10_000.0,
        email: Some(format!("customer-{n}@example.org")),
        items: None,
    };
    let encoder = Encoder {
        writer: "bench".to_owned(),
        type_id: None,
    };
    let event = OrderEvent::new(status, order);
    let encoded = encoder.encode(&event, jiff::Timestamp::now(), None)?;
    let mut record = NewRecord::event(&kafka.topic, &encoded);
    record.partition = Some(home_partition(event.order.order_id, kafka.partitions));
    Ok(record)
}

/// Has a service read the log, and rebuilds beside it.
async fn measure(name: &str, url: &str, kafka: &KafkaConfig, events: i64) -> anyhow::Result<()> {
    let settings = [("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers.as_str())];
    let (mut config, _) = Config::load(None, settings)?;
    config.common.kafka = kafka.clone();
    config.common.database = DatabaseConfig::new(url);
    config.view.group = format!("view-{}", uuid::Uuid::new_v4().simple());
    let shutdown = Shutdown::new();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let begun = Instant::now();
    let service = tokio::spawn(run_on(listener, config.clone(), shutdown.clone()));
    let database = Database::open(&config.common.database)?;
    while read(&database).await < events {
        ensure!(!service.is_finished(), "the service ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let folded = begun.elapsed().as_secs_f64();
    println!("{name}: the service has folded them in {folded:.1} s");

    let log = open(&database, kafka, false).await?;
    let parts = RebuildParts {
        database: database.clone(),
        source: log.source,
        begin: log.begin,
        partitions: log.partitions,
        group: config.view.group.clone(),
        progress: Progress::new(io::stderr(), io::stderr().is_terminal()),
        shutdown: Shutdown::new(),
    };
    let options = Options {
        dry_run: false,
        longest_hold: Duration::from_secs(2),
    };
    let begun = Instant::now();
    let report = rebuild(parts, &options, |report| println!("{report}")).await?;
    println!(
        "{name}: {:.1} s with the deletion of the old one\n",
        begun.elapsed().as_secs_f64()
    );
    ensure!(
        report.different == 0,
        "the rebuilt read model is another one"
    );
    shutdown.trigger();
    service.await??;
    database.close().await;
    Ok(())
}

/// How many events the service has folded; none before it has made its tables.
async fn read(database: &Database) -> i64 {
    let positions = read_positions(database, PARTICIPANT).await;
    positions.map_or(0, |positions| positions.values().sum())
}
