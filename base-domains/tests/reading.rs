//! What a record means, rule by rule (R3: headers before body; R4: bare records and home partitions).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use base_domains::{
    BadRecord, Heading, OrderId, OrderStatus, Reading, RecordRef, event_id, home_partition, read,
};

const ID: &str = "0198c0de-7a3b-7c4d-8e5f-0123456789ab";
const OTHER_ID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
const PARTITIONS: i32 = 3;

fn order_id() -> OrderId {
    ID.parse().unwrap()
}

fn home() -> i32 {
    home_partition(order_id(), PARTITIONS)
}

fn elsewhere() -> i32 {
    (home() + 1) % PARTITIONS
}

fn body(status: &str) -> Vec<u8> {
    let order = format!(r#"{{"orderId":"{ID}","name":"book order","qty":5,"price":10000.0}}"#);
    format!(r#"{{"message":"m","status":"{status}","order":{order}}}"#).into_bytes()
}

fn headers(headers: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect()
}

fn read_in(
    partition: i32,
    headers: &[(String, Vec<u8>)],
    value: Option<&[u8]>,
) -> Result<Reading, BadRecord> {
    read(
        &RecordRef {
            partition,
            key: None,
            headers,
            value,
        },
        PARTITIONS,
    )
}

/// The order, status and bareness of an event; anything else fails the test.
fn event(reading: Result<Reading, BadRecord>) -> (OrderId, OrderStatus, bool) {
    match reading {
        Ok(Reading::Event(heading)) => (heading.order_id, heading.status, heading.bare),
        other => panic!("not an event: {other:?}"),
    }
}

fn code(reading: Result<Reading, BadRecord>) -> &'static str {
    match reading {
        Err(bad) => bad.code(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn headers_decide_whatever_the_body_is() {
    let decisive = headers(&[("ce_type", "order.paid"), ("ce_subject", ID)]);
    let other_order = String::from_utf8(body("PENDING"))
        .unwrap()
        .replace(ID, OTHER_ID);
    let pending = body("PENDING");
    let unreadable: [Option<&[u8]>; 5] = [
        None,
        Some(b""),
        Some(b"garbage"),
        Some(&[0xff, 0xfe]),
        Some(br#"{"status":1}"#),
    ];
    let readable: [Option<&[u8]>; 2] = [Some(&pending), Some(other_order.as_bytes())];
    for value in unreadable.into_iter().chain(readable) {
        let reading = read_in(home(), &decisive, value);
        assert_eq!(
            event(reading),
            (order_id(), OrderStatus::Paid, false),
            "{value:?}"
        );
    }
}

#[test]
fn a_single_header_decides_its_part_and_the_body_the_rest() {
    let body = body("RESERVED");
    let only_type = headers(&[("ce_type", "order.cancelled")]);
    let reading = read_in(home(), &only_type, Some(&body));
    assert_eq!(event(reading), (order_id(), OrderStatus::Cancelled, false));

    let other: OrderId = OTHER_ID.parse().unwrap();
    let only_subject = headers(&[("ce_subject", OTHER_ID)]);
    let reading = read_in(
        home_partition(other, PARTITIONS),
        &only_subject,
        Some(&body),
    );
    assert_eq!(event(reading), (other, OrderStatus::Reserved, false));

    for half in [only_type, only_subject] {
        assert_eq!(
            code(read_in(home(), &half, Some(b"garbage"))),
            "invalid_body"
        );
        assert_eq!(code(read_in(home(), &half, None)), "no_value");
    }
}

#[test]
fn a_header_that_cannot_be_read_is_not_replaced_by_the_body() {
    let body = body("PENDING");
    let good = [("ce_type", "order.pending"), ("ce_subject", ID)];
    for broken in [0, 1] {
        let mut headers = headers(&good);
        headers[broken].1 = vec![0xff, 0xfe];
        assert_eq!(
            code(read_in(home(), &headers, Some(&body))),
            "header_not_text"
        );
    }
    let braced = format!("{{{ID}}}");
    for subject in [
        "",
        "21",
        "0198c0de7a3b7c4d8e5f0123456789ab",
        braced.as_str(),
    ] {
        let headers = headers(&[("ce_type", "order.pending"), ("ce_subject", subject)]);
        assert_eq!(
            code(read_in(home(), &headers, Some(&body))),
            "invalid_order_id",
            "{subject}"
        );
    }
}

#[test]
fn the_last_of_repeated_headers_counts() {
    let repeated = headers(&[
        ("ce_subject", OTHER_ID),
        ("ce_type", "order.pending"),
        ("ce_type", "order.paid"),
        ("ce_subject", ID),
    ]);
    assert_eq!(
        event(read_in(home(), &repeated, None)),
        (order_id(), OrderStatus::Paid, false)
    );
}

#[test]
fn without_headers_the_body_decides() {
    for status in OrderStatus::ALL {
        let reading = read_in(home(), &[], Some(&body(status.as_str())));
        assert_eq!(event(reading), (order_id(), status, true));
    }
    let no_event: [&[u8]; 7] = [
        b"",
        b"null",
        b"garbage",
        &[0xff, 0xfe],
        br#"{"status":"PENDING"}"#,
        br#"{"status":"PENDING","order":{"orderId":"21","name":"book","qty":1,"price":1.0}}"#,
        br#"{"status":null,"order":{"orderId":"0198c0de-7a3b-7c4d-8e5f-0123456789ab","name":"book","qty":1,"price":1.0}}"#,
    ];
    for value in no_event {
        assert_eq!(
            code(read_in(home(), &[], Some(value))),
            "invalid_body",
            "{value:?}"
        );
    }
    assert_eq!(code(read_in(home(), &[], None)), "no_value");
}

#[test]
fn a_bare_order_that_breaks_a_rule_of_the_domain_is_readable() {
    for (field, broken) in [
        (r#""qty":5"#, r#""qty":0"#),
        ("10000.0", "-1.005"),
        (r#""book order""#, "null"),
    ] {
        let body = String::from_utf8(body("PENDING"))
            .unwrap()
            .replace(field, broken);
        let Ok(Reading::Event(heading)) = read_in(home(), &[], Some(body.as_bytes())) else {
            panic!("refused: {body}");
        };
        let event = heading.decode(Some(body.as_bytes())).unwrap();
        assert_eq!(event.order.validate().unwrap_err().len(), 1, "{body}");
    }
}

#[test]
fn only_a_bare_pending_is_accepted_outside_the_home_partition() {
    let foreign_headers = headers(&[
        ("__TypeId__", "net.javaguides.basedomains.dto.OrderEvent"),
        ("traceparent", "x"),
    ]);
    for bare in [&[][..], &foreign_headers] {
        let reading = read_in(elsewhere(), bare, Some(&body("PENDING")));
        assert_eq!(event(reading), (order_id(), OrderStatus::Pending, true));
        for status in [
            "RESERVED",
            "PAID",
            "SHIPPED",
            "REJECTED",
            "CANCELLED",
            "BACKORDERED",
        ] {
            assert_eq!(
                code(read_in(elsewhere(), bare, Some(&body(status)))),
                "wrong_partition",
                "{status}"
            );
        }
    }
    let ours = [
        headers(&[("ce_type", "order.pending"), ("ce_subject", ID)]),
        headers(&[("ce_type", "order.pending")]),
        headers(&[("ce_subject", ID)]),
        headers(&[("ce_id", "1")]),
        headers(&[("ce_type", "order.backordered"), ("ce_subject", ID)]),
    ];
    for headers in ours {
        assert_eq!(
            code(read_in(elsewhere(), &headers, Some(&body("PENDING")))),
            "wrong_partition",
            "{headers:?}"
        );
    }
}

#[test]
fn an_unknown_status_is_reported_without_effect() {
    let unknown = |status: &str| {
        Ok(Reading::UnknownStatus {
            order_id: order_id(),
            status: status.to_owned(),
        })
    };
    assert_eq!(
        read_in(home(), &[], Some(&body("BACKORDERED"))),
        unknown("BACKORDERED")
    );
    assert_eq!(
        read_in(home(), &[], Some(&body("pending"))),
        unknown("pending")
    );
    for (ce_type, status) in [
        ("order.backordered", "BACKORDERED"),
        ("com.example.paid", "com.example.paid"),
        ("", ""),
    ] {
        let headers = headers(&[("ce_type", ce_type), ("ce_subject", ID)]);
        assert_eq!(
            read_in(home(), &headers, Some(&body("PENDING"))),
            unknown(status)
        );
    }
    assert_eq!(
        read_in(home(), &[], Some(&body(&"é".repeat(5_000)))),
        unknown(&"é".repeat(64))
    );
}

#[test]
fn the_event_id_is_the_header_or_derived() {
    let derived = event_id(order_id(), OrderStatus::Paid, "", None).to_string();
    let too_long = "x".repeat(201);
    let cases = [
        (
            Some("any text of another writer"),
            "any text of another writer",
        ),
        (
            Some("a592aa55-69e2-5489-b7c4-4fd7d0f85d37"),
            "a592aa55-69e2-5489-b7c4-4fd7d0f85d37",
        ),
        (Some(""), &derived),
        (Some("two\nlines"), &derived),
        (Some(&too_long), &derived),
        (None, &derived),
    ];
    for (ce_id, expected) in cases {
        let mut headers = headers(&[("ce_type", "order.paid"), ("ce_subject", ID)]);
        headers.extend(ce_id.map(|id| ("ce_id".to_owned(), id.as_bytes().to_vec())));
        let Ok(Reading::Event(heading)) = read_in(home(), &headers, None) else {
            panic!("refused")
        };
        assert_eq!(heading.event_id, expected);
    }
    let not_text = [
        headers(&[("ce_type", "order.paid"), ("ce_subject", ID)]),
        vec![("ce_id".to_owned(), vec![0xff])],
    ]
    .concat();
    let Ok(Reading::Event(heading)) = read_in(home(), &not_text, None) else {
        panic!("refused")
    };
    assert_eq!(heading.event_id, derived);
}

#[test]
fn a_body_about_another_order_makes_no_decision() {
    let heading = Heading {
        order_id: OTHER_ID.parse().unwrap(),
        status: OrderStatus::Paid,
        event_id: String::new(),
        bare: false,
    };
    let body = body("PAID");
    assert_eq!(
        heading.decode(Some(&body)).unwrap_err().code(),
        "two_orders"
    );
    assert_eq!(
        heading.decode(Some(b"{")).unwrap_err().code(),
        "invalid_body"
    );
    assert_eq!(heading.decode(None).unwrap_err().code(), "no_value");
}

#[test]
fn a_refusal_never_repeats_the_record() {
    let canary = "canary@example.com";
    let bodies = [
        format!(r#"{{"status":"{canary}"}}"#),
        format!(r#"{{"status":"PENDING","order":"{canary}"}}"#),
        format!(r#"{{"status":"PENDING","order":{{"orderId":"{canary}","qty":1,"price":1}}}}"#),
        format!(
            r#"{{"status":"PENDING","order":{{"orderId":"{ID}","qty":"{canary}","price":1}}}}"#
        ),
        canary.repeat(10_000),
    ];
    for body in &bodies {
        let refused = read_in(home(), &[], Some(body.as_bytes())).unwrap_err();
        assert_short_and_clean(&refused, canary);
    }
    let headers = headers(&[("ce_type", canary), ("ce_subject", canary)]);
    assert_short_and_clean(&read_in(home(), &headers, None).unwrap_err(), canary);
}

fn assert_short_and_clean(refused: &BadRecord, canary: &str) {
    for text in [refused.to_string(), format!("{refused:?}")] {
        assert!(!text.contains(canary) && text.len() <= 1024, "{text}");
    }
    assert!(
        std::error::Error::source(refused).is_none(),
        "a source might repeat the record"
    );
}

#[test]
fn messages_name_the_problem() {
    let wrong = read_in(elsewhere(), &[], Some(&body("PAID"))).unwrap_err();
    let expected = format!(
        "order {ID} belongs in partition {}, but this record is in partition {}",
        home(),
        elsewhere()
    );
    assert_eq!(wrong.to_string(), expected);
    let broken = read_in(home(), &[], Some(b"{\"status\":")).unwrap_err();
    assert_eq!(
        broken.to_string(),
        "not an order event: it ends too early at line 1 column 10"
    );
}
