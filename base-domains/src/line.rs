//! One line of an order: so many pieces of one product at one price.

use crate::field_error::FieldError;
use crate::money::{Money, Total};
use crate::quantity::Quantity;

/// Longest product name, in characters.
const MAX_NAME: usize = 200;

/// A line that keeps every rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderLine {
    name: String,
    quantity: Quantity,
    price: Money,
}

impl OrderLine {
    /// The product, 1 to 200 characters without space around them.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Pieces, from 1 to 1 000 000.
    #[must_use]
    pub const fn qty(&self) -> u32 {
        self.quantity.get()
    }

    /// Price of one piece.
    #[must_use]
    pub const fn price(&self) -> Money {
        self.price
    }

    /// Price of all pieces.
    #[must_use]
    pub fn total(&self) -> Total {
        self.price.times(self.quantity)
    }
}

/// The fields of a line as somebody sent them; `None` is a field that was left out.
pub(crate) struct LineDraft<'a> {
    /// Path of the line in the JSON, such as `items[1].`, or empty.
    pub(crate) path: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) qty: Option<i64>,
    pub(crate) price: Option<f64>,
}

impl LineDraft<'_> {
    /// The line, or `None` after adding each of its problems to `errors`.
    pub(crate) fn check(&self, errors: &mut Vec<FieldError>) -> Option<OrderLine> {
        let mut field = |name: &str, problem: String| {
            errors.push(FieldError::new(format!("{}{name}", self.path), problem));
        };
        let name = required(self.name, check_name).map_err(|problem| field("name", problem));
        let quantity = required(self.qty, Quantity::new).map_err(|problem| field("qty", problem));
        let price =
            required(self.price, Money::from_wire).map_err(|problem| field("price", problem));
        Some(OrderLine {
            name: name.ok()?,
            quantity: quantity.ok()?,
            price: price.ok()?,
        })
    }
}

fn required<T, V, E: ToString>(
    value: Option<T>,
    check: impl FnOnce(T) -> Result<V, E>,
) -> Result<V, String> {
    let value = value.ok_or("is required")?;
    check(value).map_err(|error| error.to_string())
}

/// Space around a name is dropped, so that it does not name another product.
fn check_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME {
        Err(format!("must have 1 to {MAX_NAME} characters"))
    } else if name.contains(char::is_control) {
        Err("must not contain control characters".to_owned())
    } else {
        Ok(name.to_owned())
    }
}
