//! Jobs whose results move orders on: a charge that makes an order PAID, and is taken back when the
//! order ended otherwise (rule R5).

use std::sync::Arc;
use std::time::Duration;

use base_domains::{
    EncodedEvent, Encoder, OrderEvent, OrderId, OrderStatus, WireOrder, home_partition,
};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use service_runtime::database::{Database, Dialect, Tx};
use service_runtime::health::Health;
use service_runtime::jobs::{
    self, Attempted, Claim, Job, JobHandler, JobResult, JobState, NewJob, RecordError, Recorded,
    Worker, WorkerConfig,
};
use service_runtime::kafka::{
    EventProducer, KafkaConfig, KafkaProducer, LoopError, NewRecord, Record, read_all,
};
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{
    Change, DecideError, Decider, Decision, LockedOrder, OutcomeHandler, Participant,
    ParticipantSettings, Parts, Settlement, SweepSettings, WithOutcomes,
};
use test_support::{Test, TestDatabase, test};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use crate::support::{Fresh, eventually, execute, number, row};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_result_is_recorded_with_its_outcome_which_is_read_back_from_the_log).threads(2),
        test!(an_outcome_that_was_stored_and_not_published_is_swept_with_the_same_bytes).threads(2),
        test!(a_result_whose_lease_was_lost_writes_nothing),
        test!(a_result_whose_outcome_has_no_effect_writes_nothing),
        test!(a_result_replaces_no_unconfirmed_outcome_that_goes_as_far),
        test!(of_a_result_and_the_end_of_its_order_the_second_makes_the_refund).threads(2),
        test!(a_race_of_a_result_and_the_end_of_its_order_makes_one_refund).threads(2),
        test!(a_job_that_nobody_leased_before_its_order_ended_is_never_run).threads(2),
    ]
}

const DEADLINE: Duration = Duration::from_secs(40);
const PARTITIONS: i32 = 3;

fn job_id(kind: &str, order_id: OrderId) -> String {
    format!("{kind}/{order_id}")
}

fn job(kind: &str, order_id: OrderId, payload: String) -> NewJob {
    NewJob {
        job_id: job_id(kind, order_id),
        kind: kind.to_owned(),
        order_id: order_id.to_string(),
        partition: home_partition(order_id, PARTITIONS),
        payload,
        age_from: None,
        due_at: None,
    }
}

/// Charges pending orders; refunds what is charged when its order is cancelled.
#[derive(Clone)]
struct Charge(Dialect);

impl Decider for Charge {
    async fn decide(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        for change in changes {
            let order_id = change.order_id();
            let new = match change.status {
                OrderStatus::Pending => {
                    let event = change.event().unwrap();
                    let payload = serde_json::to_string(&event.order).unwrap();
                    vec![job("charge", order_id, payload)]
                }
                OrderStatus::Cancelled => {
                    let charge = job_id("charge", order_id);
                    jobs::withdraw(tx, self.0, std::slice::from_ref(&charge), "cancelled").await?;
                    let charged = "SELECT COUNT(*) FROM jobs WHERE job_id = $1 AND state = 'done'";
                    let charged = sqlx::query_scalar::<_, i64>(charged)
                        .bind(charge)
                        .fetch_one(&mut **tx);
                    let refund = job("refund", order_id, "by the fold".to_owned());
                    let charged = charged
                        .await
                        .map_err(service_runtime::database::DatabaseError::from)?;
                    vec![refund; usize::try_from(charged).unwrap()]
                }
                _ => Vec::new(),
            };
            jobs::insert(tx, self.0, &new).await?;
        }
        Ok(vec![Decision::Done; changes.len()])
    }
}

/// Charges as soon as it gets a permit.
#[derive(Clone)]
struct Charging {
    dialect: Dialect,
    permits: Arc<Semaphore>,
    outcome: OrderStatus,
}

