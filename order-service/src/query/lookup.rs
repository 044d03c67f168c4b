//! Reading one order, and waiting for it.

use std::sync::Arc;
use std::time::Duration;

use base_domains::OrderId;
use service_runtime::lifecycle::Shutdown;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use super::store;
use super::stream::Hub;
use super::view::OrderView;
use super::waiting::Waiters;
use super::wish::Wish;
use crate::storage::{Storage, StorageError};

/// Another instance may have folded the order's partition, and nobody wakes us for that.
const REREAD: Duration = Duration::from_millis(250);

/// Reads the read model. Clones share their waiters.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    pub(super) storage: Storage,
    pub(super) waiters: Waiters,
    /// No wait is longer, whatever was wished.
    pub(super) longest_wait: Duration,
    /// How long a request waits that does not say.
    pub(super) patience: Duration,
    /// One for each request that waits.
    pub(super) seats: Arc<Semaphore>,
    /// Feeds the streams of all orders.
    pub(super) hub: Hub,
    /// One for each stream.
    pub(super) stream_seats: Arc<Semaphore>,
    /// Ends every wait, so that a drain does not take as long as they do.
    pub(super) shutdown: Shutdown,
}

/// Why nothing can be said about an order.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Too many requests wait already; those that do not must still get through.
    #[error("too many requests are waiting")]
    Crowded,
}

impl Lookup {
    /// The order as soon as it is what the request wishes, or as it is when the wait is over.
    pub(super) async fn find(
        &self,
        order_id: OrderId,
        wish: Wish,
    ) -> Result<Option<OrderView>, LookupError> {
        let wait = wish.wait.unwrap_or(self.patience);
        let deadline = Instant::now() + wait.min(self.longest_wait);
        let view = store::find(&self.storage, order_id).await?;
        if self.is_over(view.as_ref(), wish, deadline) {
            return Ok(view);
        }
        let _seat = self.seats.try_acquire().map_err(|_| LookupError::Crowded)?;
        let mut waiter = self.waiters.subscribe(order_id);
        loop {
            let view = store::find(&self.storage, order_id).await?;
            if self.is_over(view.as_ref(), wish, deadline) {
                return Ok(view);
            }
            tokio::select! {
                () = waiter.changed() => {}
                () = sleep_until(deadline.min(Instant::now() + REREAD)) => {}
                () = self.shutdown.cancelled() => {}
            }
        }
    }

    fn is_over(&self, view: Option<&OrderView>, wish: Wish, deadline: Instant) -> bool {
        view.is_some_and(|view| wish.is_met_by(view.status))
            || Instant::now() >= deadline
            || self.shutdown.is_cancelled()
    }
}
