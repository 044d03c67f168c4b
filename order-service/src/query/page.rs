//! A page of orders: which ones, how many, and where the next page begins.

use std::fmt;
use std::str::FromStr;

use base_domains::{OrderId, OrderStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::{BadParameter, bad, single, status_of};
use super::view::OrderView;

const DEFAULT_LIMIT: usize = 50;
/// Most orders on a page.
pub(super) const MAX_LIMIT: usize = 200;

/// What a request for a page asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageRequest {
    /// Only these, each once; all when empty.
    pub(super) statuses: Vec<OrderStatus>,
    pub(super) limit: usize,
    /// The last order of the page before.
    pub(super) after: Option<Cursor>,
}

/// The place of an order among all orders, newest first. It never changes, so new orders and
/// orders that move on neither shift a page nor repeat one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Epoch milliseconds.
    pub(super) created_at: i64,
    pub(super) order_id: OrderId,
}

/// Orders, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    /// The newest first.
    pub(super) orders: Vec<OrderView>,
    /// `cursor` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
}

impl PageRequest {
    /// Reads `status`, `limit` and `cursor`; other parameters are ignored.
    pub(super) fn of(parameters: &[(String, String)]) -> Result<Self, BadParameter> {
        let mut statuses = Vec::new();
        for name in single(parameters, "status")?
            .into_iter()
            .flat_map(|text| text.split(','))
        {
            let status = status_of("status", name)?;
            if !statuses.contains(&status) {
                statuses.push(status);
            }
        }
        let limit = single(parameters, "limit")?.map(limit_of).transpose()?;
        let after = single(parameters, "cursor")?.map(|text| {
            text.parse()
                .map_err(|_| bad("cursor", "must be a nextCursor that this API has answered"))
        });
        Ok(Self {
            statuses,
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            after: after.transpose()?,
        })
    }
}

fn limit_of(text: &str) -> Result<usize, BadParameter> {
    text.parse()
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| bad("limit", format!("must be from 1 to {MAX_LIMIT}")))
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.created_at, self.order_id)
    }
}

/// The text is none that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadCursor;

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (created_at, order_id) = text.split_once('.').ok_or(BadCursor)?;
        Ok(Self {
            created_at: created_at.parse().map_err(|_| BadCursor)?,
            order_id: order_id.parse().map_err(|_| BadCursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(pairs: &[(&str, &str)]) -> Result<PageRequest, BadParameter> {
        let owned: Vec<(String, String)> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        PageRequest::of(&owned)
    }

    #[test]
    fn without_parameters_it_is_the_newest_fifty_of_all() {
        let all = PageRequest {
            statuses: vec![],
            limit: 50,
            after: None,
        };
        assert_eq!(request(&[("unknown", "x")]), Ok(all));
    }

    #[test]
    fn a_status_that_is_named_twice_counts_once() {
        let statuses = request(&[("status", "PAID,SHIPPED,PAID")])
            .unwrap()
            .statuses;
        assert_eq!(statuses, [OrderStatus::Paid, OrderStatus::Shipped]);
    }

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = Cursor {
            created_at: 1_763_720_130_187,
            order_id: OrderId::from_idempotency_key("test", "a"),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        let after = request(&[("cursor", &cursor.to_string())]).unwrap().after;
        assert_eq!(after, Some(cursor));
    }

    #[test]
    fn a_parameter_that_cannot_be_read_is_named() {
        for (name, value) in [
            ("status", ""),
            ("status", "paid"),
            ("status", "PAID,"),
            ("limit", "0"),
            ("limit", "201"),
            ("limit", "many"),
            ("cursor", ""),
            ("cursor", "1763720130187"),
            ("cursor", "then.0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a"),
            ("cursor", "1763720130187.nobody"),
        ] {
            assert_eq!(request(&[(name, value)]).unwrap_err().name, name, "{value}");
        }
    }
}
