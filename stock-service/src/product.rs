//! What a product may be called: the same as in a line of an order.

use base_domains::{OrderId, OrderLine, WireOrder};
use uuid::Uuid;

/// The name as it is kept, without space around it.
///
/// # Errors
/// What is wrong with it, to be read after the word `name`.
pub fn check_name(name: &str) -> Result<String, String> {
    // Asked through an order of one piece, so that there is one rule and not a copy of it.
    let probe = WireOrder {
        order_id: OrderId::new(Uuid::nil()),
        name: name.to_owned(),
        qty: 1,
        price: 0.0,
        email: None,
        items: None,
    };
    match probe.validate() {
        Ok(order) => Ok(order.lines().iter().map(OrderLine::name).collect()),
        Err(errors) => {
            let messages: Vec<_> = errors.into_iter().map(|error| error.message).collect();
            Err(messages.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_around_a_name_does_not_make_another_product() {
        assert_eq!(check_name(" book order\t"), Ok("book order".to_owned()));
    }

    #[test]
    fn a_name_that_no_order_could_have_is_refused() {
        for name in ["", "   ", "a\nb", &"x".repeat(201)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
