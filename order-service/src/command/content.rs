//! What makes two requests the same order: their content, whatever way it was written.

use base_domains::Order;
use sha2::{Digest, Sha256};

/// The SHA-256, in hexadecimal, of what the order says.
///
/// It is taken of the checked order, so spaces around a name, `items` with one line, or `10` for `10.00`
/// make no difference. It is stored: the canonical form must never change, or a repetition would be taken
/// for another order.
pub(super) fn fingerprint(order: &Order) -> String {
    let lines: Vec<(&str, u32, i64)> = order
        .lines()
        .iter()
        .map(|line| (line.name(), line.qty(), line.price().minor()))
        .collect();
    // JSON, because its strings have an end: no two orders have one text.
    let canonical = serde_json::json!([lines, order.email()]).to_string();
    format!("{:x}", Sha256::digest(canonical))
}

#[cfg(test)]
mod tests {
    use base_domains::{NewOrder, OrderId};
    use serde_json::{Value, json};

    use super::*;

    fn of(body: Value) -> String {
        let id = OrderId::from_idempotency_key("test", "content");
        let new: NewOrder = serde_json::from_value(body).unwrap();
        fingerprint(&new.into_order(id).unwrap())
    }

    #[test]
    fn the_fingerprint_of_a_known_order_never_changes() {
        // printf '%s' '[[["book order",5,1000000]],null]' | sha256sum
        assert_eq!(
            of(json!({"name": "book order", "qty": 5, "price": 10000})),
            "900df9940b63d036f9b9124ea9ae000fcc4294191a6763b1e297d79a142d6727"
        );
        assert_eq!(
            of(json!({
                "email": "reader@example.org",
                "items": [
                    {"name": "book \"order\"", "qty": 5, "price": 10000.5},
                    {"name": "pen", "qty": 1, "price": 0},
                ],
            })),
            "82b63dba99025eea9da387544bba1a3e3ddc2f1501f259a0460fc3797f5ca71d"
        );
    }

    #[test]
    fn the_same_order_in_other_words_has_the_same_fingerprint() {
        let plain = of(json!({"name": "book order", "qty": 5, "price": 10000.0}));
        for same in [
            json!({"qty": 5, "price": 10000, "name": " book order "}),
            json!({"items": [{"name": "book order", "qty": 5, "price": 10000}]}),
            json!({"name": "book order", "qty": 5, "price": 10000, "email": null, "note": "x"}),
        ] {
            assert_eq!(of(same.clone()), plain, "{same}");
        }
    }

    #[test]
    fn any_other_order_has_another_fingerprint() {
        let item = |name: &str| json!({"name": name, "qty": 1, "price": 1});
        let orders = [
            json!({"name": "a", "qty": 1, "price": 1}),
            json!({"name": "b", "qty": 1, "price": 1}),
            json!({"name": "a", "qty": 2, "price": 1}),
            json!({"name": "a", "qty": 1, "price": 1.01}),
            json!({"name": "a", "qty": 1, "price": 1, "email": "a@b"}),
            json!({"items": [item("a"), item("b")]}),
            json!({"items": [item("b"), item("a")]}),
            json!({"items": [item("a"), item("a")]}),
        ];
        let mut fingerprints: Vec<String> = orders.into_iter().map(of).collect();
        fingerprints.sort();
        fingerprints.dedup();
        assert_eq!(fingerprints.len(), 8);
    }
}