impl JobHandler for Charging {
    fn kind(&self) -> &'static str {
        "charge"
    }

    async fn run(&self, _: &Job) -> JobResult {
        self.permits.acquire().await.unwrap().forget();
        charged()
    }
}

fn charged() -> JobResult {
    JobResult::Done {
        result: Some("charged".to_owned()),
    }
}

impl OutcomeHandler for Charging {
    async fn settle(
        &self,
        tx: &mut Tx,
        order: &LockedOrder,
        job: &Job,
        result: &JobResult,
    ) -> Result<Settlement, DecideError> {
        assert_eq!(*result, charged());
        assert_eq!(order.order_id.to_string(), job.order_id);
        if order.status == Some(OrderStatus::Cancelled) {
            let refund = self::job("refund", order.order_id, "by the result".to_owned());
            jobs::insert(tx, self.dialect, &[refund]).await?;
            return Ok(Settlement::done());
        }
        let order: WireOrder = job.payload_as().unwrap();
        Ok(Settlement::append(OrderEvent::new(self.outcome, order)))
    }
}

struct World {
    // Alive until every client is gone.
    _mock: MockCluster<'static, DefaultProducerContext>,
    kafka: KafkaConfig,
    producer: KafkaProducer,
    database: Database,
    charging: Charging,
}

/// A participant and its worker, running.
struct Running {
    shutdown: Shutdown,
    participant: JoinHandle<Result<(), LoopError>>,
    stop: Shutdown,
    worker: Option<JoinHandle<()>>,
}

impl Running {
    async fn end(self) {
        self.stop.trigger();
        if let Some(worker) = self.worker {
            worker.await.unwrap();
        }
        self.shutdown.trigger();
        let ended = tokio::time::timeout(DEADLINE, self.participant).await;
        ended.unwrap().unwrap().unwrap();
    }
}

async fn world(database: TestDatabase) -> World {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("orders", PARTITIONS, 1).unwrap();
    mock.create_topic("orders.payment.dlt", PARTITIONS, 1)
        .unwrap();
    let mut kafka = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
    kafka.create_topics = false;
    kafka.session_timeout = Duration::from_secs(4);
    kafka.fetch_wait_max = Duration::from_millis(20);
    let Fresh { database, .. } = Fresh::new(database).await;
    World {
        _mock: mock,
        producer: KafkaProducer::new(&kafka).unwrap(),
        kafka,
        charging: Charging {
            dialect: database.dialect(),
            permits: Arc::new(Semaphore::new(0)),
            outcome: OrderStatus::Paid,
        },
        database,
    }
}

impl World {
    fn participant(&self) -> Participant<Charge> {
        Participant::new(Parts {
            name: "payment",
            writer: "payment-service",
            log_name: None,
            decider: Charge(self.database.dialect()),
            database: self.database.clone(),
            kafka: self.kafka.clone(),
            producer: self.producer.clone(),
            settings: ParticipantSettings {
                sweep: SweepSettings {
                    interval: Duration::from_millis(100),
                    max_backoff: Duration::from_secs(1),
                },
                ..ParticipantSettings::for_group("payment")
            },
            health: Health::new(&Shutdown::new()),
        })
    }

    fn handler(&self) -> WithOutcomes<Charge, Charging> {
        self.participant().with_outcomes(self.charging.clone())
    }

    /// Starts the participant, with a worker for this many jobs at a time.
    fn start(&self, concurrency: usize) -> Running {
        let (shutdown, stop) = (Shutdown::new(), Shutdown::new());
        let participant = self.participant();
        let config = WorkerConfig {
            concurrency,
            batch: concurrency.max(1),
            poll_interval: Duration::from_millis(20),
            ..WorkerConfig::default()
        };
        let worker = Worker::new(
            self.database.clone(),
            participant.with_outcomes(self.charging.clone()),
            participant.gate(),
            config,
            Arc::new(Notify::new()),
        );
        Running {
            participant: tokio::spawn(participant.run(shutdown.clone())),
            worker: (concurrency > 0).then(|| tokio::spawn(worker.run(stop.clone()))),
            shutdown,
            stop,
        }
    }

