//! Hostile records and bodies: those of the corpus, each with what it must lead to, and any others: never a panic,
//! always an event or a refusal with a name.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base_domains::{
    BadRecord, Encoder, NewOrder, Order, OrderEvent, OrderStatus, Reading, RecordRef, WireOrder,
    home_partition, read,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const ID: &str = "0198c0de-7a3b-7c4d-8e5f-0123456789ab";
/// Far below the megabyte that a broker takes by default (`message.max.bytes`).
const LARGEST_RECORD: usize = 64 * 1024;

/// The files of a folder of the corpus.
fn corpus(folder: &str) -> BTreeMap<String, Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let files = fs::read_dir(path.join(folder)).unwrap();
    files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

fn headers_of(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    let lines = file
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let colon = line.windows(2).position(|two| two == b": ").unwrap();
            let name = std::str::from_utf8(&line[..colon]).unwrap().to_owned();
            (name, line[colon + 2..].to_vec())
        })
        .collect()
}

/// What a record leads to, in the words of the corpus.
fn outcome(headers: &[(String, Vec<u8>)], value: Option<&[u8]>) -> String {
    let record = RecordRef {
        partition: 0,
        key: None,
        headers,
        value,
    };
    match read(&record, 1) {
        Ok(Reading::UnknownStatus { .. }) => "unknown_status".to_owned(),
        Ok(Reading::Event(heading)) => match heading.decode(value) {
            Ok(event) => {
                arrives_again(&event);
                "event".to_owned()
            }
            Err(bad) => format!("event+{}", code(&bad)),
        },
        Err(bad) => code(&bad).to_owned(),
    }
}

fn code(bad: &BadRecord) -> &'static str {
    assert!(bad.to_string().len() <= 1024, "{bad}");
    bad.code()
}

/// Whatever was decoded is written again as what it was, also where the order breaks the rules of the domain.
fn arrives_again(event: &OrderEvent) {
    let json = event.to_json().unwrap();
    assert_eq!(OrderEvent::from_json(json.as_bytes()), Ok(event.clone()));
    if let Ok(order) = event.order.validate() {
        assert_eq!(WireOrder::from(&order).validate(), Ok(order));
    }
}

/// The order that a body is accepted as, if it is.
fn accepted(body: &[u8]) -> Option<Order> {
    // As the service does: serde_json does not look into the texts of fields that it skips.
    let body = std::str::from_utf8(body).ok()?;
    let body = serde_json::from_str::<NewOrder>(body).ok()?;
    match body.into_order(ID.parse().unwrap()) {
        Ok(order) => Some(order),
        Err(errors) => {
            assert!((1..=4 * Order::MAX_LINES).contains(&errors.len()));
            assert!(errors.iter().all(|error| !error.message.is_empty()));
            None
        }
    }
}

/// Bytes of the record that an accepted order becomes; every reader can read it.
fn bytes_of(order: &Order) -> usize {
    let encoder = Encoder {
        writer: "order-service".to_owned(),
        type_id: Some("net.javaguides.basedomains.dto.OrderEvent".to_owned()),
    };
    let event = OrderEvent::new(OrderStatus::Pending, WireOrder::from(order));
    let encoded = encoder.encode(&event, jiff::Timestamp::UNIX_EPOCH, None);
    let encoded = encoded.unwrap();
    assert!(matches!(encoded.read_back(3), Ok(Reading::Event(_))));
    let headers = encoded.headers.iter();
    let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
    encoded.key.len() + headers + encoded.value.len()
}

#[test]
fn every_record_of_the_corpus_leads_to_what_its_name_says() {
    let files = corpus("records");
    let mut records: Vec<&str> = files
        .keys()
        .map(|name| name.rsplit_once('.').unwrap().0)
        .collect();
    records.dedup();
    assert!(records.len() > 80, "{}", records.len());
    for name in records {
        let headers = files.get(&format!("{name}.headers"));
        let headers = headers.map(|file| headers_of(file)).unwrap_or_default();
        let value = files.get(&format!("{name}.value")).map(Vec::as_slice);
        let (expected, _) = name.split_once('.').unwrap();
        assert_eq!(outcome(&headers, value), expected, "{name}");
    }
}

#[test]
fn exactly_those_bodies_of_the_corpus_that_are_answered_with_201_become_orders() {
    let files = corpus("bodies");
    assert!(files.len() > 90, "{}", files.len());
    for (name, body) in files {
        let order = accepted(&body);
        assert_eq!(order.is_some(), name.starts_with("201-"), "{name}");
        assert!(order.is_none_or(|order| bytes_of(&order) < LARGEST_RECORD));
    }
}

