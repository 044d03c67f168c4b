//! The service's database, with events decided and notifications delivered as in the running service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base_domains::{Heading, OrderId, OrderStatus, home_partition};
use secrecy::ExposeSecret as _;
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::jobs::{
    self, Attempted, Claim, GateError, HistoryGate, Job, JobFilter, JobHandler as _, JobResult,
    JobRow, JobState, Recorded,
};
use service_runtime::kafka::Record;
use service_runtime::lifecycle::{ServiceConfig as _, Shutdown};
use service_runtime::participant::{Change, Decider as _, Decision};
use test_support::TestDatabase;
use tokio::task::JoinHandle;
use uuid::Uuid;
use webhook_service::crew::{Crew, CrewError};
use webhook_service::decider::WebhookDecider;
use webhook_service::job::{DeliveryHandler, kind};
use webhook_service::secret::Secret;
use webhook_service::sender::Sender;
use webhook_service::store::{self, MIGRATIONS, NewWebhook, Webhook};
use webhook_service::wakes::Wakes;
use webhook_service::{Config, WebhookConfig};

const PARTITIONS: i32 = 3;
/// 1 January 2100, and a millisecond: always young.
pub(crate) const YOUNG: i64 = 4_102_444_800_001;
/// 1 January 2020.
pub(crate) const OLD: i64 = 1_577_836_800_000;
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const SHOP: &str = "https://shop.example.com";

/// Of a test, whose receivers are on this machine.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("PUBLIC_URL", SHOP),
    ("WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "true"),
    ("WEBHOOK_RETRY_MAX_DELAY", "10ms"),
];

pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) config: WebhookConfig,
    pub(crate) wakes: Arc<Wakes>,
}

/// An event that was read from the log. Its body cannot be read, and need not be.
pub(crate) struct Event {
    pub(crate) heading: Heading,
    pub(crate) record: Record,
}

/// A crew at work.
pub(crate) struct Working {
    shutdown: Shutdown,
    crew: JoinHandle<Result<(), CrewError>>,
}

pub(crate) fn order() -> OrderId {
    OrderId::new(Uuid::now_v7())
}

impl Event {
    pub(crate) fn new(status: OrderStatus, order_id: OrderId) -> Self {
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
                value: Some(b"{".to_vec()),
            },
        }
    }

    pub(crate) fn at(mut self, timestamp: i64) -> Self {
        self.record.timestamp = Some(timestamp);
        self
    }

    fn change(&self) -> Change<'_> {
        Change {
            status: self.heading.status,
            before: None,
            heading: &self.heading,
            record: &self.record,
            home_partition: self.record.partition,
            redriven: false,
        }
    }
}

impl World {
    pub(crate) async fn new(database: TestDatabase, environment: &[(&str, &str)]) -> Self {
        let environment = ENVIRONMENT.iter().chain(environment).copied();
        let (config, _) = Config::load(None, environment).unwrap();
        let database = Database::open(&DatabaseConfig::new(database.url())).unwrap();
        database.migrate(&[&MIGRATIONS]).await.unwrap();
        Self {
            database,
            config: config.webhook,
            wakes: Arc::default(),
        }
    }

    /// Registers a webhook; its id and its secret.
    pub(crate) async fn register(&self, url: &str, states: &[OrderStatus]) -> (Uuid, String) {
        let secret = Secret::generate().unwrap().text();
        let new = NewWebhook {
            id: Uuid::now_v7(),
            url: url.to_owned().into(),
            secret: secret.clone(),
            states: states.to_vec(),
        };
        let limit = self.config.max_registered;
        assert!(store::register(&self.database, &new, limit).await.unwrap());
        self.wakes.change();
        (new.id, secret.expose_secret().to_owned())
    }

    pub(crate) async fn webhook(&self, id: Uuid) -> Webhook {
        store::find(&self.database, id).await.unwrap().unwrap()
    }

