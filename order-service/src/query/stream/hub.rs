//! Reads the newest steps of all orders once, for everybody who streams them.
//!
//! The source is the history in the read model, not the topic: it holds only what had an effect, is the same for
//! every instance, and any position in it can be returned to. Within a partition its rows become visible in the
//! order of their offsets, because a partition's batches are committed one after the other, whoever commits them.

use std::sync::Arc;
use std::time::Duration;

use service_runtime::lifecycle::Shutdown;
use tokio::sync::{Mutex, broadcast};
use tokio::time::sleep;

use super::notice::Step;
use super::position::Position;
use crate::query::store;
use crate::query::waiting::Waiters;
use crate::storage::{Storage, StorageError, within};

/// Steps that are kept for those who stream; who falls further behind is dropped.
const KEPT: usize = 1024;
/// Longest time for one reading: a database that vanished must hold up nobody who asks.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// Another instance may have folded a partition, and nobody wakes us for that.
const REREAD: Duration = Duration::from_secs(1);

/// Where streams of all orders begin. Clones share it.
#[derive(Debug, Clone)]
pub struct Hub {
    storage: Storage,
    waiters: Waiters,
    steps: broadcast::Sender<Step>,
    /// What was sent so far; none while nobody listens.
    sent: Arc<Mutex<Option<Position>>>,
}

impl Hub {
    pub(in crate::query) fn new(storage: Storage, waiters: Waiters) -> Self {
        Self {
            storage,
            waiters,
            steps: broadcast::Sender::new(KEPT),
            sent: Arc::default(),
        }
    }

    /// Every step from now on, and how far the log has been told by now.
    pub(super) async fn subscribe(
        &self,
    ) -> Result<(Position, broadcast::Receiver<Step>), StorageError> {
        let mut sent = self.sent.lock().await;
        let position = match sent.as_ref() {
            Some(position) => position.clone(),
            None => limited(store::newest(&self.storage)).await?,
        };
        // Under the lock, so that nothing is sent in between.
        let steps = self.steps.subscribe();
        *sent = Some(position.clone());
        Ok((position, steps))
    }

    /// Sends what is new until `shutdown`. Without it every stream is silent.
    pub async fn run(self, shutdown: Shutdown) {
        let mut changes = self.waiters.subscribe_all();
        let work = async {
            loop {
                if let Err(error) = self.send_new().await {
                    tracing::warn!(%error, "The newest events of orders cannot be read.");
                    sleep(REREAD).await;
                }
                tokio::select! {
                    () = sleep(REREAD) => {}
                    _ = changes.changed() => {}
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            never = work => never,
        }
    }

    async fn send_new(&self) -> Result<(), StorageError> {
        let mut sent = self.sent.lock().await;
        if self.steps.receiver_count() == 0 {
            *sent = None;
        }
        let Some(position) = sent.as_mut() else {
            return Ok(());
        };
        loop {
            let steps = limited(store::steps_after(&self.storage, position)).await?;
            if steps.is_empty() {
                return Ok(());
            }
            for step in steps {
                position.advance(step.partition, step.offset);
                // Nobody may listen any more.
                self.steps.send(step).ok();
            }
            // A backlog is no reason to drop those who would take it.
            tokio::task::yield_now().await;
        }
    }
}

/// A reading that takes too long is given up, as one of a database that is down.
pub(super) async fn limited<T>(
    reading: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    within(READ_LIMIT, reading).await
}
