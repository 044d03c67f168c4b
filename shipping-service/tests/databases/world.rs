//! The service's participant on a log in memory, taken through it one step at a time.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base_domains::{OrderEvent, OrderId, OrderStatus, WireLine, WireOrder};
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::jobs::{Job, JobHandler as _, JobResult, JobRow};
use service_runtime::kafka::Record;
use service_runtime::lifecycle::Shutdown;
use service_runtime::testing::{self, Bench, MemoryLog};
use shipping_service::decider::ShippingDecider;
use shipping_service::dispatch::Dispatcher;
use shipping_service::job::{DispatchHandler, KIND, job_id};
use shipping_service::shipment::Shipment;
use shipping_service::store::{Kept, MIGRATIONS, find};
use test_support::TestDatabase;
use tokio::sync::{Notify, watch};
use tracing::subscriber::DefaultGuard;
use uuid::Uuid;

pub(crate) const DELAY: Duration = Duration::from_secs(5);

pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) log: MemoryLog,
    pub(crate) bench: Bench<ShippingDecider>,
    pub(crate) dispatcher: Dispatcher,
}

/// A new order of five books and two pens.
pub(crate) fn order() -> WireOrder {
    let line = |name: &str, qty, price| WireLine {
        name: name.to_owned(),
        qty,
        price,
    };
    WireOrder {
        order_id: OrderId::new(Uuid::now_v7()),
        name: "book order".to_owned(),
        qty: 5,
        price: 10000.0,
        email: Some("ann@example.org".to_owned()),
        items: Some(vec![
            line("book order", 5, 10000.0),
            line("pen order", 2, 1.5),
        ]),
    }
}

pub(crate) fn event(status: OrderStatus, order: &WireOrder) -> OrderEvent {
    OrderEvent::new(status, order.clone())
}

impl World {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        Self::dispatching(database, Some(DELAY)).await
    }

    pub(crate) async fn dispatching(database: TestDatabase, after: Option<Duration>) -> Self {
        let database = Database::open(&DatabaseConfig::new(database.url())).unwrap();
        database.migrate(&[&MIGRATIONS]).await.unwrap();
        let log = MemoryLog::default();
        let dispatcher = Dispatcher {
            database: database.clone(),
            worker: Arc::new(Notify::new()),
            ended: watch::Sender::new(()),
            wait: Duration::from_millis(50),
            shutdown: Shutdown::new(),
        };
        Self {
            bench: bench(&database, &log, after, dispatcher.ended.clone()),
            database,
            log,
            dispatcher,
        }
    }

    /// One more instance of the service, on connections of its own.
    pub(crate) fn another(&self, database: &TestDatabase) -> Bench<ShippingDecider> {
        let database = Database::open(&DatabaseConfig::new(database.url())).unwrap();
        let ended = self.dispatcher.ended.clone();
        bench(&database, &self.log, Some(DELAY), ended)
    }

    /// Appends and reads what others bring, in one batch.
    pub(crate) async fn bring(&self, order: &WireOrder, statuses: &[OrderStatus]) -> Vec<Record> {
        let append = |status: &OrderStatus| self.log.append(&event(*status, order));
        let records: Vec<Record> = statuses.iter().map(append).collect();
        self.bench.read(&records).await;
        records
    }

    /// Reads all that the log has of the order, from its beginning.
    pub(crate) async fn read_back(&self, order: &WireOrder) {
        self.bench.read(&self.log.of(order.order_id)).await;
    }

    pub(crate) async fn lease(&self, order: &WireOrder) -> Option<Job> {
        testing::lease(&self.database, KIND, &job_id(order.order_id)).await
    }

    /// Records what the dispatch came to and publishes its outcome; `false`: the lease was lost.
    pub(crate) async fn record(&self, job: &Job, result: &JobResult) -> bool {
        let handler = DispatchHandler::new(self.database.dialect());
        let handler = self.bench.with_outcomes(handler);
        match testing::record(&handler, &self.database, job, result).await {
            Some(publishing) => {
                publishing.await;
                true
            }
            None => false,
        }
    }

    /// Runs the dispatch as a worker does, when it is due; what came of it.
    pub(crate) async fn work(&self, order: &WireOrder) -> Option<JobResult> {
        let job = self.lease(order).await?;
        let result = DispatchHandler::new(self.database.dialect())
            .run(&job)
            .await;
        assert!(self.record(&job, &result).await);
        Some(result)
    }

    pub(crate) async fn kept(&self, order: &WireOrder) -> Option<Kept> {
        find(&self.database, order.order_id).await.unwrap()
    }

    pub(crate) async fn shipment(&self, order: &WireOrder) -> Shipment {
        self.kept(order).await.expect("a shipment").shipment
    }

    pub(crate) async fn jobs(&self, order: &WireOrder) -> Vec<JobRow> {
        testing::jobs_of(&self.database, order.order_id).await
    }

    /// What the order went through, by the log.
    pub(crate) fn statuses(&self, order: &WireOrder) -> Vec<&'static str> {
        let records = self.log.of(order.order_id);
        let event = |record: &Record| OrderEvent::from_json(record.value.as_deref().unwrap());
        let known = |text: &str| text.parse::<OrderStatus>().unwrap().as_str();
        records
            .iter()
            .map(|record| known(event(record).unwrap().status.as_str()))
            .collect()
    }
}

fn bench(
    database: &Database,
    log: &MemoryLog,
    after: Option<Duration>,
    ended: watch::Sender<()>,
) -> Bench<ShippingDecider> {
    let decider = ShippingDecider::new(database.dialect(), after, ended);
    Bench::new("shipping", shipping_service::NAME, database, log, decider)
}

/// What this thread logs.
#[derive(Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// Captures until the guard is dropped.
    pub(crate) fn capture() -> (Self, DefaultGuard) {
        let logs = Self::default();
        let writer = logs.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (logs, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// How often the parcel of the order was handed over.
    pub(crate) fn handed_over(&self, order: &WireOrder) -> usize {
        let id = order.order_id.to_string();
        let text = self.text();
        let lines = text.lines().filter(|line| line.contains(&id));
        lines
            .filter(|line| line.contains("Shipment dispatched."))
            .count()
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
