//! Letters as [`DeadLetters`] writes them, folded with what was done about them.

use std::sync::{Arc, Mutex};

use base_domains::{OrderId, header, home_partition};
use proptest::prelude::*;

use super::*;
use crate::kafka::{
    DeadLetters, Delivered, Delivery, EventProducer, Letter, NewRecord, ProduceError, Record, dlt,
};

const PARTITIONS: i32 = 3;

/// What was appended, at the offset of its place in the list.
#[derive(Default)]
struct Topic(Mutex<Vec<NewRecord>>);

impl EventProducer for Topic {
    fn enqueue(&self, record: &NewRecord) -> Result<Delivery, ProduceError> {
        let mut records = self.0.lock().unwrap();
        let delivered = Delivered {
            partition: record.partition.unwrap_or(0),
            offset: i64::try_from(records.len()).unwrap(),
        };
        records.push(record.clone());
        Ok(Box::pin(async move { Ok(delivered) }))
    }
}

fn read_back(record: NewRecord, offset: i64) -> Record {
    Record {
        partition: record.partition.unwrap_or(0),
        offset,
        timestamp: Some(1_700_000_000_000 + offset),
        key: record.key,
        headers: record.headers,
        value: record.value,
    }
}

/// `record` as a dead letter of the group `stock`, at this offset of partition 0.
async fn letter(record: &Record, code: &str, offset: i64) -> Record {
    let topic = Arc::new(Topic::default());
    let reason = "a reason";
    let letter = Letter {
        record,
        code,
        reason,
    };
    let letters = DeadLetters::new(topic.clone(), "orders", "stock");
    letters.publish(&[letter]).await.unwrap();
    let written = topic.0.lock().unwrap().remove(0);
    read_back(written, offset)
}

fn order() -> OrderId {
    OrderId::from_idempotency_key("test", "a")
}

/// An order whose body only a later version can read.
fn poison() -> Record {
    let headers = [
        (header::CE_SUBJECT, order().to_string()),
        (header::CE_TYPE, "order.pending".to_owned()),
    ];
    Record {
        partition: home_partition(order(), PARTITIONS),
        offset: 77,
        timestamp: Some(1_700_000_000_123),
        key: Some(order().to_string().into_bytes()),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.into_bytes()))
            .to_vec(),
        value: Some(b"\xff later \0".to_vec()),
    }
}

fn resolution(action: Action) -> Resolution {
    Resolution {
        action,
        by: "ann".to_owned(),
        at: "2026-11-21T10:15:30Z".to_owned(),
        reason: Some("the decoder is fixed".to_owned()),
        to: (action == Action::Redriven).then(|| "orders/1@78".to_owned()),
    }
}

fn resolved(letter: &DeadLetter, resolution: &Resolution, offset: i64) -> Record {
    let record = resolution.record("orders", "stock", letter);
    assert_eq!(record.topic, "orders.stock.dlt");
    read_back(record, offset)
}

fn header_of<'a>(record: &'a NewRecord, name: &str) -> Vec<&'a str> {
    let values = record.headers.iter().filter(|(key, _)| key == name);
    values
        .map(|(_, value)| std::str::from_utf8(value).unwrap())
        .collect()
}

#[test]
fn a_group_is_known_by_its_dead_letter_topic() {
    assert_eq!(group_of("orders.stock.dlt", "orders"), Some("stock"));
    assert_eq!(
        group_of(&dead_letter_topic("o.x", "a.b"), "o.x"),
        Some("a.b")
    );
    for other in [
        "orders",
        "orders.dlt",
        "orders.stock",
        "orders2.stock.dlt",
        "orders..dlt",
    ] {
        assert_eq!(group_of(other, "orders"), None, "{other}");
    }
}

#[tokio::test]
async fn a_letter_tells_what_its_headers_say() {
    let letter = DeadLetter::from(letter(&poison(), "invalid_body", 5).await);
    assert_eq!(letter.id.to_string(), "0/5");
    assert_eq!(
        (&*letter.code, &*letter.message),
        ("invalid_body", "a reason")
    );
    let source = Source {
        topic: "orders".to_owned(),
        partition: poison().partition,
        offset: 77,
        timestamp: Some(1_700_000_000_123),
    };
    assert_eq!(letter.source, Some(source));
    let headers: Vec<_> = letter.original_headers().cloned().collect();
    assert_eq!(headers, poison().headers);
    assert_eq!((letter.redriven_before, letter.is_unread()), (0, false));
}

#[test]
fn what_somebody_else_put_into_the_topic_is_a_letter_of_unknown_cause() {
    let mut stranger = poison();
    stranger
        .headers
        .push((dlt::ORIGINAL_TOPIC.to_owned(), b"orders".to_vec()));
    stranger
        .headers
        .push((dlt::ORIGINAL_PARTITION.to_owned(), b"1".to_vec()));
    let book = LetterBook::of(vec![stranger]);
    let case = book.cases().next().unwrap();
    assert_eq!(case.letter.code, "unknown");
    assert_eq!(case.letter.source, None);
    assert_eq!(case.state(), LetterState::Open);
    let refused = redriven(case, "stock", "orders", PARTITIONS, Scope::OneGroup);
    assert_eq!(refused, Err(CannotRedrive::NoSource));
}

