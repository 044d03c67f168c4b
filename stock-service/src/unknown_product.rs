//! The setting `STOCK_UNKNOWN_PRODUCT`: what an order of a product without stock row means.

use std::fmt;
use std::str::FromStr;

use crate::level::MAX_AVAILABLE;

/// What happens to an order that names a product nobody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnknownProduct {
    /// The order is rejected.
    #[default]
    Reject,
    /// The product is created with so many pieces, kept as an adjustment in the ledger.
    Create(i64),
}

/// A text is no [`UnknownProduct`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither `reject` nor a number of pieces from 0 to {MAX_AVAILABLE}")]
pub struct ParseUnknownProductError;

impl FromStr for UnknownProduct {
    type Err = ParseUnknownProductError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "reject" {
            return Ok(Self::Reject);
        }
        text.parse()
            .ok()
            .filter(|pieces| (0..=MAX_AVAILABLE).contains(pieces))
            .map(Self::Create)
            .ok_or(ParseUnknownProductError)
    }
}

impl fmt::Display for UnknownProduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reject => f.write_str("reject"),
            Self::Create(pieces) => write!(f, "{pieces}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_reads_back_as_it_is_shown() {
        for setting in [
            UnknownProduct::Reject,
            UnknownProduct::Create(0),
            UnknownProduct::Create(MAX_AVAILABLE),
        ] {
            assert_eq!(setting.to_string().parse(), Ok(setting));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "accept", "-1", "1000000001", "1.5", "Reject"] {
            assert_eq!(
                text.parse::<UnknownProduct>(),
                Err(ParseUnknownProductError)
            );
        }
    }
}
