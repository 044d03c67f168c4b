//! The service's database with a log of the test: events are folded and decided, jobs leased, run and
//! recorded, as in the running service, but one step at a time.

use std::sync::Arc;
use std::time::Duration;

use base_domains::{
    EncodedEvent, Heading, OrderEvent, OrderId, OrderState, OrderStatus, Payment as WirePayment,
    WireOrder, home_partition,
};
use payment_service::decider::PaymentDecider;
use payment_service::gateway::{Operation, PaymentGateway, Sandbox};
use payment_service::job::{PaymentHandler, job_id};
use payment_service::payment::Payment;
use payment_service::store::{MIGRATIONS, find};
use service_runtime::database::{Database, DatabaseConfig, Tx};
use service_runtime::health::Health;
use service_runtime::jobs::{
    self, Attempted, Claim, Job, JobFilter, JobHandler as _, JobResult, JobRow, Recorded,
};
use service_runtime::kafka::{KafkaConfig, KafkaProducer, Record};
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{
    Change, Decider as _, Decision, Participant, ParticipantSettings, Parts, WithOutcomes,
};
use sqlx::{AssertSqlSafe, Row};
use test_support::TestDatabase;
use tokio::sync::Notify;
use uuid::Uuid;

const PARTITIONS: i32 = 3;
/// How long the sandbox lets its customers wait in vain.
const PATIENCE: Duration = Duration::from_millis(2);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// 1 January 2100: always young.
const YOUNG: i64 = 4_102_444_800_000;

pub(crate) struct World {
    pub(crate) database: Database,
    participant: Participant<PaymentDecider>,
}

/// An event that was read from the log.
#[derive(Clone)]
pub(crate) struct Event {
    pub(crate) heading: Heading,
    pub(crate) record: Record,
}

impl Event {
    pub(crate) fn new(status: OrderStatus, order: &WireOrder) -> Self {
        Self::of(OrderEvent::new(status, order.clone()))
    }

    pub(crate) fn of(event: OrderEvent) -> Self {
        let order_id = event.order.order_id;
        let status = event.status.as_str().parse().unwrap();
        Self {
            heading: Heading {
                order_id,
                status,
                event_id: "event".to_owned(),
                bare: false,
            },
            record: Record {
                partition: home_partition(order_id, PARTITIONS),
                offset: 0,
                timestamp: Some(YOUNG),
                key: None,
                headers: Vec::new(),
                value: Some(event.to_json().unwrap().into_bytes()),
            },
        }
    }

    /// PAID, as this service appends it.
    pub(crate) fn paid(order: &WireOrder, payment_id: &str) -> Self {
        let amount = order.validate().unwrap().total().to_wire();
        let payment_id = payment_id.to_owned();
        let paid = OrderEvent::new(OrderStatus::Paid, order.clone());
        Self::of(paid.with_payment(WirePayment { payment_id, amount }))
    }
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

fn parts(database: &Database) -> Parts<PaymentDecider> {
    let kafka = KafkaConfig::for_bootstrap("127.0.0.1:1", "test");
    let decider = PaymentDecider::new(
        database.dialect(),
        Arc::new(Notify::new()),
        Arc::new(Notify::new()),
    );
    Parts {
        name: "payment",
        writer: payment_service::NAME,
        log_name: None,
        decider,
        database: database.clone(),
        producer: KafkaProducer::new(&kafka).unwrap(),
        kafka,
        settings: ParticipantSettings::for_group("payment"),
        health: Health::new(&Shutdown::new()),
    }
}

impl World {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let database = Database::open(&DatabaseConfig::new(database.url())).unwrap();
        database.migrate(&[&MIGRATIONS]).await.unwrap();
        Self {
            participant: Participant::new(parts(&database)),
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
    ) -> WithOutcomes<PaymentDecider, PaymentHandler<G>> {
        let dialect = self.database.dialect();
        let wake = Arc::new(Notify::new());
        let handler = PaymentHandler::new(operation, gateway, dialect, DAY, wake);
        self.participant.with_outcomes(handler)
    }

    /// Folds and decides about `events` in one transaction, like a batch of the participant: an event
    /// without effect is not decided about.
    pub(crate) async fn read(&self, events: &[Event]) -> Vec<Decision> {
        self.read_as(events, false).await
    }

    /// The same for events that were there before the database, which is an older one.
    pub(crate) async fn read_history(&self, events: &[Event]) -> Vec<Decision> {
        self.read_as(events, true).await
    }