#[tokio::test]
async fn a_resolution_is_read_as_it_is_written() {
    let letter = DeadLetter::from(letter(&poison(), "invalid_body", 5).await);
    for action in [Action::Redriven, Action::Discarded] {
        let record = resolved(&letter, &resolution(action), 6);
        assert!(Resolution::is_one(&record));
        let read = Resolution::of(&record);
        assert_eq!(read, Some((letter.id, resolution(action))));
    }
}

#[tokio::test]
async fn the_last_resolution_says_what_became_of_a_letter() {
    let first = letter(&poison(), "invalid_body", 0).await;
    let open = letter(&poison(), "invalid_body", 1).await;
    let about = DeadLetter::from(first.clone());
    let redrive = resolved(&about, &resolution(Action::Redriven), 2);
    let discard = resolved(&about, &resolution(Action::Discarded), 3);
    let state = |records: &[&Record]| {
        let book = LetterBook::of(records.iter().copied().cloned().collect());
        let states: Vec<_> = book.cases().map(|case| case.state().as_str()).collect();
        (states, book.cases().next().unwrap().redrives())
    };
    assert_eq!(state(&[&first, &open]), (vec!["open", "open"], 0));
    assert_eq!(
        state(&[&first, &open, &redrive]),
        (vec!["redriven", "open"], 1)
    );
    assert_eq!(
        state(&[&first, &open, &redrive, &discard]),
        (vec!["discarded", "open"], 1)
    );
}

#[tokio::test]
async fn a_resolution_of_a_letter_that_is_not_there_or_of_an_unknown_kind_is_counted() {
    let letter = letter(&poison(), "invalid_body", 0).await;
    let about = DeadLetter::from(letter.clone());
    let mut other = about.clone();
    other.id.offset = 99;
    let stray = resolved(&other, &resolution(Action::Discarded), 1);
    let mut later = resolved(&about, &resolution(Action::Discarded), 2);
    later.headers[0].1 = b"forwarded".to_vec();
    let book = LetterBook::of(vec![letter, stray, later]);
    assert_eq!(book.strays(), 2);
    let states: Vec<_> = book.cases().map(Case::state).collect();
    assert_eq!(states, [LetterState::Open]);
}

#[tokio::test]
async fn a_resolution_that_does_not_stand_behind_its_letter_in_its_partition_resolves_nothing() {
    let letter = letter(&poison(), "invalid_body", 5).await;
    let about = DeadLetter::from(letter.clone());
    let discard = |partition, offset| Record {
        partition,
        ..resolved(&about, &resolution(Action::Discarded), offset)
    };
    for (partition, offset, expected) in [
        (0, 6, (LetterState::Discarded, 0)),
        (0, 4, (LetterState::Open, 1)),
        (1, 4, (LetterState::Open, 1)),
        (1, 6, (LetterState::Open, 1)),
    ] {
        let book = LetterBook::of(vec![discard(partition, offset), letter.clone()]);
        let states: Vec<_> = book.cases().map(Case::state).collect();
        assert_eq!(
            (states, book.strays()),
            (vec![expected.0], expected.1),
            "{partition}/{offset}"
        );
    }
}

/// A record of `orders` may have any header; ours in it must not settle somebody else's letter.
#[tokio::test]
async fn a_record_that_pretends_to_be_a_resolution_becomes_a_letter() {
    let victim = letter(&poison(), "invalid_body", 0).await;
    let about = DeadLetter::from(victim.clone());
    let forged = resolved(&about, &resolution(Action::Discarded), 0);
    let forged = letter(&forged, "no_value", 1).await;
    let book = LetterBook::of(vec![victim, forged]);
    assert_eq!((book.cases().count(), book.strays()), (2, 0));
    assert!(book.cases().all(|case| case.state() == LetterState::Open));
}

#[tokio::test]
async fn a_redrive_is_the_original_record_for_the_one_group_and_counted() {
    let book = LetterBook::of(vec![letter(&poison(), "invalid_body", 5).await]);
    let case = book.cases().next().unwrap();
    let record = redriven(case, "stock", "orders", PARTITIONS, Scope::OneGroup).unwrap();
    assert_eq!(record.topic, "orders");
    assert_eq!(record.partition, Some(poison().partition));
    assert_eq!(
        (&record.key, &record.value),
        (&poison().key, &poison().value)
    );
    let mut headers = poison().headers;
    headers.push(("redrive-group".to_owned(), b"stock".to_vec()));
    headers.push(("redrive-count".to_owned(), b"1".to_vec()));
    assert_eq!(record.headers, headers);
}

