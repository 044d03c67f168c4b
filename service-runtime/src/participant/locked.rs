//! One order whose row is locked, outside of a batch.

use base_domains::{EncodedEvent, OrderEvent, OrderId, OrderStatus};

use super::append::{AppendError, Appender};
use super::plan::OrderRow;
use super::store::ChangedRow;
use crate::database::Tx;
use crate::fault;
use crate::kafka::{PartitionId, ProduceError};

/// What an order is while its row is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockedOrder {
    /// The order.
    pub order_id: OrderId,
    /// Its folded status; `None` when nothing of it was read.
    pub status: Option<OrderStatus>,
    /// Its home partition.
    pub home_partition: i32,
}

/// What was decided about a locked order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settlement {
    append: Option<OrderEvent>,
    traceparent: Option<String>,
}

impl Settlement {
    /// Nothing to append.
    #[must_use]
    pub fn done() -> Self {
        Self::default()
    }

    /// Append this event, which must have an effect on the order as it is.
    #[must_use]
    pub fn append(event: OrderEvent) -> Self {
        Self {
            append: Some(event),
            traceparent: None,
        }
    }

    /// The same as part of the trace that its cause belongs to.
    #[must_use]
    pub fn in_trace(mut self, traceparent: Option<&str>) -> Self {
        self.traceparent = traceparent.map(str::to_owned);
        self
    }
}

/// An order whose row is locked, with the transaction that locks it. Dropped, it leaves everything as it
/// was.
#[derive(Debug)]
pub struct Locked {
    appender: Appender,
    tx: Tx,
    order: LockedOrder,
    row: OrderRow,
}

/// An outcome that is stored and has to be published. A caller that does not come to it leaves that to
/// the sweep.
#[must_use = "the sweep publishes it otherwise, but later"]
#[derive(Debug)]
pub struct StoredOutcome {
    appender: Appender,
    event: EncodedEvent,
}

impl Locked {
    pub(super) fn new(
        appender: Appender,
        tx: Tx,
        order_id: OrderId,
        home_partition: PartitionId,
        row: OrderRow,
    ) -> Self {
        let order = LockedOrder {
            order_id,
            status: row.state.status(),
            home_partition,
        };
        Self {
            appender,
            tx,
            order,
            row,
        }
    }

    /// The order as it is.
    #[must_use]
    pub fn order(&self) -> LockedOrder {
        self.order
    }

    /// Whether an outcome is stored that was not read back yet: it will be in the log, if it is not there
    /// already.
    #[must_use]
    pub fn has_unconfirmed(&self) -> bool {
        self.row.unconfirmed()
    }

    /// For rows of the service, which are kept together with the outcome or not at all.
    pub fn tx(&mut self) -> &mut Tx {
        &mut self.tx
    }

    /// Stores what was decided and commits. `None`: there is nothing to publish, because nothing was to be
    /// appended, or because an unconfirmed outcome goes as far and is kept.
    ///
    /// # Errors
    /// Those of the database, or an event that may not be stored (rule R12); nothing is written then.
    pub async fn settle(
        mut self,
        settlement: Settlement,
    ) -> Result<Option<StoredOutcome>, AppendError> {
        let traceparent = settlement.traceparent.as_deref();
        let stored = match &settlement.append {
            Some(event) => self.store(event, traceparent).await?,
            None => None,
        };
        if stored.is_some() {
            fault::point("outcome.commit.before");
        }
        self.tx.commit().await?;
        if stored.is_some() {
            fault::point("outcome.commit.after");
        }
        Ok(stored.map(|event| StoredOutcome {
            appender: self.appender,
            event,
        }))
    }

    async fn store(
        &mut self,
        event: &OrderEvent,
        traceparent: Option<&str>,
    ) -> Result<Option<EncodedEvent>, AppendError> {
        let order_id = self.order.order_id;
        if event.order.order_id != order_id {
            return Err(AppendError::Bug(
                "the outcome is about another order".to_owned(),
            ));
        }
        let state = self.row.state;
        let placed = self
            .appender
            .place(&mut self.row, state, event, traceparent)
            .map_err(|error| AppendError::Bug(error.to_string()))?;
        let Some(outcome) = placed else {
            return Ok(None);
        };
        let changed = ChangedRow {
            order_id,
            row: &self.row,
            outcome: Some((outcome.status.rank(), outcome.text)),
        };
        let store = &self.appender.store;
        store.write_orders(&mut self.tx, &[changed]).await?;
        Ok(Some(outcome.encoded))
    }
}

impl StoredOutcome {
    /// Publishes it and waits for the acknowledgement.
    ///
    /// # Errors
    /// It is not acknowledged. That is no harm: the sweep publishes it again.
    pub async fn publish(self) -> Result<(), ProduceError> {
        let Self { appender, event } = self;
        fault::point("outcome.publish.before");
        appender.publish(std::slice::from_ref(&event)).await?;
        fault::point("outcome.publish.after");
        metrics::counter!("outcomes_published_total", "participant" => appender.name).increment(1);
        Ok(())
    }
}