    /// Decides about `events` in one batch.
    pub(crate) async fn decide(&self, events: &[Event]) -> Vec<Decision> {
        let dialect = self.database.dialect();
        let public_url = self.config.public_url.clone();
        let decider = WebhookDecider::new(dialect, public_url, Arc::clone(&self.wakes));
        let changes: Vec<Change<'_>> = events.iter().map(Event::change).collect();
        let mut tx = self.database.begin().await.unwrap();
        let decisions = decider.decide(&mut tx, &changes).await.unwrap();
        tx.commit().await.unwrap();
        decider.committed(&changes);
        decisions
    }

    /// Tells of so many orders that they were shipped.
    pub(crate) async fn ship(&self, orders: usize) {
        let shipped = |_| Event::new(OrderStatus::Shipped, order());
        let events: Vec<Event> = (0..orders).map(shipped).collect();
        self.decide(&events).await;
    }

    /// The deliveries of a webhook, by their ids.
    pub(crate) async fn deliveries(&self, webhook: Uuid) -> Vec<JobRow> {
        let filter = JobFilter {
            kind: Some(kind(webhook)),
            ..JobFilter::default()
        };
        let mut jobs = jobs::list(&self.database, &filter, 1000).await.unwrap();
        jobs.sort_by(|one, other| one.job_id.cmp(&other.job_id));
        jobs
    }

    pub(crate) async fn states(&self, webhook: Uuid) -> Vec<JobState> {
        let deliveries = self.deliveries(webhook).await;
        deliveries.iter().map(|job| job.state).collect()
    }

    /// Waits until all deliveries of a webhook are in this state.
    pub(crate) async fn until_all_are(&self, state: JobState, webhook: Uuid) {
        let all = async || {
            let states = self.states(webhook).await;
            !states.is_empty() && states.iter().all(|found| *found == state)
        };
        eventually("the state of all deliveries", all).await;
    }

    pub(crate) fn crew(&self) -> Working {
        let crew = Crew {
            database: self.database.clone(),
            gate: Open,
            sender: Sender::new(&self.config.sender).unwrap(),
            config: self.config.clone(),
            wakes: Arc::clone(&self.wakes),
        };
        let shutdown = Shutdown::new();
        let crew = tokio::spawn(crew.run(shutdown.clone()));
        Working { shutdown, crew }
    }

    fn handler(&self, webhook: Uuid) -> DeliveryHandler {
        DeliveryHandler::new(
            webhook,
            self.database.clone(),
            Sender::new(&self.config.sender).unwrap(),
            self.config.max_age,
            self.config.retry_max_delay,
        )
    }

    /// Leases a delivery that waits.
    pub(crate) async fn lease(&self, webhook: Uuid) -> Option<Job> {
        let mut tx = self.database.begin().await.unwrap();
        let kind = kind(webhook);
        let claim = Claim {
            kind: &kind,
            partitions: &[0, 1, 2],
            due_until: i64::MAX,
            limit: 1,
            lease: Duration::from_secs(60),
        };
        let leased = jobs::claim(&mut tx, self.database.dialect(), claim).await;
        tx.commit().await.unwrap();
        leased.unwrap().pop()
    }

    /// Makes one attempt at a delivery that waits, and records what came of it.
    pub(crate) async fn attempt(&self, webhook: Uuid) -> JobResult {
        let job = self.lease(webhook).await.expect("a delivery that waits");
        let handler = self.handler(webhook);
        let result = handler.run(&job).await;
        let attempted = Attempted {
            job: &job,
            result: &result,
            delay: Duration::ZERO,
        };
        match handler.record(&self.database, &attempted).await.unwrap() {
            Recorded::Committed(then) => then.await,
            Recorded::LeaseLost => panic!("the lease was lost"),
        }
        result
    }
}

impl Working {
    /// Ends it; deliveries under way are finished.
    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        self.crew.await.unwrap().unwrap();
    }
}

/// A log that was read to its end.
#[derive(Clone)]
struct Open;

impl HistoryGate for Open {
    async fn read_past_now(&self, _: i32) -> Result<bool, GateError> {
        Ok(true)
    }
}

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
