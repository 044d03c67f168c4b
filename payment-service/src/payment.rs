//! The rule book: what an event of the log, or an answer of the gateway, makes of a payment.
//!
//! | state | event | becomes | and |
//! |---|---|---|---|
//! | none | RESERVED | pending | the charge is ordered |
//! | none, pending | PAID that tells of a payment | charged | a charge not begun yet is taken back: this is history that is read again |
//! | pending | REJECTED, CANCELLED | pending | the charge is taken back; it is skipped if nobody had begun it |
//! | pending | the same, in history that is read again | pending | the charge is taken back, and the gateway is asked whether it has it: that nobody had begun it is only what an older database knows |
//! | charged | REJECTED, CANCELLED | refunding | the refund is ordered |
//!
//! | state | answer | becomes | and |
//! |---|---|---|---|
//! | pending | charged, order not at its end | charged | PAID |
//! | pending | charged, order SHIPPED | charged | |
//! | pending | charged, order REJECTED or CANCELLED | refunding | the refund is ordered |
//! | pending | declined | declined | REJECTED, unless the order ended |
//! | pending | only asked, and never had it | skipped | |
//! | refunding, refund failed | refunded | refunded | |
//! | refunding | refund declined | refund failed | an operator is needed: the job is dead |
//!
//! Everything else changes nothing. Whoever of an order's end and its charge's answer comes second
//! sees the other, so one of the two orders the refund, and only one.

use std::fmt;
use std::str::FromStr;

use base_domains::{OrderId, OrderStatus, Total};

use crate::gateway::Answer;

/// The payment of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The order.
    pub order_id: OrderId,
    /// How far it is.
    pub state: State,
    /// What the whole order costs.
    pub amount: Total,
    /// How the gateway calls the charge; known once it is charged.
    pub payment_id: Option<String>,
    /// Why the charge or the refund was declined, in the gateway's word.
    pub reason: Option<String>,
}

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The answer to the charge is not known.
    Pending,
    /// The order ended before anybody began to charge.
    Skipped,
    /// Charged.
    Charged,
    /// The gateway declined to charge.
    Declined,
    /// Charged, and the answer to the refund is not known.
    Refunding,
    /// Charged and given back.
    Refunded,
    /// Charged, and the gateway declined to give it back.
    RefundFailed,
}

/// What has to be done about a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Take the charge back if nobody has begun it; [`Payment::withdrawn`] if so.
    Withdraw,
    /// Order the refund.
    Refund,
    /// Append PAID.
    Paid,
    /// Append REJECTED.
    Reject,
}

impl Payment {
    /// The payment of an order that is RESERVED; its charge is to be ordered.
    #[must_use]
    pub fn pending(order_id: OrderId, amount: Total) -> Self {
        Self {
            order_id,
            state: State::Pending,
            amount,
            payment_id: None,
            reason: None,
        }
    }

    /// The log says that the order is PAID, with this payment.
    pub fn paid(&mut self, payment_id: &str) -> Action {
        if self.state != State::Pending {
            return Action::None;
        }
        self.state = State::Charged;
        self.payment_id = Some(payment_id.to_owned());
        Action::Withdraw
    }

    /// The order ended as REJECTED or CANCELLED.
    pub fn ended(&mut self) -> Action {
        match self.state {
            State::Pending => Action::Withdraw,
            State::Charged => {
                self.state = State::Refunding;
                Action::Refund
            }
            _ => Action::None,
        }
    }

    /// The charge was taken back before it was begun.
    pub fn withdrawn(&mut self) {
        if self.state == State::Pending {
            self.state = State::Skipped;
        }
    }

    /// The gateway answered to the charge of an order that is `status` by now.
    pub fn charge_answered(&mut self, answer: &Answer, status: Option<OrderStatus>) -> Action {
        if self.state != State::Pending {
            return Action::None;
        }
        let ended = status.is_some_and(OrderStatus::is_terminal);
        match answer {
            Answer::Accepted { id } => {
                self.payment_id = Some(id.clone());
                self.state = State::Charged;
                match status {
                    Some(OrderStatus::Rejected | OrderStatus::Cancelled) => self.ended(),
                    // Somebody else said so already.
                    Some(OrderStatus::Paid | OrderStatus::Shipped) => Action::None,
                    _ => Action::Paid,
                }
            }
            Answer::Declined { reason } => {
                self.state = State::Declined;
                self.reason = Some(reason.clone());
                if ended { Action::None } else { Action::Reject }
            }
        }
    }

    /// The gateway answered to the refund.
    pub fn refund_answered(&mut self, answer: &Answer) {
        match (self.state, answer) {
            (State::Refunding | State::RefundFailed, Answer::Accepted { .. }) => {
                self.state = State::Refunded;
                self.reason = None;
            }
            (State::Refunding, Answer::Declined { reason }) => {
                self.state = State::RefundFailed;
                self.reason = Some(reason.clone());
            }
            _ => {}
        }
    }
}

impl State {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Skipped,
        Self::Charged,
        Self::Declined,
        Self::Refunding,
        Self::Refunded,
        Self::RefundFailed,
    ];

    /// Its name in the database and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Skipped => "skipped",
            Self::Charged => "charged",
            Self::Declined => "declined",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
            Self::RefundFailed => "refund_failed",
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
#[error("not a state of a payment")]
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
