//! Who is told that there may be something to do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

/// Wakes the workers of webhooks, each by itself, and who keeps them. A lost wake-up costs a poll interval.
#[derive(Debug, Default)]
pub struct Wakes {
    workers: Mutex<BTreeMap<Uuid, Arc<Notify>>>,
    crew: Notify,
}

impl Wakes {
    /// What the worker of a webhook waits for, from now on.
    #[must_use]
    pub fn hire(&self, webhook: Uuid) -> Arc<Notify> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(workers.entry(webhook).or_default())
    }

    /// The webhook has no worker any more.
    pub fn dismiss(&self, webhook: Uuid) {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.remove(&webhook);
    }

    /// There may be deliveries of this webhook.
    pub fn deliver(&self, webhook: Uuid) {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(worker) = workers.get(&webhook) {
            worker.notify_one();
        }
    }

    /// Webhooks came or went.
    pub fn change(&self) {
        self.crew.notify_one();
    }

    /// Waits until webhooks came or went.
    pub async fn changed(&self) {
        self.crew.notified().await;
    }
}
