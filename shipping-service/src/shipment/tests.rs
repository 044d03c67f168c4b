//! The table, row by row, and what holds for every history.

use base_domains::{Effect, OrderState, WireLine};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const AT: i64 = 1_767_323_045_000;

fn shipment(state: State) -> Shipment {
    let order_id = OrderId::from_idempotency_key("test", "shipment");
    Shipment {
        state,
        dispatched_at: (state == State::Dispatched).then_some(7),
        ..Shipment::prepared(order_id, vec![])
    }
}

fn id(text: &str) -> OrderId {
    text.parse().unwrap()
}

#[test]
fn every_status_of_an_order_leads_to_what_the_table_says() {
    use OrderStatus::{Cancelled, Paid, Pending, Rejected, Reserved, Shipped};
    for state in State::ALL {
        for status in OrderStatus::ALL {
            let expected = match (state, status) {
                (State::Prepared, Shipped) => (State::Dispatched, Action::HandOver, Some(AT)),
                (State::Prepared, Rejected | Cancelled) => {
                    (State::Cancelled, Action::Withdraw, None)
                }
                (State::Prepared, Pending | Reserved | Paid) => (state, Action::None, None),
                (State::Dispatched, _) => (state, Action::None, Some(7)),
                (State::Cancelled, _) => (state, Action::None, None),
            };
            let mut shipment = shipment(state);
            let action = shipment.follow(status, AT);
            let found = (shipment.state, action, shipment.dispatched_at);
            assert_eq!(found, expected, "{state} {status}");
        }
    }
}

#[test]
fn only_a_prepared_shipment_of_a_paid_order_asks_for_shipped() {
    for state in State::ALL {
        assert!(!shipment(state).ships(None));
        for status in OrderStatus::ALL {
            let expected = state == State::Prepared && status == OrderStatus::Paid;
            assert_eq!(shipment(state).ships(Some(status)), expected);
        }
    }
}

#[test]
fn a_tracking_number_is_the_order_id_in_upper_case() {
    for (order_id, number) in [
        (
            "0198c0de-7a3b-7c4d-8e5f-0123456789ab",
            "OE0198C0DE7A3B7C4D8E5F0123456789AB",
        ),
        (
            "00000000-0000-0000-0000-000000000000",
            "OE00000000000000000000000000000000",
        ),
        (
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "OEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
        ),
    ] {
        assert_eq!(tracking_number(id(order_id)), number);
    }
}

#[test]
fn a_parcel_holds_every_line_of_an_order_and_nothing_else() {
    let line = |name: &str, qty| WireLine {
        name: name.to_owned(),
        qty,
        price: 2.5,
    };
    let mut order = WireOrder {
        order_id: id("0198c0de-7a3b-7c4d-8e5f-0123456789ab"),
        name: "book order".to_owned(),
        qty: 5,
        price: 10000.0,
        email: Some("ann@example.org".to_owned()),
        items: None,
    };
    let held = |order: &WireOrder| serde_json::to_string(&lines(order)).unwrap();
    assert_eq!(held(&order), r#"[{"name":"book order","qty":5}]"#);
    order.items = Some(vec![line("book order", 5), line("pen", 2)]);
    let both = r#"[{"name":"book order","qty":5},{"name":"pen","qty":2}]"#;
    assert_eq!(held(&order), both);
}

#[test]
fn every_state_is_read_back_from_its_name() {
    for state in State::ALL {
        assert_eq!(state.as_str().parse(), Ok(state));
    }
    assert_eq!("".parse::<State>(), Err(ParseStateError));
}

proptest! {
    #[test]
    fn every_order_id_has_one_tracking_number_from_which_it_can_be_read(bits: u128) {
        let order_id = OrderId::new(Uuid::from_u128(bits));
        let number = tracking_number(order_id);
        prop_assert_eq!(number.len(), 34);
        prop_assert_eq!(&number, &number.to_uppercase());
        let digits = number.strip_prefix("OE").unwrap();
        prop_assert_eq!(u128::from_str_radix(digits, 16).unwrap(), bits);
    }

    /// Whatever the log brings, and whatever of it this service did not see.
    #[test]
    fn a_parcel_is_handed_over_once_if_the_order_is_shipped_and_else_never(
        log in prop::collection::vec((prop::sample::select(OrderStatus::ALL.to_vec()), any::<bool>()), 0..12),
    ) {
        let (mut order, mut shipment, mut handed_over) = (OrderState::default(), None, 0);
        for (index, (status, decided)) in log.into_iter().enumerate() {
            if order.apply(status) == Effect::NoEffect || !decided {
                continue;
            }
            if is_wanted(status) && shipment.is_none() {
                shipment = Some(self::shipment(State::Prepared));
            }
            if let Some(shipment) = &mut shipment {
                let action = shipment.follow(status, i64::try_from(index).unwrap());
                handed_over += u32::from(action == Action::HandOver);
            }
        }
        // The decision that had failed is made again, from what the order is.
        let status = order.status();
        if let Some(status) = status {
            if is_wanted(status) && shipment.is_none() {
                shipment = Some(self::shipment(State::Prepared));
            }
            if let Some(shipment) = &mut shipment {
                handed_over += u32::from(shipment.follow(status, AT) == Action::HandOver);
            }
        }
        let state = shipment.map(|shipment| shipment.state);
        prop_assert_eq!(handed_over, u32::from(status == Some(OrderStatus::Shipped)));
        match status {
            Some(OrderStatus::Shipped) => prop_assert_eq!(state, Some(State::Dispatched)),
            Some(OrderStatus::Paid) => prop_assert_eq!(state, Some(State::Prepared)),
            Some(OrderStatus::Rejected | OrderStatus::Cancelled) => {
                prop_assert!(matches!(state, None | Some(State::Cancelled)));
            }
            _ => prop_assert_eq!(state, None),
        }
    }
}