    async fn append(&self, order_id: OrderId, status: OrderStatus) {
        let event = event(order_id, status);
        let record = NewRecord::event("orders", &event);
        self.producer.enqueue(&record).unwrap().await.unwrap();
    }

    /// The records of one order, as they are in the log.
    async fn log_of(&self, order_id: OrderId) -> Vec<Record> {
        let records = read_all(&self.kafka, "orders", DEADLINE).await.unwrap();
        let key = Some(order_id.to_string().into_bytes());
        records
            .into_iter()
            .filter(|record| record.key == key)
            .collect()
    }

    async fn until_status(&self, order_id: OrderId, status: &str) {
        let text = format!(
            "SELECT COUNT(*) FROM participant_orders WHERE order_id = '{order_id}' AND status = '{status}'"
        );
        eventually(status, async || number(&self.database, &text).await == 1).await;
    }

    async fn until_state(&self, order_id: OrderId, state: JobState) {
        let id = job_id("charge", order_id);
        let text = format!(
            "SELECT COUNT(*) FROM jobs WHERE job_id = '{id}' AND state = '{}'",
            state.as_str()
        );
        eventually(state.as_str(), async || {
            number(&self.database, &text).await == 1
        })
        .await;
    }

    /// A pending order whose charge is leased, without a participant.
    async fn leased(&self, order_id: OrderId) -> Job {
        let home = home_partition(order_id, PARTITIONS);
        execute(
            &self.database,
            &format!(
                "INSERT INTO participant_orders (participant, order_id, home_partition, status, state_rank) \
                 VALUES ('payment', '{order_id}', {home}, 'PENDING', 1)"
            ),
        )
        .await;
        let payload = serde_json::to_string(&order(order_id)).unwrap();
        let mut tx = self.database.begin().await.unwrap();
        let dialect = self.database.dialect();
        let new = [job("charge", order_id, payload)];
        jobs::insert(&mut tx, dialect, &new).await.unwrap();
        let claim = Claim {
            kind: "charge",
            partitions: &[home],
            due_until: i64::MAX,
            limit: 1,
            lease: Duration::from_secs(60),
        };
        let mut leased = jobs::claim(&mut tx, dialect, claim).await.unwrap();
        tx.commit().await.unwrap();
        leased.remove(0)
    }

    async fn record(&self, job: &Job) -> Result<Recorded, RecordError> {
        let attempted = Attempted {
            job,
            result: &charged(),
            delay: Duration::ZERO,
        };
        self.handler().record(&self.database, &attempted).await
    }

    async fn outcome(&self, order_id: OrderId) -> String {
        sqlx::query_scalar("SELECT outcome FROM participant_orders WHERE order_id = $1")
            .bind(order_id.to_string())
            .fetch_one(self.database.pool())
            .await
            .unwrap()
    }

    async fn refunds(&self) -> i64 {
        number(
            &self.database,
            "SELECT COUNT(*) FROM jobs WHERE kind = 'refund'",
        )
        .await
    }
}

fn order(order_id: OrderId) -> WireOrder {
    WireOrder {
        order_id,
        name: "book order".to_owned(),
        qty: 5,
        price: 10000.0,
        email: None,
        items: None,
    }
}

fn event(order_id: OrderId, status: OrderStatus) -> EncodedEvent {
    let encoder = Encoder {
        writer: "order-service".to_owned(),
        type_id: None,
    };
    let event = OrderEvent::new(status, order(order_id));
    encoder
        .encode(&event, jiff::Timestamp::UNIX_EPOCH, None)
        .unwrap()
}

fn id(key: &str) -> OrderId {
    OrderId::from_idempotency_key("test", key)
}

