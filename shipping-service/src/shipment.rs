//! The rule book: what the folded status of an order makes of its shipment.
//!
//! | shipment | the order is | becomes | and |
//! |---|---|---|---|
//! | none | PAID | prepared | its dispatch is ordered |
//! | none | SHIPPED | dispatched | the parcel is handed over |
//! | prepared | SHIPPED | dispatched | the parcel is handed over; a dispatch that waits is taken back |
//! | prepared | REJECTED, CANCELLED | cancelled | a dispatch that waits is taken back |
//!
//! Everything else changes nothing. A status is what the fold says after an event had an effect: a
//! SHIPPED that came after a CANCELLED is not one. When a dispatch falls due, SHIPPED is appended if
//! the shipment is prepared and the order PAID by then.

use std::fmt;
use std::str::FromStr;

use base_domains::{OrderId, OrderStatus, WireOrder};
use serde::{Deserialize, Serialize};

/// The shipment of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// The order.
    pub order_id: OrderId,
    /// How far it is.
    pub state: State,
    /// By which the parcel can be followed, see [`tracking_number`].
    pub tracking_number: String,
    /// What is in the parcel.
    pub lines: Vec<Line>,
    /// When SHIPPED was appended, in epoch milliseconds; of a dispatched one.
    pub dispatched_at: Option<i64>,
}

/// So many pieces of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The product.
    pub name: String,
    /// Pieces.
    pub qty: i64,
}

/// How far a shipment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Ready, and not handed over.
    Prepared,
    /// Handed over: SHIPPED was read back from the log.
    Dispatched,
    /// The order ended without it.
    Cancelled,
}

/// What has to be done about a shipment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Hand the parcel over, and take back a dispatch that waits.
    HandOver,
    /// Take back a dispatch that waits.
    Withdraw,
}

/// The number of an order's parcel: `OE` and the 32 digits of the order id, in upper case. So an order
/// has one number, whoever asks and however often.
#[must_use]
pub fn tracking_number(order_id: OrderId) -> String {
    format!("OE{:X}", order_id.as_uuid().as_simple())
}

/// Whether an order of this status has a shipment.
#[must_use]
pub const fn is_wanted(status: OrderStatus) -> bool {
    matches!(status, OrderStatus::Paid | OrderStatus::Shipped)
}

/// What a parcel of `order` holds. The order need not keep the rules of the domain: once it is SHIPPED
/// nobody asks for them.
#[must_use]
pub fn lines(order: &WireOrder) -> Vec<Line> {
    let line = |name: &str, qty: i64| Line {
        name: name.to_owned(),
        qty,
    };
    match &order.items {
        Some(items) => items
            .iter()
            .map(|item| line(&item.name, item.qty))
            .collect(),
        None => vec![line(&order.name, order.qty)],
    }
}

impl Shipment {
    /// The shipment of an order that [wants](is_wanted) one.
    #[must_use]
    pub fn prepared(order_id: OrderId, lines: Vec<Line>) -> Self {
        Self {
            order_id,
            state: State::Prepared,
            tracking_number: tracking_number(order_id),
            lines,
            dispatched_at: None,
        }
    }

    /// The order is `status` since `at`, in epoch milliseconds.
    pub fn follow(&mut self, status: OrderStatus, at: i64) -> Action {
        if self.state != State::Prepared {
            return Action::None;
        }
        match status {
            OrderStatus::Shipped => {
                self.state = State::Dispatched;
                self.dispatched_at = Some(at);
                Action::HandOver
            }
            OrderStatus::Rejected | OrderStatus::Cancelled => {
                self.state = State::Cancelled;
                Action::Withdraw
            }
            OrderStatus::Pending | OrderStatus::Reserved | OrderStatus::Paid => Action::None,
        }
    }

    /// Whether SHIPPED is to be appended now that the dispatch fell due and the order is `status`.
    #[must_use]
    pub fn ships(&self, status: Option<OrderStatus>) -> bool {
        self.state == State::Prepared && status == Some(OrderStatus::Paid)
    }
}

impl State {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Prepared, Self::Dispatched, Self::Cancelled];

    /// Its name in the database and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Dispatched => "dispatched",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text names no [`State`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a state of a shipment")]
pub struct ParseStateError;

impl FromStr for State {
    type Err = ParseStateError;

    fn from_str(text: &str) -> Result<Self, ParseStateError> {
        let named = |state: &Self| state.as_str() == text;
        Self::ALL.into_iter().find(named).ok_or(ParseStateError)
    }
}

#[cfg(test)]
mod tests;
