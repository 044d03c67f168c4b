//! The rules of the domain: all problems at once, each with the path of its field.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use base_domains::{FieldError, NewOrder, Order, OrderId, WireOrder};
use serde_json::{Value, json};

const ID: &str = "0198c0de-7a3b-7c4d-8e5f-0123456789ab";

fn place(body: Value) -> Result<Order, Vec<FieldError>> {
    serde_json::from_value::<NewOrder>(body)
        .unwrap()
        .into_order(ID.parse().unwrap())
}

fn validate(mut body: Value) -> Result<Order, Vec<FieldError>> {
    body["orderId"] = json!(ID);
    serde_json::from_value::<WireOrder>(body)
        .unwrap()
        .validate()
}

fn problems(result: Result<Order, Vec<FieldError>>) -> Vec<String> {
    result
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_tutorials_order_is_valid() {
    let body = json!({"name": "book order", "qty": 5, "price": 10000.0});
    let order = place(body.clone()).unwrap();
    assert_eq!(order.id(), ID.parse::<OrderId>().unwrap());
    assert_eq!(order.email(), None);
    let [line] = order.lines() else {
        unreachable!("one line was sent")
    };
    assert_eq!(
        (line.name(), line.qty(), line.price().minor()),
        ("book order", 5, 1_000_000)
    );
    assert_eq!(order.total().to_string(), "50000.00");
    assert_eq!(validate(body), Ok(order));
}

#[test]
fn the_first_of_several_lines_may_be_left_out_or_repeated() {
    let items = json!([{"name": "book", "qty": 2, "price": 10.5}, {"name": "pen", "qty": 1, "price": 0.29}]);
    let short = place(json!({"items": items})).unwrap();
    let long = place(json!({"name": "book", "qty": 2, "price": 10.5, "items": items})).unwrap();
    assert_eq!(short, long);
    assert_eq!(long.lines().len(), 2);
    assert_eq!(long.total().minor(), 2129);

    let wire = WireOrder::from(&short);
    assert_eq!(
        (wire.name.as_str(), wire.qty, wire.price),
        ("book", 2, 10.5)
    );
    assert_eq!(wire.items.as_ref().map(Vec::len), Some(2));
    assert_eq!(wire.validate(), Ok(short));
}

#[test]
fn a_single_item_is_written_as_a_plain_order() {
    let order = place(json!({"items": [{"name": "book", "qty": 2, "price": 10.5}]})).unwrap();
    assert_eq!(WireOrder::from(&order).items, None);
    assert_eq!(
        place(json!({"name": "book", "qty": 2, "price": 10.5})),
        Ok(order)
    );
}

#[test]
fn a_first_line_that_contradicts_items_is_refused() {
    let body = json!({"name": "pen", "qty": 1, "price": 1, "items": [{"name": "book", "qty": 2, "price": 10.5}]});
    let expected = [
        "name must equal items[0].name or be left out",
        "qty must equal items[0].qty or be left out",
        "price must equal items[0].price or be left out",
    ];
    assert_eq!(problems(place(body.clone())), expected);
    assert_eq!(
        problems(validate(body)),
        ["items[0] must equal name, qty and price"]
    );
}

#[test]
fn every_problem_is_named_at_once() {
    let body = json!({"name": " ", "qty": 0, "price": 1.005, "email": "nobody"});
    let expected = [
        "name must have 1 to 200 characters",
        "qty must be from 1 to 1000000",
        "price must not have more than two decimals",
        "email must be an e-mail address such as name@example.com",
    ];
    assert_eq!(problems(place(body.clone())), expected);
    assert_eq!(problems(validate(body)), expected);
    assert_eq!(
        problems(place(json!({}))),
        ["name is required", "qty is required", "price is required"]
    );
}

#[test]
fn problems_of_a_line_name_the_line() {
    let good = json!({"name": "book", "qty": 1, "price": 1});
    let bad = json!({"name": "pen", "qty": -1, "price": 1e12});
    let expected = [
        "items[1].qty must be from 1 to 1000000",
        "items[1].price must not be more than 1000000000.00",
    ];
    assert_eq!(problems(place(json!({"items": [good, bad]}))), expected);
}

#[test]
fn an_order_has_one_to_fifty_lines() {
    let lines =
        |count| json!({"items": vec![json!({"name": "book", "qty": 1, "price": 1}); count]});
    assert_eq!(place(lines(1)).unwrap().lines().len(), 1);
    assert_eq!(place(lines(50)).unwrap().lines().len(), 50);
    for count in [0, 51, 2_000] {
        assert_eq!(
            problems(place(lines(count))),
            ["items must have 1 to 50 lines"],
            "{count}"
        );
    }
}

#[test]
fn a_name_has_one_to_two_hundred_characters_and_no_control_character() {
    let place = |name: &str| place(json!({"name": name, "qty": 1, "price": 0}));
    for accepted in ["b", &"é".repeat(200), "a\u{a0}b"] {
        assert_eq!(place(accepted).unwrap().lines()[0].name(), accepted);
    }
    assert_eq!(
        place("  book order\n").unwrap().lines()[0].name(),
        "book order"
    );
    for refused in ["", " \t\n", &"é".repeat(201)] {
        assert_eq!(
            problems(place(refused)),
            ["name must have 1 to 200 characters"],
            "{refused:?}"
        );
    }
    for refused in ["a\0b", "a\nb", "a\u{1b}[31mb", "a\u{85}b"] {
        assert_eq!(
            problems(place(refused)),
            ["name must not contain control characters"],
            "{refused:?}"
        );
    }
}

#[test]
fn field_errors_are_json_for_a_problem_document() {
    let errors = place(json!({"name": "book", "qty": 0, "price": 1})).unwrap_err();
    let expected = json!([{"field": "qty", "message": "must be from 1 to 1000000"}]);
    assert_eq!(serde_json::to_value(errors).unwrap(), expected);
}