async fn a_result_is_recorded_with_its_outcome_which_is_read_back_from_the_log(
    database: TestDatabase,
) {
    let world = world(database).await;
    let running = world.start(1);
    let order_id = id("paid");
    world.append(order_id, OrderStatus::Pending).await;
    world.charging.permits.add_permits(1);
    world.until_status(order_id, "PAID").await;
    let charge = row(&world.database, &job_id("charge", order_id)).await;
    assert_eq!((charge.state, charge.attempts), (JobState::Done, 1));
    assert_eq!(charge.result.as_deref(), Some("charged"));
    let log = world.log_of(order_id).await;
    assert_eq!(log[1].header("ce_type"), Some("order.paid"));
    assert_eq!(log[1].header("ce_source"), Some("/payment-service"));
    // On a slow machine the sweep may have been first.
    assert!(log[2..].iter().all(|again| again.value == log[1].value));
    running.end().await;
}

/// What a crash between commit and publish leaves.
async fn an_outcome_that_was_stored_and_not_published_is_swept_with_the_same_bytes(
    database: TestDatabase,
) {
    let world = world(database).await;
    let order_id = id("crash");
    let job = world.leased(order_id).await;
    let Recorded::Committed(publishing) = world.record(&job).await.unwrap() else {
        panic!("the lease is lost");
    };
    drop(publishing);
    let stored: EncodedEvent = serde_json::from_str(&world.outcome(order_id).await).unwrap();
    let charge = row(&world.database, &job_id("charge", order_id)).await;
    assert_eq!(charge.state, JobState::Done);
    assert_eq!(world.log_of(order_id).await.len(), 0);

    let running = world.start(0);
    world.until_status(order_id, "PAID").await;
    running.end().await;
    let log = world.log_of(order_id).await;
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].value.as_deref(), Some(stored.value.as_bytes()));
    assert_eq!(log[0].headers, stored.header_bytes());
}

async fn a_result_whose_lease_was_lost_writes_nothing(database: TestDatabase) {
    let world = world(database).await;
    let order_id = id("lost");
    let job = world.leased(order_id).await;
    execute(&world.database, "UPDATE jobs SET lease_token = 'another'").await;
    for status in ["PENDING", "CANCELLED"] {
        let status = format!("UPDATE participant_orders SET status = '{status}'");
        execute(&world.database, &status).await;
        let recorded = world.record(&job).await.unwrap();
        assert!(matches!(recorded, Recorded::LeaseLost), "{recorded:?}");
        assert_eq!(world.outcome(order_id).await, "");
        assert_eq!(world.refunds().await, 0);
    }
    let charge = row(&world.database, &job_id("charge", order_id)).await;
    assert_eq!((charge.state, charge.result), (JobState::Leased, None));
}

/// Rule R12: it could never be confirmed. The job runs again, and meanwhile somebody may repair this.
async fn a_result_whose_outcome_has_no_effect_writes_nothing(database: TestDatabase) {
    let mut world = world(database).await;
    world.charging.outcome = OrderStatus::Pending;
    let order_id = id("no effect");
    let job = world.leased(order_id).await;
    let error = world.record(&job).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "an outcome PENDING has no effect on an order in state PENDING"
    );
    assert_eq!(world.outcome(order_id).await, "");
    let charge = row(&world.database, &job_id("charge", order_id)).await;
    assert_eq!((charge.state, charge.result), (JobState::Leased, None));
}

/// Its bytes may be in the log already.
async fn a_result_replaces_no_unconfirmed_outcome_that_goes_as_far(database: TestDatabase) {
    let world = world(database).await;
    use OrderStatus::{Paid, Rejected, Reserved};
    for (stored, kept) in [(Rejected, true), (Paid, true), (Reserved, false)] {
        let order_id = id(stored.as_str());
        let job = world.leased(order_id).await;
        let outcome = serde_json::to_string(&event(order_id, stored)).unwrap();
        let store =
            "UPDATE participant_orders SET outcome = $1, outcome_rank = $2 WHERE order_id = $3";
        sqlx::query(store)
            .bind(&*outcome)
            .bind(stored.rank())
            .bind(order_id.to_string())
            .execute(world.database.pool())
            .await
            .unwrap();
        let recorded = world.record(&job).await.unwrap();
        let Recorded::Committed(publishing) = recorded else {
            panic!("the lease is lost");
        };
        publishing.await;
        let charge = row(&world.database, &job.job_id).await;
        assert_eq!(charge.state, JobState::Done);
        let published = usize::from(!kept);
        assert_eq!(world.log_of(order_id).await.len(), published, "{stored:?}");
        assert_eq!(world.outcome(order_id).await == outcome, kept, "{stored:?}");
    }
}

