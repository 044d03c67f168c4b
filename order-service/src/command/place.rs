//! Placing an order: one PENDING in the log, acknowledged before anybody hears of success.
//!
//! - Success means that the broker has the record (invariant 1). Everything else is *unknown* to the client,
//!   also where we know that nothing was sent: the way on is the same, a repetition under the same id.
//! - Repeating is harmless. The record of one order is the same event each time, and the fold ignores it.
//! - A caller that goes away leaves nothing behind but a queued record and, under an id of its own, the row
//!   that a repetition finds.

use std::sync::Arc;

use base_domains::{EncodeError, Encoder, Order, OrderEvent, OrderId, OrderStatus, WireOrder};
use jiff::Timestamp;
use service_runtime::fault;
use service_runtime::kafka::{EventProducer, NewRecord, ProduceError};
use tokio::time::{Instant, timeout_at};

use super::content::fingerprint;
use super::placements::{Claim, Placements};
use crate::storage::{Storage, StorageError};

/// Appends new orders to the log.
#[derive(Clone)]
pub(super) struct Placing {
    producer: Arc<dyn EventProducer>,
    encoder: Encoder,
    topic: String,
    placements: Placements,
}

/// Who chose the id of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdOrigin {
    /// We did: nobody repeats it by himself, so nothing needs to be remembered.
    Fresh,
    /// The client did, in this header or parameter, and may repeat it.
    Client(&'static str),
}

/// Why an order is not known to be placed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlaceError {
    /// What the client gave in this header or parameter stands for another order.
    #[error("{0} was used for another order")]
    Taken(&'static str),
    #[error("storage: {0}")]
    Storage(#[from] StorageError),
    #[error("broker: {0}")]
    Produce(#[from] ProduceError),
    /// The time for an answer is over; the record may have been sent.
    #[error("no result in time")]
    Deadline,
    /// A defect: a checked order can always be encoded.
    #[error("encoding: {0}")]
    Encode(#[from] EncodeError),
}

impl Placing {
    pub(super) fn new(
        producer: Arc<dyn EventProducer>,
        encoder: Encoder,
        topic: String,
        storage: Storage,
    ) -> Self {
        Self {
            producer,
            encoder,
            topic,
            placements: Placements::new(storage),
        }
    }

    /// Places `order`, with a result at `deadline` at the latest.
    pub(super) async fn place(
        &self,
        order: &Order,
        origin: IdOrigin,
        traceparent: Option<&str>,
        deadline: Instant,
    ) -> Result<(), PlaceError> {
        let result = match origin {
            IdOrigin::Fresh => self.append(order, traceparent, deadline).await,
            IdOrigin::Client(field) => self.append_once(order, field, traceparent, deadline).await,
        };
        let name = match &result {
            Ok(()) => "acknowledged",
            Err(PlaceError::Taken(_)) => "id_taken",
            Err(_) => "unknown",
        };
        metrics::counter!("order_placements_total", "result" => name).increment(1);
        result
    }

    async fn append_once(
        &self,
        order: &Order,
        id_field: &'static str,
        traceparent: Option<&str>,
        deadline: Instant,
    ) -> Result<(), PlaceError> {
        let fingerprint = fingerprint(order);
        let claim = self.placements.claim(order.id(), &fingerprint);
        fault::point("place.claim.before");
        let claimed = timeout_at(deadline, claim).await;
        fault::point("place.claim.after");
        match claimed.map_err(|_| PlaceError::Deadline)?? {
            Claim::Taken => return Err(PlaceError::Taken(id_field)),
            Claim::InTheLog => return Ok(()),
            Claim::Append => self.append(order, traceparent, deadline).await?,
        }
        self.note_acknowledged(order.id(), deadline).await;
        Ok(())
    }

    async fn append(
        &self,
        order: &Order,
        traceparent: Option<&str>,
        deadline: Instant,
    ) -> Result<(), PlaceError> {
        let event = OrderEvent::new(OrderStatus::Pending, WireOrder::from(order));
        let encoded = self.encoder.encode(&event, Timestamp::now(), traceparent)?;
        fault::point("place.produce.before");
        let delivery = self
            .producer
            .enqueue(&NewRecord::event(&self.topic, &encoded))?;
        if fault::mutated("answer.after-ack") {
            return Ok(());
        }
        fault::point("place.produce.enqueued");
        timeout_at(deadline, delivery)
            .await
            .map_err(|_| PlaceError::Deadline)??;
        fault::point("place.produce.after");
        Ok(())
    }

    /// The order is in the log, so nothing that goes wrong here changes the answer.
    async fn note_acknowledged(&self, order_id: OrderId, deadline: Instant) {
        let acknowledged = timeout_at(deadline, self.placements.acknowledge(order_id)).await;
        fault::point("place.acknowledge.after");
        match acknowledged {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%order_id, %error, "An acknowledged order could not be marked.");
            }
            Err(_) => tracing::warn!(%order_id, "There was no time to mark an acknowledged order."),
        }
    }
}
