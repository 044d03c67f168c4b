//! An order that keeps every rule of the domain.

use std::fmt;

use crate::field_error::FieldError;
use crate::line::{LineDraft, OrderLine};
use crate::money::Total;
use crate::order_id::OrderId;
use crate::redacted::Redacted;
use crate::wire::WireLine;

/// A valid order. [`WireOrder::validate`](crate::WireOrder::validate) and
/// [`NewOrder::into_order`](crate::NewOrder::into_order) make one.
#[derive(Clone, PartialEq, Eq)]
pub struct Order {
    id: OrderId,
    lines: Vec<OrderLine>,
    email: Option<String>,
}

impl Order {
    /// Most lines of one order.
    pub const MAX_LINES: usize = 50;

    /// The order of these checked parts; `lines` holds 1 to [`Order::MAX_LINES`].
    pub(crate) const fn from_checked(
        id: OrderId,
        lines: Vec<OrderLine>,
        email: Option<String>,
    ) -> Self {
        Self { id, lines, email }
    }

    /// The id, which is the key of the order's events.
    #[must_use]
    pub const fn id(&self) -> OrderId {
        self.id
    }

    /// The lines, at least one and at most [`Order::MAX_LINES`]. Two lines may name the same product.
    #[must_use]
    pub fn lines(&self) -> &[OrderLine] {
        &self.lines
    }

    /// Where mail about this order goes. Personal data: never log it.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    /// What the whole order costs.
    #[must_use]
    pub fn total(&self) -> Total {
        self.lines.iter().map(OrderLine::total).sum()
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order")
            .field("id", &self.id)
            .field("lines", &self.lines)
            .field("email", &Redacted(self.email()))
            .finish()
    }
}

/// Checks the lines of `items`, adding each problem to `errors`; the result is complete only when none was
/// added.
pub(crate) fn check_items(items: &[WireLine], errors: &mut Vec<FieldError>) -> Vec<OrderLine> {
    // Not one error per line: a record may hold very many of them.
    if items.is_empty() || items.len() > Order::MAX_LINES {
        errors.push(FieldError::new(
            "items",
            format!("must have 1 to {} lines", Order::MAX_LINES),
        ));
        return Vec::new();
    }
    let lines = items.iter().enumerate().filter_map(|(index, item)| {
        let path = format!("items[{index}].");
        LineDraft {
            path: &path,
            name: Some(&item.name),
            qty: Some(item.qty),
            price: Some(item.price),
        }
        .check(errors)
    });
    lines.collect()
}

/// Checks the address, adding its problem to `errors`.
pub(crate) fn check_email(email: Option<&str>, errors: &mut Vec<FieldError>) {
    if let Some(Err(problem)) = email.map(crate::email::check_email) {
        errors.push(FieldError::new("email", problem));
    }
}
