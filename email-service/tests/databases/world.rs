//! The service's database, with events decided and mails sent as in the running service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base_domains::{Heading, OrderEvent, OrderId, OrderStatus, WireOrder};
use email_service::decider::MailDecider;
use email_service::job::{KIND, MailHandler};
use email_service::mail::Mail;
use email_service::mailer::Mailer;
use email_service::{Config, MailConfig};
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::jobs::{
    self, GateError, HistoryGate, JobFilter, JobRow, Worker, WorkerConfig,
};
use service_runtime::kafka::Record;
use service_runtime::lifecycle::ServiceConfig as _;
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{Change, Decider as _, Decision};
use test_support::TestDatabase;
use tokio::sync::Notify;

const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) config: MailConfig,
    wake: Arc<Notify>,
}

/// An event that was read from the log.
pub(crate) struct Event {
    pub(crate) heading: Heading,
    pub(crate) record: Record,
}

impl Event {
    /// `status` of `order`, one millisecond after the beginning of 2100: never too old.
    pub(crate) fn new(status: OrderStatus, order: WireOrder) -> Self {
        let order_id = order.order_id;
        let event = OrderEvent::new(status, order).to_json().unwrap();
        Self {
            heading: heading(order_id, status),
            record: Record {
                partition: 2,
                offset: 0,
                timestamp: Some(4_102_444_800_001),
                key: None,
                headers: Vec::new(),
                value: Some(event.into_bytes()),
            },
        }
    }

    fn change(&self) -> Change<'_> {
        Change {
            status: self.heading.status,
            before: None,
            heading: &self.heading,
            record: &self.record,
            home_partition: 1,
            redriven: false,
        }
    }
}

fn heading(order_id: OrderId, status: OrderStatus) -> Heading {
    Heading {
        order_id,
        status,
        event_id: format!("event-{}", status.rank()),
        bare: false,
    }
}

impl World {
    pub(crate) async fn new(database: TestDatabase, environment: &[(&str, &str)]) -> Self {
        let (config, _) = Config::load(None, environment.iter().copied()).unwrap();
        let database = Database::open(&DatabaseConfig::new(database.url())).unwrap();
        database.migrate(&[]).await.unwrap();
        Self {
            database,
            config: config.mail,
            wake: Arc::default(),
        }
    }

    /// Decides about `events` in one batch.
    pub(crate) async fn decide(&self, events: &[Event]) -> Vec<Decision> {
        let dialect = self.database.dialect();
        let decider = MailDecider::new(&self.config, dialect, Arc::clone(&self.wake));
        let changes: Vec<Change<'_>> = events.iter().map(Event::change).collect();
        let mut tx = self.database.begin().await.unwrap();
        let decisions = decider.decide(&mut tx, &changes).await.unwrap();
        tx.commit().await.unwrap();
        decider.committed(&changes);
        decisions
    }

    pub(crate) async fn jobs(&self) -> Vec<JobRow> {
        let filter = JobFilter {
            kind: Some(KIND.to_owned()),
            ..JobFilter::default()
        };
        let mut jobs = jobs::list(&self.database, &filter, 1000).await.unwrap();
        jobs.sort_by(|one, other| one.job_id.cmp(&other.job_id));
        jobs
    }

    /// Lets a worker send with `mailer` until `done` holds for the jobs.
    pub(crate) async fn work(&self, mailer: impl Mailer, done: impl Fn(&[JobRow]) -> bool) {
        let handler = MailHandler::new(self.config.from.parse().unwrap(), mailer);
        let database = self.database.clone();
        let config = WorkerConfig {
            poll_interval: Duration::from_millis(5),
            ..self.config.worker()
        };
        let worker = Worker::new(database, handler, Open, config, Arc::clone(&self.wake));
        let stop = Shutdown::new();
        let running = tokio::spawn(worker.run(stop.clone()));
        let deadline = Instant::now() + DEADLINE;
        while !done(&self.jobs().await) {
            assert!(Instant::now() < deadline, "{:?}", self.jobs().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.trigger();
        running.await.unwrap();
    }
}

/// The mail that a job is about.
pub(crate) fn mail_of(job: &JobRow) -> Mail {
    serde_json::from_str(&job.payload).unwrap()
}

/// A log that was read to its end.
struct Open;

impl HistoryGate for Open {
    async fn read_past_now(&self, _: i32) -> Result<bool, GateError> {
        Ok(true)
    }
}
