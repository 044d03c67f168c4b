//! How many pieces of one product there are, and the only ways in which they move.

/// Most pieces that a catalogue, an operator or a setting may make available at once.
///
/// A sum of them overflows an `i64` only after nine thousand million such adjustments.
pub const MAX_AVAILABLE: i64 = 1_000_000_000;

/// The pieces of one product; none of the three is ever negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    /// May be reserved.
    pub available: i64,
    /// Held for orders that did not end yet.
    pub reserved: i64,
    /// Left with orders that were shipped.
    pub shipped: i64,
}

impl Level {
    /// A product with `available` pieces, none of them spoken for.
    #[must_use]
    pub const fn of(available: i64) -> Self {
        Self {
            available,
            reserved: 0,
            shipped: 0,
        }
    }

    /// Holds `pieces`, or `None` when fewer are available.
    #[must_use]
    pub fn reserve(self, pieces: i64) -> Option<Self> {
        Some(Self {
            available: less(self.available, pieces)?,
            reserved: self.reserved + pieces,
            ..self
        })
    }

    /// Gives held `pieces` back, or `None` when fewer are held.
    #[must_use]
    pub fn release(self, pieces: i64) -> Option<Self> {
        Some(Self {
            available: self.available + pieces,
            reserved: less(self.reserved, pieces)?,
            ..self
        })
    }

    /// Lets held `pieces` go, or `None` when fewer are held.
    #[must_use]
    pub fn ship(self, pieces: i64) -> Option<Self> {
        Some(Self {
            reserved: less(self.reserved, pieces)?,
            shipped: self.shipped + pieces,
            ..self
        })
    }
}

/// The difference, unless it would be negative.
fn less(amount: i64, pieces: i64) -> Option<i64> {
    Some(amount - pieces).filter(|rest| *rest >= 0)
}
