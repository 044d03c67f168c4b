//! The body of a request for an order.

use base_domains::{NewOrder, WireLine};
use serde::Deserialize;
use utoipa::ToSchema;

/// An order to place: either `name`, `qty` and `price` of its only line, or `items`. With `items` the three
/// may still be there, if they equal the first line.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewOrder, example = json!({"name": "book order", "qty": 5, "price": 10000}))]
pub(super) struct PlaceOrder {
    /// The product.
    #[schema(min_length = 1, max_length = 200, example = "book order")]
    name: Option<String>,
    /// Pieces.
    #[schema(minimum = 1, maximum = 1_000_000, example = 5)]
    qty: Option<i64>,
    /// Unit price in major units, at most two decimals.
    #[schema(minimum = 0, maximum = 1_000_000_000, example = 10000)]
    price: Option<f64>,
    /// Where mail about the order goes.
    #[schema(max_length = 254, example = "reader@example.org")]
    email: Option<String>,
    /// Every line.
    #[schema(min_items = 1, max_items = 50)]
    items: Option<Vec<PlaceLine>>,
}

/// One line of an order to place.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewLine, example = json!({"name": "book order", "qty": 5, "price": 10000}))]
struct PlaceLine {
    /// The product.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Pieces.
    #[schema(minimum = 1, maximum = 1_000_000)]
    qty: i64,
    /// Unit price in major units, at most two decimals.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    price: f64,
}

impl From<PlaceOrder> for NewOrder {
    fn from(body: PlaceOrder) -> Self {
        let line = |line: PlaceLine| WireLine {
            name: line.name,
            qty: line.qty,
            price: line.price,
        };
        Self {
            name: body.name,
            qty: body.qty,
            price: body.price,
            email: body.email,
            items: body
                .items
                .map(|items| items.into_iter().map(line).collect()),
        }
    }
}
