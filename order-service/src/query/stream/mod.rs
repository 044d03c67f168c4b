//! Live streams: of one order until its end, and of all orders (Server-Sent Events).
//!
//! Nothing is queued for a client. One order is read again when it moves on. All orders are read once by the
//! [`Hub`], from whose bounded memory everybody takes; who falls behind is dropped and resumes by
//! `Last-Event-ID`. A client that takes nothing at all is cut off by the server's write time-out.

mod hub;
mod notice;
mod position;

use std::collections::VecDeque;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use base_domains::OrderId;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::sleep;

use super::lookup::Lookup;
use super::store;
use super::waiting::Waiter;
use crate::storage::StorageError;

pub use hub::Hub;
use hub::limited;
pub(super) use notice::{Notice, Step};
pub(super) use position::Position;

/// Something is sent at least so often, so that both sides notice a dead connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Another instance may fold the order's partition, and nobody wakes us for that.
const REREAD: Duration = Duration::from_secs(1);

/// A stream of one order.
struct One {
    lookup: Lookup,
    order_id: OrderId,
    waiter: Waiter,
    told: Position,
    next: VecDeque<Step>,
    _seat: OwnedSemaphorePermit,
}

/// A stream of all orders.
struct All {
    lookup: Lookup,
    told: Position,
    next: VecDeque<Step>,
    /// Whether what was missed has been read; only then are new steps taken.
    caught_up: bool,
    steps: Receiver<Step>,
    _seat: OwnedSemaphorePermit,
}

/// The steps of one order that come after `told`, until its end or the server's; 204 where there will be none
/// any more, which tells a client not to come back.
pub(super) async fn of_one(
    lookup: Lookup,
    order_id: OrderId,
    told: Position,
    seat: OwnedSemaphorePermit,
) -> Result<Response, StorageError> {
    let mut one = One {
        waiter: lookup.waiters.subscribe(order_id),
        lookup,
        order_id,
        told,
        next: VecDeque::new(),
        _seat: seat,
    };
    let ended = one.read().await?;
    if ended && one.next.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(answer(unfold(one, |mut one| async move {
        let step = one.step().await?;
        one.told.advance(step.partition, step.offset);
        Some((step.event(&one.told), one))
    })))
}

/// The steps of all orders that come after `told`, or from now on, until the server's end.
pub(super) async fn of_all(
    lookup: Lookup,
    told: Option<Position>,
    seat: OwnedSemaphorePermit,
) -> Result<Response, StorageError> {
    let (now, steps) = lookup.hub.subscribe().await?;
    let all = All {
        lookup,
        caught_up: told.is_none(),
        told: told.unwrap_or(now),
        next: VecDeque::new(),
        steps,
        _seat: seat,
    };
    Ok(answer(unfold(all, |mut all| async move {
        let step = all.step().await?;
        Some((step.event(&all.told), all))
    })))
}

fn answer(events: impl Stream<Item = Result<Event, axum::Error>> + Send + 'static) -> Response {
    let heartbeat = KeepAlive::new().interval(HEARTBEAT);
    Sse::new(events).keep_alive(heartbeat).into_response()
}

impl One {
    /// Reads what was not told yet; whether the order has ended.
    async fn read(&mut self) -> Result<bool, StorageError> {
        let steps = limited(store::steps_of(&self.lookup.storage, self.order_id)).await?;
        let ended = steps.iter().any(|step| step.status.is_terminal());
        let new = |step: &Step| step.offset > self.told.told(step.partition);
        self.next = steps.into_iter().filter(new).collect();
        Ok(ended)
    }

    /// The next step; `None` after the last one of an order that ended.
    async fn step(&mut self) -> Option<Step> {
        while !self.lookup.shutdown.is_cancelled() {
            if let Some(step) = self.next.pop_front() {
                return Some(step);
            }
            let ended = self.read().await.map_err(|error| read_failed(&error));
            if self.next.is_empty() {
                if ended.ok()? {
                    return None;
                }
                tokio::select! {
                    () = self.waiter.changed() => {}
                    () = sleep(REREAD) => {}
                    () = self.lookup.shutdown.cancelled() => {}
                }
            }
        }
        None
    }
}

impl All {
    /// The next step that was not told; `None` for a client that fell behind.
    async fn step(&mut self) -> Option<Step> {
        while !self.lookup.shutdown.is_cancelled() {
            let step = match self.next.pop_front() {
                Some(step) => step,
                None if self.caught_up => self.newest().await?,
                None => {
                    self.catch_up().await?;
                    continue;
                }
            };
            if self.told.advance(step.partition, step.offset) {
                return Some(step);
            }
        }
        None
    }

    /// Reads more of what was missed. The subscription is always older than the last reading, so nothing falls
    /// between the two; before that it is renewed, lest a long past overrun it.
    async fn catch_up(&mut self) -> Option<()> {
        self.steps = self.steps.resubscribe();
        let missed = limited(store::steps_after(&self.lookup.storage, &self.told)).await;
        self.next = missed.map_err(|error| read_failed(&error)).ok()?.into();
        self.caught_up = self.next.is_empty();
        Some(())
    }

    async fn newest(&mut self) -> Option<Step> {
        tokio::select! {
            () = self.lookup.shutdown.cancelled() => None,
            step = self.steps.recv() => match step {
                Ok(step) => Some(step),
                Err(RecvError::Lagged(_) | RecvError::Closed) => {
                    metrics::counter!("order_streams_dropped_total").increment(1);
                    None
                }
            },
        }
    }
}

/// The stream ends; its client comes back and hears then how the service is.
fn read_failed(error: &StorageError) {
    tracing::warn!(%error, "A stream of orders ends early.");
}
