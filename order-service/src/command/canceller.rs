//! Ending an order from outside of the log: CANCELLED is stored under the lock of the order's row, for
//! requests and for the deadline alike.
//!
//! It is stored at most once, whoever asks and however often. Whether it takes effect, the log decides: an
//! end that comes first there wins.

use std::time::Duration;

use base_domains::{OrderId, OrderStatus};
use service_runtime::database::{ErrorClass, Tx};
use service_runtime::fault;
use service_runtime::jobs::Backoff;
use service_runtime::participant::{AppendError, Appender, LockedOrder, Settlement, StoredOutcome};

use super::store::{self, Ending};
use super::verdict::{Verdict, judge};

/// Attempts at a transaction that lost a race against another.
const ATTEMPTS: u32 = 5;
const AGAIN: Backoff = Backoff {
    initial: Duration::from_millis(10),
    max: Duration::from_millis(200),
};

/// Cancels orders. Clones are alike.
#[derive(Debug, Clone)]
pub struct Canceller {
    appender: Appender,
}

/// What became of an attempt to cancel an order.
#[derive(Debug)]
pub enum Cancelling {
    /// Nothing of the order was read.
    Unknown,
    /// It has ended.
    Ended(OrderStatus),
    /// Nobody knows what was ordered, so no event about it can be made.
    Unreadable(OrderStatus),
    /// Its CANCELLED was stored before, and is not read back yet.
    UnderWay,
    /// Its CANCELLED is stored now, and to be published.
    Stored(Box<StoredOutcome>),
}

impl Canceller {
    /// Cancels by this appender, which is of the participant `orders`.
    #[must_use]
    pub const fn new(appender: Appender) -> Self {
        Self { appender }
    }

    pub(super) const fn appender(&self) -> &Appender {
        &self.appender
    }

    /// Stores CANCELLED for this reason, unless the order has ended or has one; as part of `traceparent`, or
    /// else of the order's own trace.
    ///
    /// # Errors
    /// Those of [`Appender::lock`] and of the database. Nothing was stored then, or it is not known whether
    /// it was; repeating is harmless.
    pub async fn cancel(
        &self,
        order_id: OrderId,
        reason: &str,
        traceparent: Option<&str>,
    ) -> Result<Cancelling, AppendError> {
        for attempt in 1.. {
            match self.attempt(order_id, reason, traceparent).await {
                Err(error) if error.class() == ErrorClass::Again && attempt < ATTEMPTS => {
                    tokio::time::sleep(AGAIN.wait(attempt)).await;
                }
                ended => return ended,
            }
        }
        Err(AppendError::Bug("no attempt was made".to_owned()))
    }

    async fn attempt(
        &self,
        order_id: OrderId,
        reason: &str,
        traceparent: Option<&str>,
    ) -> Result<Cancelling, AppendError> {
        let Some(mut locked) = self.appender.lock(order_id).await? else {
            return Ok(Cancelling::Unknown);
        };
        let order = locked.order();
        let status = match judge(order.status, locked.has_unconfirmed()) {
            Verdict::Unknown => return Ok(Cancelling::Unknown),
            Verdict::Ended(status) => {
                forget(locked.tx(), order).await?;
                locked.settle(Settlement::done()).await?;
                return Ok(Cancelling::Ended(status));
            }
            Verdict::UnderWay => return Ok(Cancelling::UnderWay),
            Verdict::Cancel(status) => status,
        };
        let Some(kept) = store::kept(locked.tx(), order_id).await? else {
            return Ok(Cancelling::Unreadable(status));
        };
        store::cancelling(locked.tx(), order_id).await?;
        let settlement = kept.cancelled(reason, traceparent);
        fault::point("cancel.commit.before");
        let stored = locked.settle(settlement).await?;
        fault::point("cancel.commit.after");
        Ok(match stored {
            Some(stored) => Cancelling::Stored(Box::new(stored)),
            None => Cancelling::UnderWay,
        })
    }
}

/// Where the decision about an end failed, its row is behind the fold. It would be found as overdue for
/// ever, and hold what was to be forgotten.
async fn forget(tx: &mut Tx, order: LockedOrder) -> Result<(), AppendError> {
    let ending = Ending {
        partition: order.home_partition,
        placed_at: 0,
        reason: String::new(),
    };
    Ok(store::end(tx, &[(order.order_id, ending)].into()).await?)
}