async fn of_a_result_and_the_end_of_its_order_the_second_makes_the_refund(database: TestDatabase) {
    let world = world(database).await;
    let running = world.start(1);
    let (first, second) = (id("result first"), id("end first"));

    world.append(first, OrderStatus::Pending).await;
    world.charging.permits.add_permits(1);
    world.until_state(first, JobState::Done).await;
    world.append(first, OrderStatus::Cancelled).await;
    world.until_status(first, "CANCELLED").await;
    let refund = row(&world.database, &job_id("refund", first)).await;
    assert_eq!(refund.payload, "by the fold");

    world.append(second, OrderStatus::Pending).await;
    world.until_state(second, JobState::Leased).await;
    world.append(second, OrderStatus::Cancelled).await;
    world.until_status(second, "CANCELLED").await;
    assert_eq!(world.refunds().await, 1);
    world.charging.permits.add_permits(1);
    world.until_state(second, JobState::Done).await;
    let refund = row(&world.database, &job_id("refund", second)).await;
    assert_eq!(refund.payload, "by the result");
    running.end().await;
    assert_eq!(world.refunds().await, 2);
    assert_eq!(
        world.log_of(second).await.len(),
        2,
        "nobody appends PAID after the end"
    );
}

async fn a_race_of_a_result_and_the_end_of_its_order_makes_one_refund(database: TestDatabase) {
    let world = world(database).await;
    let running = world.start(1);
    // The end has to go through the log and the result does not: it is held back for so long that
    // now one wins and now the other.
    let mut head_start = Duration::from_millis(5);
    let (mut by_the_fold, mut by_the_result) = (0, 0);
    while by_the_fold < 10 || by_the_result < 10 {
        let round = by_the_fold + by_the_result;
        assert!(round < 300, "{by_the_fold} {by_the_result}");
        let order_id = id(&format!("race {round}"));
        world.append(order_id, OrderStatus::Pending).await;
        world.until_state(order_id, JobState::Leased).await;
        let release = async {
            tokio::time::sleep(head_start).await;
            world.charging.permits.add_permits(1);
        };
        tokio::join!(world.append(order_id, OrderStatus::Cancelled), release);
        world.until_status(order_id, "CANCELLED").await;
        world.until_state(order_id, JobState::Done).await;
        let refund = row(&world.database, &job_id("refund", order_id)).await;
        if refund.payload == "by the fold" {
            by_the_fold += 1;
            head_start = head_start.mul_f64(1.3);
        } else {
            by_the_result += 1;
            head_start = head_start.mul_f64(0.75);
        }
        assert_eq!(world.refunds().await, i64::from(round) + 1);
    }
    running.end().await;
}

async fn a_job_that_nobody_leased_before_its_order_ended_is_never_run(database: TestDatabase) {
    let world = world(database).await;
    // Without a worker, so that nobody leases it.
    let running = world.start(0);
    let order_id = id("withdrawn");
    world.append(order_id, OrderStatus::Pending).await;
    world.until_state(order_id, JobState::Due).await;
    world.append(order_id, OrderStatus::Cancelled).await;
    world.until_state(order_id, JobState::Skipped).await;
    running.end().await;
    let charge = row(&world.database, &job_id("charge", order_id)).await;
    assert_eq!(
        (charge.attempts, charge.result.as_deref()),
        (0, Some("cancelled"))
    );
    assert_eq!(world.refunds().await, 0);
}
