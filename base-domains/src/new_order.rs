//! The request that places an order: the tutorial's `{"name","qty","price"}` with optional additions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::field_error::FieldError;
use crate::line::{LineDraft, OrderLine};
use crate::order::{Order, check_email, check_items};
use crate::order_id::OrderId;
use crate::redacted::Redacted;
use crate::wire::WireLine;

/// The body of a request for an order, unchecked. Unknown fields are ignored.
///
/// Either `name`, `qty` and `price` describe the only line, or `items` holds every line. With `items` the
/// three may still be there, if they equal the first line.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrder {
    /// The product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Pieces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qty: Option<i64>,
    /// Unit price in major units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// Where mail about the order goes. Personal data: never log it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Every line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<WireLine>>,
}

impl NewOrder {
    /// The order under the id `id`, checked against the rules of the domain.
    ///
    /// # Errors
    /// Every field that is missing or breaks a rule.
    pub fn into_order(self, id: OrderId) -> Result<Order, Vec<FieldError>> {
        let mut errors = Vec::new();
        let lines = match &self.items {
            Some(items) => {
                self.compare_with_first(items, &mut errors);
                check_items(items, &mut errors)
            }
            None => self.only_line(&mut errors).into_iter().collect(),
        };
        check_email(self.email.as_deref(), &mut errors);
        if errors.is_empty() {
            Ok(Order::from_checked(id, lines, self.email))
        } else {
            Err(errors)
        }
    }

    fn only_line(&self, errors: &mut Vec<FieldError>) -> Option<OrderLine> {
        LineDraft {
            path: "",
            name: self.name.as_deref(),
            qty: self.qty,
            price: self.price,
        }
        .check(errors)
    }

    fn compare_with_first(&self, items: &[WireLine], errors: &mut Vec<FieldError>) {
        let Some(first) = items.first() else { return };
        let differs = [
            (
                "name",
                self.name.as_ref().is_some_and(|name| *name != first.name),
            ),
            ("qty", self.qty.is_some_and(|qty| qty != first.qty)),
            (
                "price",
                self.price.is_some_and(|price| price != first.price),
            ),
        ];
        for (field, _) in differs.into_iter().filter(|(_, differs)| *differs) {
            errors.push(FieldError::new(
                field,
                format!("must equal items[0].{field} or be left out"),
            ));
        }
    }
}

impl fmt::Debug for NewOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewOrder")
            .field("name", &self.name)
            .field("qty", &self.qty)
            .field("price", &self.price)
            .field("email", &Redacted(self.email.as_deref()))
            .field("items", &self.items)
            .finish()
    }
}
