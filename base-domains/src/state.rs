//! The one state machine: an order's state is a pure fold over the events of its home partition.

use crate::status::OrderStatus;

/// What the events read so far say about one order.
///
/// | state \ event | PENDING | RESERVED | PAID | SHIPPED | REJECTED | CANCELLED |
/// |---|---|---|---|---|---|---|
/// | nothing read  | PENDING | RESERVED | PAID | SHIPPED | REJECTED | CANCELLED |
/// | PENDING       | –       | RESERVED | PAID | SHIPPED | REJECTED | CANCELLED |
/// | RESERVED      | –       | –        | PAID | SHIPPED | REJECTED | CANCELLED |
/// | PAID          | –       | –        | –    | SHIPPED | REJECTED | CANCELLED |
/// | SHIPPED       | –       | –        | –    | –       | –        | –         |
/// | REJECTED      | –       | –        | –    | –       | –        | –         |
/// | CANCELLED     | –       | –        | –    | –       | –        | –         |
///
/// A name is the new state ([`Effect::Effective`]); a dash is [`Effect::NoEffect`]. In words: among the
/// states that are no end the highest rank counts, the first end wins over them and never changes. Every
/// service folds the same partition in the same order, so all agree on the winner of a race, and a
/// repeated or late event is one without effect: the fold is the de-duplication.
///
/// ```
/// use base_domains::{Effect, OrderState, OrderStatus};
///
/// let mut state = OrderState::default();
/// assert_eq!(state.apply(OrderStatus::Pending), Effect::Effective);
/// assert_eq!(state.apply(OrderStatus::Cancelled), Effect::Effective);
/// assert_eq!(state.apply(OrderStatus::Shipped), Effect::NoEffect);
/// assert_eq!(state.status(), Some(OrderStatus::Cancelled));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OrderState(Option<OrderStatus>);

/// What an event did to the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The state is now the status of the event.
    Effective,
    /// The state is as before: the event was late, repeated, or lost a race.
    NoEffect,
}

impl OrderState {
    /// The state, or `None` when no event was read.
    #[must_use]
    pub const fn status(self) -> Option<OrderStatus> {
        self.0
    }

    /// The rank of the state, 0 when no event was read.
    #[must_use]
    pub fn rank(self) -> i64 {
        self.0.map_or(0, OrderStatus::rank)
    }

    /// Folds one event into the state.
    pub fn apply(&mut self, status: OrderStatus) -> Effect {
        if status.rank() > self.rank() {
            self.0 = Some(status);
            Effect::Effective
        } else {
            Effect::NoEffect
        }
    }
}

impl From<Option<OrderStatus>> for OrderState {
    fn from(status: Option<OrderStatus>) -> Self {
        Self(status)
    }
}
