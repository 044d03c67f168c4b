//! Why a record of the topic is refused, in words that are safe to log and to put into a header.

use crate::event::DecodeError;
use crate::order_id::OrderId;

/// Why a record is no order event. The message never repeats a part of the record but the order id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// A header that decides is not UTF-8.
    #[error("header {name} is not UTF-8")]
    HeaderNotText {
        /// Name of the header.
        name: &'static str,
    },
    /// The order id is not one.
    #[error("the {place} is not an order id")]
    OrderId {
        /// The header, or `key`.
        place: &'static str,
    },
    /// The body is needed and there is none.
    #[error("there is no value")]
    NoValue,
    /// The body is needed and is not an order event.
    #[error(transparent)]
    Body(#[from] DecodeError),
    /// Rule R4.
    #[error(
        "order {order_id} belongs in partition {home}, but this record is in partition {partition}"
    )]
    WrongPartition {
        /// The order.
        order_id: OrderId,
        /// Its home partition.
        home: i32,
        /// Where the record is.
        partition: i32,
    },
    /// Headers and body are about two orders, so no decision can be made from the body.
    #[error("the header says order {header}, the body order {body}")]
    TwoOrders {
        /// The order of the header, which counts.
        header: OrderId,
        /// The order of the body.
        body: OrderId,
    },
}

impl BadRecord {
    /// A stable name for metrics and dead-letter headers.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::HeaderNotText { .. } => "header_not_text",
            Self::OrderId { .. } => "invalid_order_id",
            Self::NoValue => "no_value",
            Self::Body(_) => "invalid_body",
            Self::WrongPartition { .. } => "wrong_partition",
            Self::TwoOrders { .. } => "two_orders",
        }
    }
}