#[tokio::test]
async fn a_record_that_fails_again_carries_its_count_and_one_addressee() {
    let mut offset = 5;
    let mut dead = letter(&poison(), "invalid_body", offset).await;
    for round in 1..=3 {
        let book = LetterBook::of(vec![dead]);
        let case = book.cases().next().unwrap();
        assert_eq!(case.redrives(), round - 1);
        let record = redriven(case, "stock", "orders", PARTITIONS, Scope::OneGroup).unwrap();
        assert_eq!(header_of(&record, REDRIVE_COUNT), [round.to_string()]);
        assert_eq!(header_of(&record, header::REDRIVE_GROUP), ["stock"]);
        offset += 1;
        dead = letter(&read_back(record, 100 + offset), "invalid_body", offset).await;
    }
}

#[tokio::test]
async fn a_partition_or_a_topic_that_is_not_the_logs_is_refused() {
    let mut record = poison();
    record.partition = PARTITIONS;
    let book = LetterBook::of(vec![letter(&record, "decision_failed", 0).await]);
    let case = book.cases().next().unwrap();
    let refused = redriven(case, "stock", "orders", PARTITIONS, Scope::AsNewEvent).unwrap_err();
    assert!(matches!(refused, CannotRedrive::NoSuchPartition { .. }));
    let other = redriven(case, "stock", "payments", PARTITIONS, Scope::OneGroup);
    assert_eq!(other, Err(CannotRedrive::OtherTopic("orders".to_owned())));
}

#[tokio::test]
async fn a_record_that_nobody_could_read_is_never_for_one_group() {
    let body = format!(
        r#"{{"message":"m","status":"PENDING","order":{{"orderId":"{}","name":"pen","qty":1,"price":2.5}}}}"#,
        order()
    );
    let bare = |value: &str, partition| Record {
        headers: vec![],
        value: Some(value.as_bytes().to_vec()),
        partition,
        ..poison()
    };
    let home = home_partition(order(), PARTITIONS);
    let elsewhere = (home + 1) % PARTITIONS;
    let reserved = body.replace("PENDING", "RESERVED");
    for (record, code, expected) in [
        // It was unreadable once, and this version can read it.
        (bare(&body, elsewhere), "invalid_body", Ok(elsewhere)),
        (bare(&reserved, elsewhere), "wrong_partition", Ok(home)),
        (
            bare("garbage", home),
            "invalid_body",
            Err("still cannot be read"),
        ),
        (
            bare(&body.replace("PENDING", "LATER"), home),
            "invalid_body",
            Err("no effect"),
        ),
    ] {
        let book = LetterBook::of(vec![letter(&record, code, 0).await]);
        let case = book.cases().next().unwrap();
        assert!(case.letter.is_unread());
        let refused = redriven(case, "stock", "orders", PARTITIONS, Scope::OneGroup);
        assert_eq!(refused, Err(CannotRedrive::Unread));
        match (
            redriven(case, "stock", "orders", PARTITIONS, Scope::AsNewEvent),
            expected,
        ) {
            (Ok(new), Ok(partition)) => {
                assert_eq!(new.partition, Some(partition));
                assert_eq!(header_of(&new, header::REDRIVE_GROUP), Vec::<&str>::new());
                assert_eq!(header_of(&new, REDRIVE_COUNT), ["1"]);
            }
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (other, _) => panic!("{code}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_failed_decision_stays_with_its_group_also_when_new_events_are_allowed() {
    for code in ["invalid_body", "two_orders", "decision_failed", "anything"] {
        let book = LetterBook::of(vec![letter(&poison(), code, 0).await]);
        let case = book.cases().next().unwrap();
        let record = redriven(case, "stock", "orders", PARTITIONS, Scope::AsNewEvent).unwrap();
        assert_eq!(
            header_of(&record, header::REDRIVE_GROUP),
            ["stock"],
            "{code}"
        );
    }
}

proptest! {
    /// The fold says the same in whatever order the partitions are read.
    #[test]
    fn the_fold_does_not_depend_on_the_order_of_reading(
        actions in proptest::collection::vec((0..4_i64, any::<bool>()), 0..12),
        swaps in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..30),
    ) {
        let mut records: Vec<Record> = (0..4)
            .map(|offset| Record { offset, partition: 0, ..poison() })
            .collect();
        let mut expected = vec![(LetterState::Open, 0); 4];
        for (place, (offset, redrive)) in actions.iter().enumerate() {
            let about = DeadLetter::from(records[usize::try_from(*offset).unwrap()].clone());
            let action = if *redrive { Action::Redriven } else { Action::Discarded };
            let at = 4 + i64::try_from(place).unwrap();
            records.push(resolved(&about, &resolution(action), at));
            let entry = &mut expected[usize::try_from(*offset).unwrap()];
            *entry = match redrive {
                true => (LetterState::Redriven, entry.1 + 1),
                false => (LetterState::Discarded, entry.1),
            };
        }
        for (one, other) in swaps {
            let (one, other) = (one.index(records.len()), other.index(records.len()));
            records.swap(one, other);
        }
        let book = LetterBook::of(records);
        let found: Vec<_> = book.cases().map(|case| (case.state(), case.redrives())).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(book.strays(), 0);
    }
}