    async fn read_as(&self, events: &[Event], history: bool) -> Vec<Decision> {
        let mut tx = self.database.begin().await.unwrap();
        let mut changes = Vec::new();
        for event in events {
            let order_id = event.heading.order_id;
            let before = self.fold(&mut tx, event).await;
            let Some(before) = before else { continue };
            changes.push(Change {
                status: event.heading.status,
                before,
                heading: &event.heading,
                record: &event.record,
                home_partition: home_partition(order_id, PARTITIONS),
                redriven: false,
            });
        }
        let decider = parts(&self.database).decider;
        let decisions = match history {
            true => decider.decide_history(&mut tx, &changes).await,
            false => decider.decide(&mut tx, &changes).await,
        };
        let decisions = decisions.unwrap();
        tx.commit().await.unwrap();
        decisions
    }

    /// The status before, if the event has an effect.
    async fn fold(&self, tx: &mut Tx, event: &Event) -> Option<Option<OrderStatus>> {
        let (id, home) = (event.heading.order_id, event.record.partition);
        sqlx::query(
            "INSERT INTO participant_orders (participant, order_id, home_partition) \
             VALUES ('payment', $1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(id.to_string())
        .bind(i64::from(home))
        .execute(&mut **tx)
        .await
        .unwrap();
        let lock = self.database.dialect().for_update();
        let text = format!("SELECT status FROM participant_orders WHERE order_id = $1{lock}");
        let status: String = sqlx::query_scalar(AssertSqlSafe(text))
            .bind(id.to_string())
            .fetch_one(&mut **tx)
            .await
            .unwrap();
        let before = status.parse().ok();
        let mut state = OrderState::from(before);
        if state.apply(event.heading.status) == base_domains::Effect::NoEffect {
            return None;
        }
        sqlx::query(
            "UPDATE participant_orders SET status = $1, state_rank = $2 WHERE order_id = $3",
        )
        .bind(event.heading.status.as_str())
        .bind(state.rank())
        .bind(id.to_string())
        .execute(&mut **tx)
        .await
        .unwrap();
        Some(before)
    }

    /// The stored outcome that was not read back yet.
    pub(crate) async fn outcome(&self, order_id: OrderId) -> Option<OrderEvent> {
        let row = sqlx::query(
            "SELECT outcome FROM participant_orders WHERE order_id = $1 AND outcome_rank > state_rank",
        )
        .bind(order_id.to_string())
        .fetch_optional(self.database.pool())
        .await
        .unwrap()?;
        let encoded: EncodedEvent = serde_json::from_str(&row.get::<String, _>(0)).unwrap();
        Some(OrderEvent::from_json(encoded.value.as_bytes()).unwrap())
    }

    /// Leases the order's due charge or refund, or one whose lease has run out.
    pub(crate) async fn lease(&self, operation: Operation, order: &WireOrder) -> Option<Job> {
        self.lease_job(operation, &job_id(operation, order.order_id))
            .await
    }

    pub(crate) async fn lease_job(&self, operation: Operation, id: &str) -> Option<Job> {
        // Nobody else's: the others fall due later.
        let now = "UPDATE jobs SET next_try_at = CASE WHEN job_id = $1 THEN 0 ELSE 9 END \
                   WHERE state = 'due'";
        sqlx::query(now)
            .bind(id)
            .execute(self.database.pool())
            .await
            .unwrap();
        let mut tx = self.database.begin().await.unwrap();
        let claim = Claim {
            kind: operation.as_str(),
            partitions: &[0, 1, 2],
            due_until: 1,
            limit: 1,
            lease: Duration::from_secs(60),
        };
        let leased = jobs::claim(&mut tx, self.database.dialect(), claim).await;
        tx.commit().await.unwrap();
        leased.unwrap().into_iter().find(|job| job.job_id == id)
    }

    /// As if the process of this job had died: its lease has run out.
    pub(crate) async fn crash(&self, job: &Job) {
        sqlx::query("UPDATE jobs SET lease_until = 0 WHERE job_id = $1 AND state = 'leased'")
            .bind(&*job.job_id)
            .execute(self.database.pool())
            .await
            .unwrap();
    }

    /// Asks the sandbox, without recording what it says.
    pub(crate) async fn ask(&self, operation: Operation, job: &Job) -> JobResult {
        self.handler(operation, self.sandbox()).run(job).await
    }

    /// Records a result without publishing its outcome; `false`: the lease was lost.
    pub(crate) async fn record(&self, operation: Operation, job: &Job, result: &JobResult) -> bool {
        let delay = Duration::ZERO;
        let attempted = Attempted { job, result, delay };
        let handler = self.handler(operation, self.sandbox());
        match handler.record(&self.database, &attempted).await.unwrap() {
            Recorded::LeaseLost => false,
            Recorded::Committed(publishing) => {
                drop(publishing);
                true
            }
        }
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
        let filter = JobFilter {
            order_id: Some(order.order_id.to_string()),
            ..JobFilter::default()
        };
        let mut jobs = jobs::list(&self.database, &filter, 100).await.unwrap();
        jobs.sort_by(|one, other| one.job_id.cmp(&other.job_id));
        jobs
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
