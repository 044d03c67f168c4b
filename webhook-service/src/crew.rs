//! One worker for each webhook.
//!
//! What keeps receivers apart: a webhook has a worker of its own, with `WEBHOOK_CONCURRENCY` requests at a
//! time, so one that answers slowly or never uses up its own places and nobody else's. After a run of
//! failures its worker pauses and then tries one delivery at a time, so that a receiver that is down is
//! not asked for each of thousands. All together make at most `WEBHOOK_MAX_REGISTERED` times
//! `WEBHOOK_CONCURRENCY` requests at a time in each instance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use service_runtime::database::{Database, DatabaseError, ErrorClass};
use service_runtime::jobs::{HistoryGate, Worker, metrics};
use service_runtime::lifecycle::Shutdown;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use uuid::Uuid;

use crate::config::WebhookConfig;
use crate::job::{DeliveryHandler, kind};
use crate::sender::Sender;
use crate::store;
use crate::wakes::Wakes;

/// How often to look for webhooks that other instances registered or deleted.
const POLL: Duration = Duration::from_secs(1);

/// Hires and dismisses workers as webhooks come and go.
#[derive(Debug)]
pub struct Crew<G> {
    /// Where webhooks and deliveries are.
    pub database: Database,
    /// Opens when the log was read.
    pub gate: G,
    /// Makes the requests.
    pub sender: Sender,
    /// How persistently.
    pub config: WebhookConfig,
    /// Who calls.
    pub wakes: Arc<Wakes>,
}

/// Why a crew cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    /// A defect in its SQL.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A defect in a worker.
    #[error("a worker panicked: {0}")]
    Worker(#[from] JoinError),
}

/// Those who work, each with the signal that ends it.
type Hired = BTreeMap<Uuid, Shutdown>;

impl<G: HistoryGate + Clone> Crew<G> {
    /// Works until `shutdown`; deliveries under way are finished.
    ///
    /// # Errors
    /// A defect. A database that is down is waited for.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), CrewError> {
        let (mut hired, mut working) = (Hired::new(), JoinSet::new());
        while !shutdown.is_cancelled() {
            match store::to_work_for(&self.database).await {
                Ok(wanted) => {
                    self.dismiss(&mut hired, &wanted.iter().copied().collect());
                    for webhook in wanted {
                        let worker = || self.hire(webhook, &shutdown, &mut working);
                        hired.entry(webhook).or_insert_with(worker);
                    }
                }
                Err(error) if error.class() == ErrorClass::Bug => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "The webhooks cannot be read."),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.wakes.changed() => {}
                () = sleep(POLL) => {}
                Some(ended) = working.join_next() => metrics::retired(&kind(ended?)),
            }
        }
        while let Some(ended) = working.join_next().await {
            ended?;
        }
        Ok(())
    }

    fn hire(&self, webhook: Uuid, shutdown: &Shutdown, working: &mut JoinSet<Uuid>) -> Shutdown {
        let config = &self.config;
        let handler = DeliveryHandler::new(
            webhook,
            self.database.clone(),
            self.sender.clone(),
            config.max_age,
            config.retry_max_delay,
        );
        let wake = self.wakes.hire(webhook);
        let (gate, settings) = (self.gate.clone(), config.worker());
        let worker = Worker::new(self.database.clone(), handler, gate, settings, wake);
        let until = shutdown.child();
        let running = worker.run(until.clone());
        working.spawn(async move {
            running.await;
            webhook
        });
        until
    }

    fn dismiss(&self, hired: &mut Hired, wanted: &BTreeSet<Uuid>) {
        hired.retain(|webhook, until| {
            let stays = wanted.contains(webhook);
            if !stays {
                until.trigger();
                self.wakes.dismiss(*webhook);
            }
            stays
        });
    }
}
