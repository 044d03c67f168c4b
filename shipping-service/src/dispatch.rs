//! Dispatching on request: the job falls due at once, and the answer is what is read back.

use std::sync::Arc;
use std::time::Duration;

use base_domains::OrderId;
use service_runtime::database::{Database, DatabaseError, within};
use service_runtime::jobs;
use service_runtime::lifecycle::Shutdown;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::job::job_id;
use crate::shipment::State;
use crate::store::{Kept, find};

/// Another instance may have read the order's partition, and nobody wakes us for that.
const REREAD: Duration = Duration::from_millis(250);
/// Longest time for one request to the database.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Has shipments dispatched before their time.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    /// Where the shipments are.
    pub database: Database,
    /// Notified when a dispatch fell due.
    pub worker: Arc<Notify>,
    /// Told when orders came to their ends.
    pub ended: watch::Sender<()>,
    /// How long to wait for the end of an order.
    pub wait: Duration,
    /// Ends every wait, so that a drain does not take as long as they do.
    pub shutdown: Shutdown,
}

impl Dispatcher {
    /// Has the shipment dispatched, and gives it as it is when it is dispatched or cancelled, or when
    /// the wait is over; `None`: the order has none. To ask again, or too late, changes nothing.
    ///
    /// # Errors
    /// Of the database. Whether it was asked for is not known then.
    pub async fn dispatch(&self, order_id: OrderId) -> Result<Option<Kept>, DatabaseError> {
        let deadline = Instant::now() + self.wait;
        let mut ended = self.ended.subscribe();
        let mut kept = self.find(order_id).await?;
        if kept.as_ref().is_some_and(is_open) {
            within(ANSWER_LIMIT, self.ask(order_id)).await?;
        }
        while kept.as_ref().is_some_and(is_open)
            && Instant::now() < deadline
            && !self.shutdown.is_cancelled()
        {
            tokio::select! {
                // The sender is here.
                _ = ended.changed() => {}
                () = sleep_until(deadline.min(Instant::now() + REREAD)) => {}
                () = self.shutdown.cancelled() => {}
            }
            kept = self.find(order_id).await?;
        }
        Ok(kept)
    }

    /// The shipment of an order.
    ///
    /// # Errors
    /// Of the database.
    pub async fn find(&self, order_id: OrderId) -> Result<Option<Kept>, DatabaseError> {
        within(ANSWER_LIMIT, find(&self.database, order_id)).await
    }

    /// One update of the job's row, which the end of the order and a worker change as well: whoever
    /// comes second finds it changed.
    async fn ask(&self, order_id: OrderId) -> Result<(), DatabaseError> {
        let mut tx = self.database.begin().await?;
        jobs::expedite(&mut tx, self.database.dialect(), &job_id(order_id)).await?;
        tx.commit().await?;
        self.worker.notify_one();
        Ok(())
    }
}

fn is_open(kept: &Kept) -> bool {
    kept.shipment.state == State::Prepared
}
