//! The published shapes under `fixtures/`, byte for byte in both directions.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use base_domains::{
    EncodedEvent, Encoder, EventStatus, Heading, OrderEvent, OrderStatus, Payment, Reading,
    RecordRef, Shipment, WireLine, WireOrder, home_partition, read, reason,
};

const ORDER_ID: &str = "0198c0de-7a3b-7c4d-8e5f-0123456789ab";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const JAVA_CLASS: &str = "net.javaguides.basedomains.dto.OrderEvent";
const PARTITIONS: i32 = 3;

struct Fixture {
    value: String,
    headers: Vec<(String, String)>,
}

fn fixture(name: &str) -> Fixture {
    let read = |extension: &str| {
        let path = format!("{}/fixtures/{name}.{extension}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        text.strip_suffix('\n').unwrap().to_owned()
    };
    let headers = read("headers");
    let split = |line: &str| {
        line.split_once(": ")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    Fixture {
        value: read("json"),
        headers: headers.lines().map(|line| split(line).unwrap()).collect(),
    }
}

fn book_order() -> WireOrder {
    WireOrder {
        order_id: ORDER_ID.parse().unwrap(),
        name: "book order".to_owned(),
        qty: 5,
        price: 10000.0,
        email: None,
        items: None,
    }
}

fn book_and_pen() -> WireOrder {
    let line = |name: &str, qty, price| WireLine {
        name: name.to_owned(),
        qty,
        price,
    };
    WireOrder {
        name: "book".to_owned(),
        qty: 2,
        price: 10.5,
        email: Some("reader@example.com".to_owned()),
        items: Some(vec![line("book", 2, 10.5), line("pen", 1, 0.29)]),
        ..book_order()
    }
}

/// Writes `event` as `writer` and compares it with the fixture, then reads the fixture back.
fn assert_pinned(name: &str, writer: &str, type_id: Option<&str>, event: &OrderEvent) {
    let fixture = fixture(name);
    let encoder = Encoder {
        writer: writer.to_owned(),
        type_id: type_id.map(str::to_owned),
    };
    let time = "2026-01-02T03:04:05Z".parse().unwrap();

    let written = encoder.encode(event, time, Some(TRACEPARENT)).unwrap();
    let expected = EncodedEvent {
        key: ORDER_ID.to_owned(),
        headers: fixture.headers.clone(),
        value: fixture.value.clone(),
    };
    assert_eq!(written, expected, "{name} as written");
    assert_eq!(written.value, fixture.value, "{name} value as written");

    assert_eq!(
        OrderEvent::from_json(fixture.value.as_bytes()).as_ref(),
        Ok(event),
        "{name} as read"
    );
    let EventStatus::Known(status) = event.status else {
        panic!("{name} has an unknown status")
    };
    let ce_id = fixture
        .headers
        .iter()
        .find(|(name, _)| name == "ce_id")
        .unwrap();
    let heading = Heading {
        order_id: event.order.order_id,
        status,
        event_id: ce_id.1.clone(),
        bare: false,
    };
    assert_eq!(
        expected.read_back(PARTITIONS),
        Ok(Reading::Event(heading)),
        "{name} heading as read"
    );
}

#[test]
fn each_status_has_its_pinned_shape() {
    let shapes = [
        ("pending", "order-service", OrderStatus::Pending, None),
        ("reserved", "stock-service", OrderStatus::Reserved, None),
        ("paid", "payment-service", OrderStatus::Paid, None),
        ("shipped", "shipping-service", OrderStatus::Shipped, None),
        (
            "rejected",
            "stock-service",
            OrderStatus::Rejected,
            Some(reason::OUT_OF_STOCK),
        ),
        (
            "cancelled",
            "order-service",
            OrderStatus::Cancelled,
            Some(reason::CANCELLED_ON_REQUEST),
        ),
    ];
    assert!(
        OrderStatus::ALL
            .iter()
            .all(|status| shapes.iter().any(|shape| shape.2 == *status))
    );
    for (name, writer, status, reason) in shapes {
        let mut event = OrderEvent::new(status, book_order());
        event.reason = reason.map(str::to_owned);
        assert_pinned(name, writer, None, &event);
    }
}

#[test]
fn an_order_of_several_lines_has_its_pinned_shape() {
    let event = OrderEvent::new(OrderStatus::Pending, book_and_pen());
    assert_pinned("multi-line", "order-service", None, &event);
}

#[test]
fn a_paid_order_tells_of_its_payment_in_a_pinned_shape() {
    let payment = Payment {
        payment_id: "sandbox-charge-0198c0de-7a3b-7c4d-8e5f-0123456789ab".to_owned(),
        amount: 50000.0,
    };
    let event = OrderEvent::new(OrderStatus::Paid, book_order()).with_payment(payment);
    assert_pinned("paid-with-payment", "payment-service", None, &event);
}

#[test]
fn a_shipped_order_tells_of_its_shipment_in_a_pinned_shape() {
    let shipment = Shipment {
        tracking_number: "OE0198C0DE7A3B7C4D8E5F0123456789AB".to_owned(),
    };
    let event = OrderEvent::new(OrderStatus::Shipped, book_order()).with_shipment(shipment);
    assert_pinned("shipped-with-shipment", "shipping-service", None, &event);
}

/// Or else one writer with another idea of a payment would make an order unreadable for everybody.
#[test]
fn a_payment_of_an_unknown_shape_reads_as_none() {
    let body = fixture("paid-with-payment").value;
    let known =
        r#"{"paymentId":"sandbox-charge-0198c0de-7a3b-7c4d-8e5f-0123456789ab","amount":50000.0}"#;
    let event = OrderEvent::new(OrderStatus::Paid, book_order());
    for unknown in [
        "null",
        "[]",
        "7",
        r#"{"paymentId":7,"amount":1}"#,
        r#"{"amount":1}"#,
    ] {
        let body = body.replace(known, unknown);
        assert_eq!(
            OrderEvent::from_json(body.as_bytes()).as_ref(),
            Ok(&event),
            "{unknown}"
        );
    }
    let more = known.replace('}', r#","currency":"EUR"}"#);
    let more = OrderEvent::from_json(body.replace(known, &more).as_bytes()).unwrap();
    assert_eq!(more.payment.unwrap().amount, 50000.0);
}

#[test]
fn a_shipment_of_an_unknown_shape_reads_as_none() {
    let body = fixture("shipped-with-shipment").value;
    let known = r#"{"trackingNumber":"OE0198C0DE7A3B7C4D8E5F0123456789AB"}"#;
    assert!(body.contains(known), "{body}");
    let event = OrderEvent::new(OrderStatus::Shipped, book_order());
    for unknown in ["null", "[]", r#"{"trackingNumber":7}"#, "{}"] {
        let body = body.replace(known, unknown);
        let read = OrderEvent::from_json(body.as_bytes());
        assert_eq!(read.as_ref(), Ok(&event), "{unknown}");
    }
}

#[test]
fn a_checked_order_is_written_as_it_was_read() {
    for wire in [book_order(), book_and_pen()] {
        assert_eq!(WireOrder::from(&wire.validate().unwrap()), wire);
    }
}

#[test]
fn the_java_class_is_named_when_configured() {
    let event = OrderEvent::new(OrderStatus::Pending, book_order());
    assert_pinned("for-java", "order-service", Some(JAVA_CLASS), &event);
}

#[test]
fn the_tutorials_bare_record_is_ours_without_key_and_headers() {
    let fixture = fixture("tutorial");
    let expected = format!(
        r#"{{"message":"order status is in pending state","status":"PENDING","order":{{"orderId":"{ORDER_ID}","name":"book order","qty":5,"price":10000.0}}}}"#
    );
    assert_eq!(fixture.value, expected);

    let event = OrderEvent::new(OrderStatus::Pending, book_order());
    assert_eq!(event.to_json().as_ref(), Ok(&fixture.value));
    assert_eq!(OrderEvent::from_json(fixture.value.as_bytes()), Ok(event));

    let headers: Vec<_> = fixture
        .headers
        .into_iter()
        .map(|(name, value)| (name, value.into_bytes()))
        .collect();
    let home = home_partition(book_order().order_id, PARTITIONS);
    for partition in 0..PARTITIONS {
        let record = RecordRef {
            partition,
            key: None,
            headers: &headers,
            value: Some(fixture.value.as_bytes()),
        };
        let Ok(Reading::Event(heading)) = read(&record, PARTITIONS) else {
            panic!("refused in partition {partition}, home is {home}");
        };
        assert_eq!(
            (heading.order_id, heading.status),
            (book_order().order_id, OrderStatus::Pending)
        );
        assert!(heading.bare);
    }
}

/// Recorded from the tutorial's code with Spring Boot 3.4.4, which writes numbers and nulls as Java does.
#[test]
fn records_of_springs_serializer_are_pending_orders_from_any_partition() {
    let recorded = |name| {
        let Fixture { value, headers } = fixture(name);
        assert_eq!(headers, [("__TypeId__".to_owned(), JAVA_CLASS.to_owned())]);
        let headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| (name, value.into_bytes()))
            .collect();
        let event = OrderEvent::from_json(value.as_bytes()).unwrap();
        for partition in 0..PARTITIONS {
            let record = RecordRef {
                partition,
                key: None,
                headers: &headers,
                value: Some(value.as_bytes()),
            };
            let Ok(Reading::Event(heading)) = read(&record, PARTITIONS) else {
                panic!("{name} is refused in partition {partition}");
            };
            let read = (heading.order_id, heading.status, heading.bare);
            assert_eq!(read, (event.order.order_id, OrderStatus::Pending, true));
        }
        (value, event)
    };

    let (value, event) = recorded("spring");
    assert!(value.contains(r#""price":1.25E7"#), "{value}");
    assert_eq!(event.order.price, 12_500_000.0);
    let total = event.order.validate().unwrap().total();
    assert_eq!(total.minor(), 1_250_000_000);
    // The same event as we would write it on.
    let ours = value.replace("1.25E7", "12500000.0");
    assert_eq!(event.to_json().unwrap(), ours);

    let (_, event) = recorded("spring-without-name");
    assert_eq!(event.order.name, "");
    let errors = event.order.validate().unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].field, "name");
}

#[test]
fn fields_of_a_later_version_are_ignored() {
    let body = format!(
        r#"{{"message":null,"status":"PAID","payment":{{"id":1}},"order":{{"orderId":"{ORDER_ID}","name":null,"qty":5,"price":10000,"gift":true,"email":null,"items":null}},"reason":null}}"#
    );
    let event = OrderEvent::from_json(body.as_bytes()).unwrap();
    assert_eq!(event.status, EventStatus::Known(OrderStatus::Paid));
    assert_eq!(event.message, "");
    assert_eq!(event.payment, None);
    assert_eq!(
        event.order,
        WireOrder {
            name: String::new(),
            ..book_order()
        }
    );
}

#[test]
fn an_unknown_status_is_read_and_never_written() {
    let body = fixture("pending").value.replace("PENDING", "BACKORDERED");
    let event = OrderEvent::from_json(body.as_bytes()).unwrap();
    assert_eq!(event.status, EventStatus::Unknown("BACKORDERED".to_owned()));
    let encoder = Encoder {
        writer: "order-service".to_owned(),
        type_id: None,
    };
    let refused = encoder
        .encode(&event, jiff::Timestamp::UNIX_EPOCH, None)
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "an event with an unknown status cannot be written"
    );
}

#[test]
fn a_price_without_a_number_is_never_written() {
    for price in [f64::NAN, f64::INFINITY] {
        let event = OrderEvent::new(
            OrderStatus::Pending,
            WireOrder {
                price,
                ..book_order()
            },
        );
        assert_eq!(
            event.to_json().unwrap_err().to_string(),
            "a price is not a finite number"
        );
    }
}

#[test]
fn a_malformed_traceparent_is_left_out() {
    let encoder = Encoder {
        writer: "order-service".to_owned(),
        type_id: None,
    };
    let event = OrderEvent::new(OrderStatus::Pending, book_order());
    let encoded = encoder
        .encode(
            &event,
            jiff::Timestamp::UNIX_EPOCH,
            Some("00-\r\nSubject: x"),
        )
        .unwrap();
    assert!(
        encoded
            .headers
            .iter()
            .all(|(name, _)| name != "traceparent")
    );
}

#[test]
fn debug_output_never_shows_an_email_address() {
    let wire = book_and_pen();
    let event = OrderEvent::new(OrderStatus::Pending, wire.clone());
    let encoder = Encoder {
        writer: "order-service".to_owned(),
        type_id: None,
    };
    let encoded = encoder
        .encode(&event, jiff::Timestamp::UNIX_EPOCH, None)
        .unwrap();
    let new_order: base_domains::NewOrder =
        serde_json::from_str(r#"{"name":"book","qty":1,"price":1,"email":"reader@example.com"}"#)
            .unwrap();
    let headers = encoded.header_bytes();
    let record = RecordRef {
        partition: 0,
        key: None,
        headers: &headers,
        value: Some(encoded.value.as_bytes()),
    };
    let outputs = [
        format!("{wire:?}"),
        format!("{event:?}"),
        format!("{:?}", wire.validate().unwrap()),
        format!("{new_order:?}"),
        format!("{encoded:?}"),
        format!("{record:?}"),
    ];
    for output in &outputs {
        assert!(!output.contains("example.com"), "{output}");
    }
    assert!(
        outputs[0].contains("email: Some(redacted)"),
        "{}",
        outputs[0]
    );
}
