//! How many pieces one order line asks for.

/// A number of pieces, from 1 to [`Quantity::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u32);

/// A number is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be from 1 to {max}", max = Quantity::MAX.get())]
pub struct QuantityError;

impl Quantity {
    /// The largest quantity, 1 000 000 pieces.
    pub const MAX: Self = Self(1_000_000);

    /// The quantity of `pieces`.
    ///
    /// # Errors
    /// When `pieces` is below 1 or above [`Quantity::MAX`].
    pub fn new(pieces: i64) -> Result<Self, QuantityError> {
        match u32::try_from(pieces) {
            Ok(pieces) if (1..=Self::MAX.0).contains(&pieces) => Ok(Self(pieces)),
            _ => Err(QuantityError),
        }
    }

    /// The number of pieces.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}
