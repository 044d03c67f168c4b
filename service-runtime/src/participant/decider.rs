//! The part of a participant that a service writes: its decision.

use std::future::Future;

use base_domains::{BadRecord, Heading, OrderEvent, OrderId, OrderStatus};

use crate::database::{DatabaseError, Tx};
use crate::kafka::Record;

/// An event that moved an order on, in the order of the log.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// Status of the order right after this event.
    pub status: OrderStatus,
    /// Status before it; `None` when nothing of the order was read before.
    pub before: Option<OrderStatus>,
    /// Id, status and event id as the record states them.
    pub heading: &'a Heading,
    /// The record, for those that need more than the heading.
    pub record: &'a Record,
    /// Partition that holds the order's life.
    pub home_partition: i32,
    /// The decision about this record had failed and is made again: `status` is what the order is
    /// now, `heading.status` what the record once brought.
    pub redriven: bool,
}

impl Change<'_> {
    /// The order.
    #[must_use]
    pub fn order_id(&self) -> OrderId {
        self.heading.order_id
    }

    /// The whole event.
    ///
    /// # Errors
    /// The body is not a readable event; a decision that needs it has [`Decision::Failed`].
    pub fn event(&self) -> Result<OrderEvent, BadRecord> {
        self.heading.decode(self.record.value.as_deref())
    }
}

/// What a service answers to one [`Change`].
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Its own rows are in line; nothing to append.
    Done,
    /// Append this event to the log.
    Append(OrderEvent),
    /// It can never decide about this record: dead-letter it, keep the folded status (rule R2).
    Failed {
        /// Stable word for tools.
        code: &'static str,
        /// What is wrong, without payload data.
        reason: String,
    },
}

impl Decision {
    /// The decision of a service that needs the body and cannot read it.
    #[must_use]
    pub fn unreadable(error: &BadRecord) -> Self {
        Self::Failed {
            code: error.code(),
            reason: error.to_string(),
        }
    }
}

/// Why no decision could be made about a batch.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// The database; its class says whether to try again, to wait or to bisect.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A defect: the batch is bisected down to the record.
    #[error("{0}")]
    Bug(String),
}

/// What one service decides about orders.
///
/// The order rows of the batch are locked when [`decide`](Decider::decide) is called. It locks
/// the rows of its own that it needs, sorted (rule R1), and brings them in line with the folded
/// status, whatever led there: it must not rely on having seen every status in between.
pub trait Decider: Send + Sync + 'static {
    /// Decides about `changes`, in log order, inside the batch's transaction; one answer each.
    /// Nothing outside the database may be touched, since the transaction may be rolled back.
    fn decide(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> impl Future<Output = Result<Vec<Decision>, DecideError>> + Send;

    /// [`decide`](Decider::decide) about changes of which some are history (rule R13): the service may
    /// have decided about them and acted on them before, and its rows do not know, because its database
    /// is an older backup or new. Its own decisions follow further on in the log; what it appends is
    /// published only if none does.
    fn decide_history(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> impl Future<Output = Result<Vec<Decision>, DecideError>> + Send {
        self.decide(tx, changes)
    }

    /// Called after the commit, for what only has to be told, not kept.
    fn committed(&self, changes: &[Change<'_>]) {
        let _ = changes;
    }
}
