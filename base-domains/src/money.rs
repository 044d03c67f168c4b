//! Money: whole minor units inside, a number with at most two decimals on the wire.

use std::fmt;

use crate::quantity::Quantity;

/// Minor units in one major unit.
const MINOR_PER_MAJOR: i64 = 100;

/// A unit price, from 0 to [`Money::MAX`], in minor units (cents).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

/// Why a number is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a number, or infinite.
    #[error("must be a number")]
    NotANumber,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// Above [`Money::MAX`].
    #[error("must not be more than {max}", max = Money::MAX)]
    TooLarge,
    /// A fraction of a minor unit.
    #[error("must not have more than two decimals")]
    TooManyDecimals,
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The largest unit price, 1 000 000 000.00 in major units.
    ///
    /// It keeps every total inside an `i64`: 10^11 minor units, times the largest [`Quantity`] 10^6,
    /// times the 50 lines of the longest order, is 5 * 10^18, and an `i64` holds 9.2 * 10^18. It is
    /// also far below 2^53, so a `f64` holds each price to the cent.
    pub const MAX: Self = Self(1_000_000_000 * MINOR_PER_MAJOR);

    /// The price of `minor` minor units.
    ///
    /// # Errors
    /// When `minor` is negative or above [`Money::MAX`].
    pub const fn from_minor(minor: i64) -> Result<Self, MoneyError> {
        if minor < 0 {
            Err(MoneyError::Negative)
        } else if minor > Self::MAX.0 {
            Err(MoneyError::TooLarge)
        } else {
            Ok(Self(minor))
        }
    }

    /// The price in minor units.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// The price that the wire number `value`, in major units, stands for.
    ///
    /// The decimals are those of the shortest decimal text that reads back as `value`: the number the
    /// sender wrote. So 0.29 is 29 minor units although the nearest `f64` is a little less.
    ///
    /// # Errors
    /// When `value` is not a number, negative, above [`Money::MAX`] or has more than two decimals.
    pub fn from_wire(value: f64) -> Result<Self, MoneyError> {
        if !value.is_finite() {
            return Err(MoneyError::NotANumber);
        }
        if value < 0.0 {
            return Err(MoneyError::Negative);
        }
        if value > Self::MAX.to_wire() {
            return Err(MoneyError::TooLarge);
        }
        // `Display` of a f64 is its shortest text, without an exponent; "-0" parses to 0 as well.
        let text = value.to_string();
        let (major, decimals) = text.split_once('.').unwrap_or((&text, ""));
        if decimals.len() > 2 {
            return Err(MoneyError::TooManyDecimals);
        }
        let digits = format!("{major}{decimals:0<2}");
        digits.parse().map(Self).map_err(|_| MoneyError::TooLarge)
    }

    /// The number that stands for this price on the wire, in major units.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "MAX is below 2^53")]
    pub fn to_wire(self) -> f64 {
        self.0 as f64 / MINOR_PER_MAJOR as f64
    }

    /// The price of `quantity` pieces. It cannot overflow, see [`Money::MAX`].
    #[must_use]
    pub fn times(self, quantity: Quantity) -> Total {
        Total(self.0 * i64::from(quantity.get()))
    }
}

impl fmt::Display for Money {
    /// Writes major units with two decimals, such as `10000.00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_minor(self.0, f)
    }
}

/// What one or more lines cost together, in minor units; it may be more than [`Money::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Total(i64);

impl Total {
    /// The total of `minor` minor units.
    ///
    /// # Errors
    /// When `minor` is negative.
    pub const fn from_minor(minor: i64) -> Result<Self, MoneyError> {
        if minor < 0 {
            Err(MoneyError::Negative)
        } else {
            Ok(Self(minor))
        }
    }

    /// The total in minor units.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// The number that stands for this total on the wire, in major units: exact to the cent up to
    /// 2^53 minor units (90 071 992 547 409.92), beyond that the nearest number.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "told above")]
    pub fn to_wire(self) -> f64 {
        self.0 as f64 / MINOR_PER_MAJOR as f64
    }
}

impl std::iter::Sum for Total {
    /// Exact for the lines of one order, see [`Money::MAX`]; a longer sum stops at `i64::MAX`.
    fn sum<I: Iterator<Item = Self>>(totals: I) -> Self {
        Self(totals.fold(0, |sum, total| sum.saturating_add(total.0)))
    }
}

impl fmt::Display for Total {
    /// Writes major units with two decimals, such as `50000.00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_minor(self.0, f)
    }
}

/// Writes an amount that is not negative.
fn write_minor(minor: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "{}.{:02}",
        minor / MINOR_PER_MAJOR,
        minor % MINOR_PER_MAJOR
    )
}
