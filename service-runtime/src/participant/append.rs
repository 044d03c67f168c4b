//! Appending to an order's life: one way for batches, jobs and requests.
//!
//! - An outcome is sealed (rule R12), stored in its order's row while that is locked, and published after
//!   the commit. Whoever dies in between leaves an unconfirmed outcome, which the sweep publishes.
//! - An outcome that is stored and not read back yet is replaced only by one that goes further: its bytes
//!   may be in the log already. It is kept until it is read back, and the fold tells the service of it.
//! - Batches bring their locks along. Jobs and requests lock one order with [`Appender::lock`]; whatever
//!   else they lock, they lock afterwards, as a batch does (rule R1).

use std::fmt;
use std::sync::{Arc, OnceLock};

use base_domains::{EncodedEvent, Encoder, OrderEvent, OrderId, OrderState, OrderStatus};

use super::Parts;
use super::decider::DecideError;
use super::locked::Locked;
use super::outcome::{Outcome, SealError, seal};
use super::plan::OrderRow;
use super::store::{LogIdentity, Store};
use crate::database::{Database, DatabaseError, ErrorClass};
use crate::fault;
use crate::kafka::{EventProducer, NewRecord, ProduceError};

/// Appends a participant's events outside of its batches; made by
/// [`Participant::appender`](super::Participant::appender). Clones are alike.
#[derive(Clone)]
pub struct Appender {
    pub(super) name: &'static str,
    pub(super) topic: String,
    pub(super) database: Database,
    pub(super) store: Store,
    pub(super) encoder: Encoder,
    pub(super) producer: Arc<dyn EventProducer>,
    /// Known once the participant has looked at its log.
    pub(super) identity: Arc<OnceLock<LogIdentity>>,
}

/// Why an event is not stored; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The participant has not reached its log since the start, so nobody knows whether the rows are of
    /// this log.
    #[error("the log was not reached yet")]
    LogUnknown,
    /// The database; its class says whether another try can help.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A defect: the event has no effect on the order as it is, is about another one, or cannot be
    /// written so that every service reads it.
    #[error("{0}")]
    Bug(String),
}

impl AppendError {
    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::LogUnknown => ErrorClass::Unavailable,
            Self::Database(error) => error.class(),
            Self::Bug(_) => ErrorClass::Bug,
        }
    }
}

impl From<sqlx::Error> for AppendError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<DecideError> for AppendError {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Database(error) => Self::Database(error),
            DecideError::Bug(text) => Self::Bug(text),
        }
    }
}

impl fmt::Debug for Appender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Appender({})", self.name)
    }
}

impl Appender {
    pub(super) fn new<D>(parts: &Parts<D>) -> Self {
        Self {
            name: parts.name,
            topic: parts.kafka.topic.clone(),
            database: parts.database.clone(),
            store: Store {
                participant: parts.name,
                dialect: parts.database.dialect(),
            },
            encoder: Encoder {
                writer: parts.writer.to_owned(),
                type_id: parts.settings.type_id.clone(),
            },
            producer: Arc::new(parts.producer.clone()),
            identity: Arc::default(),
        }
    }

    /// How many partitions the log has; `None` until the participant has reached it for the first time
    /// since the start.
    #[must_use]
    pub fn partitions(&self) -> Option<i32> {
        self.identity.get().map(|known| known.partitions)
    }

    /// The folded status of an order, without waiting for its lock; `None` when nothing of it was read.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn status(&self, order_id: OrderId) -> Result<Option<OrderStatus>, DatabaseError> {
        self.store.status(&self.database, order_id).await
    }

    /// Locks an order that something was read of; `None` when there is none. It makes no row, so that
    /// asking for orders that do not exist leaves nothing behind.
    ///
    /// Whoever holds the lock keeps batches from going on: what is done under it has to be short, and the
    /// caller bounds the time.
    ///
    /// # Errors
    /// The log is not known yet, or those of the database.
    pub async fn lock(&self, order_id: OrderId) -> Result<Option<Locked>, AppendError> {
        if self.identity.get().is_none() {
            return Err(AppendError::LogUnknown);
        }
        Ok(self.lock_row(order_id).await?)
    }

    /// [`lock`](Self::lock) for those who know the log: a job runs only after its gate.
    pub(super) async fn lock_row(
        &self,
        order_id: OrderId,
    ) -> Result<Option<Locked>, DatabaseError> {
        let mut tx = self.database.begin().await?;
        let found = self.store.lock_known(&mut tx, order_id).await?;
        Ok(found.map(|(partition, row)| Locked::new(self.clone(), tx, order_id, partition, row)))
    }

    /// Seals `event`, for an order that stands at `state` when it is decided, and notes it in the locked
    /// row. `None`: an unconfirmed one that goes as far is kept.
    pub(super) fn place(
        &self,
        row: &mut OrderRow,
        state: OrderState,
        event: &OrderEvent,
        traceparent: Option<&str>,
    ) -> Result<Option<Outcome>, SealError> {
        // Only to read back what was just written: the number changes nothing about the bytes.
        let partitions = self.partitions().unwrap_or(1);
        let outcome = seal(&self.encoder, event, state, partitions, traceparent)?;
        let rank = outcome.status.rank();
        if row.unconfirmed() && row.outcome_rank >= rank {
            let (order_id, status) = (event.order.order_id, outcome.status.as_str());
            tracing::warn!(
                participant = self.name, %order_id, status,
                "An outcome is not stored: an unconfirmed one goes as far."
            );
            return Ok(None);
        }
        row.outcome_rank = rank;
        Ok(Some(outcome))
    }

    /// Publishes stored outcomes and awaits every acknowledgement.
    pub(super) async fn publish(&self, events: &[EncodedEvent]) -> Result<(), ProduceError> {
        if events.is_empty() {
            return Ok(());
        }
        fault::point("publish.before");
        let mut deliveries = Vec::with_capacity(events.len());
        for event in events {
            let record = NewRecord::event(&self.topic, event);
            deliveries.push(self.producer.enqueue(&record)?);
        }
        fault::point("publish.enqueued");
        for delivery in deliveries {
            delivery.await?;
        }
        fault::point("publish.after");
        Ok(())
    }
}
