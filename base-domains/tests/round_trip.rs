//! Whatever order there is, it arrives as it was sent; whatever bytes there are, nothing panics.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use base_domains::{
    EncodedEvent, Encoder, Heading, Money, NewOrder, OrderEvent, OrderId, OrderStatus, Payment,
    Reading, RecordRef, Shipment, WireLine, WireOrder, event_id, home_partition, read,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn line() -> impl Strategy<Value = WireLine> {
    (
        "[^\\p{C}\\s]{1,20}( [^\\p{C}\\s]{1,20})?",
        1..=1_000_000_i64,
        0..=Money::MAX.minor(),
    )
        .prop_map(|(name, qty, minor)| WireLine {
            name,
            qty,
            price: Money::from_minor(minor).unwrap().to_wire(),
        })
}

fn new_order() -> impl Strategy<Value = NewOrder> {
    let email = proptest::option::of("[a-z]{1,8}(\\.[a-z]{1,8})?@[a-z]{1,8}\\.example");
    (email, vec(line(), 1..6)).prop_map(|(email, items)| NewOrder {
        email,
        items: Some(items),
        ..NewOrder::default()
    })
}

fn order_id() -> impl Strategy<Value = OrderId> {
    any::<u128>().prop_map(|id| OrderId::new(uuid::Uuid::from_u128(id)))
}

proptest! {
    #[test]
    fn an_event_arrives_as_it_was_sent(
        id in order_id(),
        new_order in new_order(),
        status in select(OrderStatus::ALL.to_vec()),
        reason in proptest::option::of(".{0,20}"),
        payment_id in proptest::option::of(".{0,20}"),
        tracking_number in proptest::option::of(".{0,20}"),
        seconds in 0..4_000_000_000_i64,
        partitions in 1..100,
    ) {
        let order = new_order.into_order(id).unwrap();
        let mut event = OrderEvent::new(status, WireOrder::from(&order));
        event.reason = reason.clone();
        let amount = order.total().to_wire();
        event.payment = payment_id.map(|payment_id| Payment { payment_id, amount });
        event.shipment = tracking_number.map(|tracking_number| Shipment { tracking_number });
        let encoder = Encoder { writer: "stock-service".to_owned(), type_id: None };
        let time = jiff::Timestamp::from_second(seconds).unwrap();
        let encoded = encoder.encode(&event, time, None).unwrap();

        let stored: EncodedEvent = serde_json::from_str(&serde_json::to_string(&encoded).unwrap()).unwrap();
        prop_assert_eq!(&stored, &encoded);

        let headers = stored.header_bytes();
        let value = Some(stored.value.as_bytes());
        let partition = home_partition(id, partitions);
        let record = RecordRef { partition, key: Some(stored.key.as_bytes()), headers: &headers, value };
        let event_id = event_id(id, status, "stock-service", reason.as_deref()).to_string();
        let heading = Heading { order_id: id, status, event_id, bare: false };
        prop_assert_eq!(read(&record, partitions), Ok(Reading::Event(heading.clone())));
        prop_assert_eq!(stored.read_back(partitions), Ok(Reading::Event(heading.clone())));

        let received = heading.decode(value).unwrap();
        prop_assert_eq!(received.order.validate(), Ok(order));
        prop_assert_eq!(received, event);
    }

    #[test]
    fn arbitrary_records_never_panic(
        partition in any::<i32>(),
        partitions in any::<i32>(),
        headers in vec((header_name(), vec(any::<u8>(), 0..40)), 0..6),
        value in proptest::option::of(vec(any::<u8>(), 0..200)),
    ) {
        let record = RecordRef { partition, key: None, headers: &headers, value: value.as_deref() };
        if let Err(bad) = read(&record, partitions) {
            prop_assert!(bad.to_string().len() <= 1024);
            prop_assert!(!bad.code().is_empty());
        }
    }

    #[test]
    fn an_event_with_damaged_bytes_never_panics(
        new_order in new_order(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        partitions in 1..100,
    ) {
        let order = new_order.into_order(OrderId::new(uuid::Uuid::nil())).unwrap();
        let event = OrderEvent::new(OrderStatus::Pending, WireOrder::from(&order));
        let mut body = event.to_json().unwrap().into_bytes();
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        let record = RecordRef { partition: 0, key: None, headers: &[], value: Some(&body) };
        if let Ok(Reading::Event(heading)) = read(&record, partitions) {
            let damaged = heading.decode(Some(&body)).unwrap();
            // Valid or not, asking is safe; a valid one can be written again.
            if let Ok(order) = damaged.order.validate() {
                prop_assert!(WireOrder::from(&order).validate().is_ok());
            }
        }
    }
}

/// Names that decide more often than chance would have it.
fn header_name() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["ce_type", "ce_subject", "ce_id", "__TypeId__"]).prop_map(str::to_owned),
        "[a-z_]{0,12}",
    ]
}

#[test]
fn deeply_nested_and_huge_bodies_are_refused_not_fatal() {
    let bodies = [
        "[".repeat(1_000_000),
        r#"{"order":"#.repeat(100_000),
        "9".repeat(1_000_000),
    ];
    for body in &bodies {
        let record = RecordRef {
            partition: 0,
            key: None,
            headers: &[],
            value: Some(body.as_bytes()),
        };
        let Err(bad) = read(&record, 3) else {
            panic!("accepted")
        };
        assert_eq!(bad.code(), "invalid_body");
    }
}
