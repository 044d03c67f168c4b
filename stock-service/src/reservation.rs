//! What one order holds, or held.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base_domains::Order;

/// Pieces by product; the lines of an order that name the same product add up.
pub type Lines = BTreeMap<String, i64>;

/// A reservation; an order has at most one, and it ends once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Where its pieces are.
    pub state: ReservationState,
    /// Its pieces.
    pub lines: Lines,
}

/// Where the pieces of a reservation are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationState {
    /// Among the reserved ones.
    Held,
    /// Available again.
    Released,
    /// Gone.
    Shipped,
}

/// A text names no [`ReservationState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither held, released nor shipped")]
pub struct ParseReservationStateError;

/// The pieces that `order` asks for.
#[must_use]
pub fn lines_of(order: &Order) -> Lines {
    let mut lines = Lines::new();
    for line in order.lines() {
        *lines.entry(line.name().to_owned()).or_default() += i64::from(line.qty());
    }
    lines
}

impl Reservation {
    /// A new one.
    #[must_use]
    pub const fn held(lines: Lines) -> Self {
        Self {
            state: ReservationState::Held,
            lines,
        }
    }

    /// Whether it did not end yet.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.state == ReservationState::Held
    }
}

impl ReservationState {
    /// Its name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Released => "released",
            Self::Shipped => "shipped",
        }
    }
}

impl fmt::Display for ReservationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReservationState {
    type Err = ParseReservationStateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Held, Self::Released, Self::Shipped]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(ParseReservationStateError)
    }
}
