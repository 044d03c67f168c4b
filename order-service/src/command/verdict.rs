//! The rule of cancelling, for requests and for the deadline alike: a pure function over the row of an order.
//!
//! | the order is | an outcome is unconfirmed | verdict |
//! |---|---|---|
//! | not read yet | | nobody knows of it |
//! | at its end | | ended, and stays so |
//! | PENDING, RESERVED, PAID | yes | its CANCELLED is under way |
//! | PENDING, RESERVED, PAID | no | CANCELLED is to be stored |
//!
//! An unconfirmed outcome of the participant `orders` always is a CANCELLED: it stores no other.

use base_domains::OrderStatus;

/// What comes of the wish to cancel an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing of the order was read.
    Unknown,
    /// It has ended.
    Ended(OrderStatus),
    /// Its CANCELLED was stored before, and is not read back yet.
    UnderWay,
    /// Its CANCELLED is to be stored; this is what it is until then.
    Cancel(OrderStatus),
}

/// The verdict about an order of this folded status, of which an outcome was stored and not read back, or not.
#[must_use]
pub fn judge(status: Option<OrderStatus>, has_unconfirmed: bool) -> Verdict {
    match status {
        None => Verdict::Unknown,
        Some(status) if status.is_terminal() => Verdict::Ended(status),
        Some(_) if has_unconfirmed => Verdict::UnderWay,
        Some(status) => Verdict::Cancel(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_was_read_counts_before_an_outcome_that_was_not() {
        for status in OrderStatus::ALL {
            for has_unconfirmed in [false, true] {
                let expected = match (status.is_terminal(), has_unconfirmed) {
                    (true, _) => Verdict::Ended(status),
                    (false, true) => Verdict::UnderWay,
                    (false, false) => Verdict::Cancel(status),
                };
                assert_eq!(judge(Some(status), has_unconfirmed), expected, "{status}");
            }
        }
        assert_eq!(judge(None, false), Verdict::Unknown);
    }
}
