//! The service's participant on a log in memory, its jobs leased, run and recorded as in the running
//! service, but one step at a time.

use std::sync::Arc;
use std::time::Duration;

use base_domains::{OrderEvent, OrderId, OrderStatus, Payment as WirePayment, WireOrder};
use payment_service::decider::PaymentDecider;
use payment_service::gateway::{Operation, PaymentGateway, Sandbox};
use payment_service::job::{PaymentHandler, job_id};
use payment_service::payment::Payment;
use payment_service::store::{MIGRATIONS, find};
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::jobs::{Job, JobHandler, JobResult, JobRow};
use service_runtime::kafka::Record;
use service_runtime::participant::Decision;
use service_runtime::testing::{self, Bench, MemoryLog, read_record};
use test_support::TestDatabase;
use tokio::sync::Notify;
use uuid::Uuid;

/// How long the sandbox lets its customers wait in vain.
const PATIENCE: Duration = Duration::from_millis(2);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) bench: Bench<PaymentDecider>,
}

/// `status` of `order`, as it is read from the log.
pub(crate) fn event(status: OrderStatus, order: &WireOrder) -> Record {
    read_record(&OrderEvent::new(status, order.clone()))
}

/// PAID, as this service appends it.
pub(crate) fn paid(order: &WireOrder, payment_id: &str) -> Record {
    let amount = order.validate().unwrap().total().to_wire();
    let payment_id = payment_id.to_owned();
    let paid = OrderEvent::new(OrderStatus::Paid, order.clone());
    read_record(&paid.with_payment(WirePayment { payment_id, amount }))
}

/// A new order that costs so many cents.
pub(crate) fn order(cents: i64) -> WireOrder {
    WireOrder {
        order_id: OrderId::new(Uuid::now_v7()),
        name: "book order".to_owned(),
        qty: 1,
        price: base_domains::Money::from_minor(cents).unwrap().to_wire(),
        email: Some("ann@example.org".to_owned()),
        items: None,
    }
}

impl World {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let database = Database::open(&DatabaseConfig::new(database.url())).unwrap();
        database.migrate(&[&MIGRATIONS]).await.unwrap();
        let (charges, refunds) = (Arc::default(), Arc::default());
        let decider = PaymentDecider::new(database.dialect(), charges, refunds);
        let (name, log) = ("payment", MemoryLog::default());
        Self {
            bench: Bench::new(name, payment_service::NAME, &database, &log, decider),
            database,
        }
    }

    pub(crate) fn sandbox(&self) -> Sandbox {
        Sandbox::new(self.database.clone(), PATIENCE)
    }

    pub(crate) fn handler<G: PaymentGateway>(
        &self,
        operation: Operation,
        gateway: G,
    ) -> impl JobHandler + use<G> {
        let dialect = self.database.dialect();
        let wake: Arc<Notify> = Arc::default();
        let handler = PaymentHandler::new(operation, gateway, dialect, DAY, wake);
        self.bench.with_outcomes(handler)
    }

    /// Reads `events` as one batch.
    pub(crate) async fn read(&self, events: &[Record]) -> Vec<Decision> {
        self.bench.read(events).await
    }

    /// The same for events that were there before the database, which is an older one.
    pub(crate) async fn read_history(&self, events: &[Record]) -> Vec<Decision> {
        self.bench.read_history(events).await
    }

    /// The stored outcome that was not read back yet.
    pub(crate) async fn outcome(&self, order_id: OrderId) -> Option<OrderEvent> {
        self.bench.outcome(order_id).await
    }

    /// Leases the order's charge or refund, or one whose lease has run out.
    pub(crate) async fn lease(&self, operation: Operation, order: &WireOrder) -> Option<Job> {
        let id = job_id(operation, order.order_id);
        self.lease_job(operation, &id).await
    }

    pub(crate) async fn lease_job(&self, operation: Operation, id: &str) -> Option<Job> {
        testing::lease(&self.database, operation.as_str(), id).await
    }

    /// Asks the sandbox, without recording what it says.
    pub(crate) async fn ask(&self, operation: Operation, job: &Job) -> JobResult {
        self.handler(operation, self.sandbox()).run(job).await
    }

    /// Records a result without publishing its outcome; `false`: the lease was lost.
    pub(crate) async fn record(&self, operation: Operation, job: &Job, result: &JobResult) -> bool {
        let handler = self.handler(operation, self.sandbox());
        testing::record(&handler, &self.database, job, result)
            .await
            .is_some()
    }

    /// Leases, asks and records once; what came of it.
    pub(crate) async fn work(&self, operation: Operation, order: &WireOrder) -> Option<JobResult> {
        let job = self.lease(operation, order).await?;
        let result = self.ask(operation, &job).await;
        assert!(self.record(operation, &job, &result).await);
        Some(result)
    }

    pub(crate) async fn payment(&self, order: &WireOrder) -> Payment {
        let kept = find(&self.database, order.order_id).await.unwrap();
        kept.expect("a payment").payment
    }

    pub(crate) async fn jobs(&self, order: &WireOrder) -> Vec<JobRow> {
        testing::jobs_of(&self.database, order.order_id).await
    }

    /// How often the sandbox really charged the order, and how often it gave the money back.
    pub(crate) async fn moved(&self, order: &WireOrder) -> (i64, i64) {
        let count = async |operation: &str| {
            sqlx::query_scalar::<_, i64>(
                "SELECT COUNT(*) FROM sandbox_ledger \
                 WHERE order_id = $1 AND operation = $2 AND answer = 'accepted'",
            )
            .bind(order.order_id.to_string())
            .bind(operation)
            .fetch_one(self.database.pool())
            .await
            .unwrap()
        };
        (count("charge").await, count("refund").await)
    }
}