#[test]
fn a_million_lines_are_read_and_refused_with_one_error() {
    let line = r#"{"name":"p","qty":1,"price":1}"#;
    let items = vec![line; 1_000_000].join(",");
    let order = format!(r#"{{"orderId":"{ID}","name":"p","qty":1,"price":1,"items":[{items}]}}"#);
    let event =
        OrderEvent::from_json(format!(r#"{{"status":"PENDING","order":{order}}}"#).as_bytes());
    let event = event.unwrap();
    assert_eq!(event.order.items.as_ref().map(Vec::len), Some(1_000_000));
    let errors = event.order.validate().unwrap_err();
    assert_eq!(errors.len(), 1, "not one for each line");
    assert_eq!(errors[0].to_string(), "items must have 1 to 50 lines");
}

#[test]
fn lines_of_the_same_product_are_kept_apart_and_the_largest_total_is_exact() {
    let line = r#"{"name":"p","qty":1000000,"price":1000000000}"#;
    let body = format!(r#"{{"items":[{}]}}"#, [line; 50].join(","));
    let order = accepted(body.as_bytes()).unwrap();
    assert_eq!(order.lines().len(), 50);
    assert_eq!(order.total().to_string(), "50000000000000000.00");
}

/// JSON and what resembles it, small enough to meet each rule often.
fn atom() -> impl Strategy<Value = String> {
    let nested = "[".repeat(200) + &"]".repeat(200);
    let fixed = [
        "null",
        "true",
        "0",
        "1",
        "-0",
        "-1",
        "5.0",
        "1e4",
        "1e-400",
        "1e400",
        "NaN",
        "Infinity",
        "-Infinity",
        "05",
        "0x5",
        "1000000",
        "1000001",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "1.7976931348623157e308",
        "5e-324",
        "0.29",
        "0.001",
        "10000.0",
        "\"\"",
        "\"book\"",
        "\" \"",
        r#""\u0000""#,
        r#""\u001b[2J""#,
        r#""a\r\nBcc: b""#,
        r#""\ud800""#,
        r#""\ud83d\udcd6""#,
        r#""a@b.example""#,
        "\"5\"",
        "[]",
        "{}",
        "[null]",
        r#"[{"name":"p","qty":1,"price":1}]"#,
        "",
        "'x'",
    ];
    prop_oneof![
        8 => select(fixed.map(str::to_owned).to_vec()),
        1 => Just(nested),
        2 => any::<i64>().prop_map(|n| n.to_string()),
        2 => any::<f64>().prop_map(|n| n.to_string()),
        2 => ".{0,250}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ]
}

/// An object of these keys, some of them twice or never.
fn object(keys: &'static [&'static str]) -> impl Strategy<Value = String> {
    let member = (select(keys), atom()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
    vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(",")))
}

/// A line that is more often right than wrong.
fn line() -> impl Strategy<Value = String> {
    let name = "[\"\\\\📖x]{1,200}".prop_map(|name| serde_json::to_string(&name).unwrap());
    (name, 1..=1_000_000, 0..=100_000_000_000_i64).prop_map(|(name, qty, cents)| {
        format!(
            r#"{{"name":{name},"qty":{qty},"price":{}.{:02}}}"#,
            cents / 100,
            cents % 100
        )
    })
}

proptest! {
    #[test]
    fn any_body_is_an_order_that_fits_or_is_refused(body in object(&["name", "qty", "price", "email", "items", "x"])) {
        if let Some(order) = accepted(body.as_bytes()) {
            prop_assert!(bytes_of(&order) < LARGEST_RECORD);
        }
    }

    #[test]
    fn an_accepted_order_becomes_a_record_far_below_the_brokers_limit(lines in vec(line(), 1..=50)) {
        let body = format!(r#"{{"email":"reader@example.org","items":[{}]}}"#, lines.join(","));
        let order = accepted(body.as_bytes());
        prop_assert!(order.is_some(), "{}", body);
        prop_assert!(bytes_of(&order.unwrap()) < LARGEST_RECORD);
    }

    #[test]
    fn any_value_is_an_event_or_refused_by_name(
        order in object(&["orderId", "name", "qty", "price", "email", "items", "x"]),
        members in object(&["message", "status", "reason", "payment", "shipment", "x"]),
        usual in any::<bool>(),
        with_headers in any::<bool>(),
    ) {
        let order = if usual { format!(r#"{{"orderId":"{ID}","qty":1,"price":1}}"#) } else { order };
        let value = format!(r#"{{"status":"PENDING","order":{order},{}"#, &members[1..]).replace(",}", "}");
        let headers = [("ce_type".to_owned(), b"order.paid".to_vec()), ("ce_subject".to_owned(), ID.into())];
        let headers = if with_headers { &headers[..] } else { &[] };
        let outcome = outcome(headers, Some(value.as_bytes()));
        let known = ["event", "unknown_status", "invalid_body", "event+invalid_body", "event+two_orders"];
        prop_assert!(known.contains(&outcome.as_str()), "{}", outcome);
    }

    #[test]
    fn any_bytes_of_headers_and_value_are_an_event_or_refused_by_name(
        ce_type in vec(any::<u8>(), 0..20),
        ce_subject in prop_oneof![Just(ID.as_bytes().to_vec()), vec(any::<u8>(), 36)],
        ce_id in vec(any::<u8>(), 0..250),
        value in proptest::option::of(vec(any::<u8>(), 0..100)),
        partition in 0..3,
    ) {
        let headers = [("ce_type", ce_type), ("ce_subject", ce_subject), ("ce_id", ce_id)];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        let record = RecordRef { partition, key: None, headers: &headers, value: value.as_deref() };
        match read(&record, 3) {
            Ok(Reading::UnknownStatus { order_id, status }) => {
                prop_assert_eq!(home_partition(order_id, 3), partition);
                prop_assert!(status.chars().count() <= 64);
            }
            Ok(Reading::Event(heading)) => {
                prop_assert_eq!(home_partition(heading.order_id, 3), partition);
                prop_assert!((1..=200).contains(&heading.event_id.len()));
            }
            Err(bad) => prop_assert!(["header_not_text", "invalid_order_id", "wrong_partition"].contains(&code(&bad))),
        }
    }
}
