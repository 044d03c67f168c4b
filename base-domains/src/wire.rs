//! An order as it is in the body of an event: the tutorial's `Order` with optional additions.
//!
//! It decodes whenever its fields have the right types. Whether it keeps the rules of the domain is asked
//! afterwards by [`WireOrder::validate`], so that an order which breaks one can be rejected by name.

use std::fmt;

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::field_error::FieldError;
use crate::line::{LineDraft, OrderLine};
use crate::order::{Order, check_email, check_items};
use crate::order_id::OrderId;
use crate::redacted::Redacted;

/// An order on the wire, unchecked. Unknown fields are ignored.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireOrder {
    /// The id.
    pub order_id: OrderId,
    /// Product of the first line; empty when the sender wrote `null`, as a Java client may.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub name: String,
    /// Pieces of the first line.
    pub qty: i64,
    /// Unit price of the first line, in major units.
    #[serde(serialize_with = "finite")]
    pub price: f64,
    /// Where mail about the order goes. Personal data: never log it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Every line, when there is more than one. The first one repeats `name`, `qty` and `price`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<WireLine>>,
}

/// One line of an order on the wire, unchecked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireLine {
    /// The product.
    pub name: String,
    /// Pieces.
    pub qty: i64,
    /// Unit price in major units.
    #[serde(serialize_with = "finite")]
    pub price: f64,
}

impl WireOrder {
    /// The order, checked against the rules of the domain.
    ///
    /// # Errors
    /// Every field that breaks a rule.
    pub fn validate(&self) -> Result<Order, Vec<FieldError>> {
        let mut errors = Vec::new();
        let lines = match &self.items {
            Some(items) => {
                if items
                    .first()
                    .is_some_and(|first| *first != self.first_line())
                {
                    errors.push(FieldError::new(
                        "items[0]",
                        "must equal name, qty and price",
                    ));
                }
                check_items(items, &mut errors)
            }
            None => self.draft().check(&mut errors).into_iter().collect(),
        };
        check_email(self.email.as_deref(), &mut errors);
        if errors.is_empty() {
            Ok(Order::from_checked(
                self.order_id,
                lines,
                self.email.clone(),
            ))
        } else {
            Err(errors)
        }
    }

    fn first_line(&self) -> WireLine {
        WireLine {
            name: self.name.clone(),
            qty: self.qty,
            price: self.price,
        }
    }

    fn draft(&self) -> LineDraft<'_> {
        LineDraft {
            path: "",
            name: Some(&self.name),
            qty: Some(self.qty),
            price: Some(self.price),
        }
    }
}

impl fmt::Debug for WireOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireOrder")
            .field("order_id", &self.order_id)
            .field("name", &self.name)
            .field("qty", &self.qty)
            .field("price", &self.price)
            .field("email", &Redacted(self.email.as_deref()))
            .field("items", &self.items)
            .finish()
    }
}

impl From<&Order> for WireOrder {
    fn from(order: &Order) -> Self {
        let lines: Vec<WireLine> = order.lines().iter().map(WireLine::from).collect();
        let first = lines.first().cloned().unwrap_or_else(|| WireLine {
            name: String::new(),
            qty: 0,
            price: 0.0,
        });
        Self {
            order_id: order.id(),
            name: first.name,
            qty: first.qty,
            price: first.price,
            email: order.email().map(str::to_owned),
            items: (lines.len() > 1).then_some(lines),
        }
    }
}

impl From<&OrderLine> for WireLine {
    fn from(line: &OrderLine) -> Self {
        Self {
            name: line.name().to_owned(),
            qty: line.qty().into(),
            price: line.price().to_wire(),
        }
    }
}

pub(crate) fn null_as_empty<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// JSON has no NaN; `serde_json` would write `null`, which no reader takes as a price.
pub(crate) fn finite<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() {
        serializer.serialize_f64(*value)
    } else {
        Err(S::Error::custom("a price must be a finite number"))
    }
}
