//! What a request for one order waits for: `wait` and `until`.

use std::time::Duration;

use base_domains::OrderStatus;
use service_runtime::config::parse_duration;

use super::parameters::{BadParameter, bad, single, status_of};

/// Longest `wait`.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(30);
/// Any end has this rank.
const END: i64 = OrderStatus::Shipped.rank();

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    /// How long at most; without it as long as the service has patience.
    pub(super) wait: Option<Duration>,
    /// An order of this rank or a higher one is answered at once; every end is.
    pub(super) rank: i64,
}

impl Wish {
    /// Any state.
    pub(super) fn any() -> Self {
        Self {
            wait: None,
            rank: 0,
        }
    }

    /// Reads `wait` and `until`; other parameters are ignored.
    pub(super) fn of(parameters: &[(String, String)]) -> Result<Self, BadParameter> {
        let wait = single(parameters, "wait")?.map(wait_of).transpose()?;
        let rank = single(parameters, "until")?
            .map(|text| status_of("until", text))
            .transpose()?
            .map(OrderStatus::rank);
        match (wait, rank) {
            (None, None) => Ok(Self::any()),
            (None, Some(_)) => Err(bad("until", "needs wait, such as wait=5s")),
            (wait, rank) => Ok(Self {
                wait,
                rank: rank.unwrap_or(END),
            }),
        }
    }

    /// Whether an order with this status is what the request waits for.
    pub(super) fn is_met_by(self, status: OrderStatus) -> bool {
        status.rank() >= self.rank
    }
}

fn wait_of(text: &str) -> Result<Duration, BadParameter> {
    let wait = parse_duration(text).map_err(|error| bad("wait", error))?;
    if wait > MAX_WAIT {
        return Err(bad("wait", "must be at most 30s"));
    }
    Ok(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(pairs: &[(&str, &str)]) -> Result<Wish, BadParameter> {
        let owned: Vec<(String, String)> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Wish::of(&owned)
    }

    #[test]
    fn without_a_wish_any_state_is_answered_and_a_missing_order_waited_for_with_patience() {
        let wish = wish(&[("unknown", "x")]).unwrap();
        assert_eq!(wish.wait, None);
        assert!(wish.is_met_by(OrderStatus::Pending));
    }

    #[test]
    fn a_wait_alone_is_for_an_end() {
        let wish = wish(&[("wait", "5s")]).unwrap();
        assert_eq!(wish.wait, Some(Duration::from_secs(5)));
        for status in OrderStatus::ALL {
            assert_eq!(wish.is_met_by(status), status.is_terminal(), "{status}");
        }
    }

    #[test]
    fn a_wait_until_a_state_is_for_its_rank_or_an_end() {
        use OrderStatus::{Cancelled, Paid, Pending, Rejected, Reserved, Shipped};
        let wish = wish(&[("wait", "500ms"), ("until", "RESERVED")]).unwrap();
        assert!(!wish.is_met_by(Pending));
        for status in [Reserved, Paid, Shipped, Rejected, Cancelled] {
            assert!(wish.is_met_by(status), "{status}");
        }
    }

    #[test]
    fn the_longest_wait_is_30_seconds() {
        assert_eq!(wish(&[("wait", "30s")]).unwrap().wait, Some(MAX_WAIT));
        let error = wish(&[("wait", "30001ms")]).unwrap_err();
        assert_eq!(error, bad("wait", "must be at most 30s"));
    }

    #[test]
    fn a_parameter_that_cannot_be_read_is_named() {
        for (pairs, name) in [
            (vec![("wait", "5")], "wait"),
            (vec![("wait", "")], "wait"),
            (vec![("wait", "-1s")], "wait"),
            (vec![("wait", "1s"), ("wait", "2s")], "wait"),
            (vec![("wait", "1s"), ("until", "reserved")], "until"),
            (vec![("wait", "1s"), ("until", "")], "until"),
            (vec![("until", "PAID")], "until"),
        ] {
            assert_eq!(wish(&pairs).unwrap_err().name, name, "{pairs:?}");
        }
    }
}
