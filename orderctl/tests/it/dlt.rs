//! Dead letters on a broker.

use std::sync::Arc;
use std::time::Duration;

use base_domains::{OrderId, header, home_partition};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use serde_json::{Value, json};
use service_runtime::kafka::{DeadLetters, KafkaConfig, KafkaProducer, Letter, Record, read_all};

use crate::support::{Run, orderctl};

const PARTITIONS: i32 = 3;
const TIMEOUT: Duration = Duration::from_secs(20);

struct World {
    // Alive until every client is gone.
    mock: MockCluster<'static, DefaultProducerContext>,
    config: KafkaConfig,
    letters: DeadLetters,
}

fn world() -> World {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("orders", PARTITIONS, 1).unwrap();
    for group in ["stock", "email"] {
        let topic = format!("orders.{group}.dlt");
        mock.create_topic(&topic, 1, 1).unwrap();
    }
    let config = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "tests");
    let producer = Arc::new(KafkaProducer::new(&config).unwrap());
    World {
        mock,
        letters: DeadLetters::new(producer, "orders", "stock"),
        config,
    }
}

fn order(name: &str) -> OrderId {
    OrderId::from_idempotency_key("test", name)
}

/// The event of an order, with this body.
fn record(name: &str, body: &[u8]) -> Record {
    let headers = [
        (header::CE_SUBJECT, order(name).to_string()),
        (header::CE_TYPE, "order.pending".to_owned()),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.into_bytes()));
    Record {
        partition: home_partition(order(name), PARTITIONS),
        offset: 77,
        timestamp: Some(1_700_000_000_123),
        key: Some(order(name).to_string().into_bytes()),
        headers: headers.to_vec(),
        value: Some(body.to_vec()),
    }
}

impl World {
    /// Dead-letters a record in the group `stock`.
    async fn letter(&self, record: &Record, code: &str) {
        let reason = "it does not work";
        let letter = Letter {
            record,
            code,
            reason,
        };
        self.letters.publish(&[letter]).await.unwrap();
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        let servers = [(
            "KAFKA_BOOTSTRAP_SERVERS",
            self.config.bootstrap_servers.as_str(),
        )];
        orderctl(arguments, &servers).await
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).await.json()
    }

    /// Id and state of each letter.
    async fn states(&self) -> Vec<(String, String)> {
        let found = self.json(&["dlt", "list", "stock", "--all"]).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let letters = found["letters"].as_array().unwrap().iter();
        letters
            .map(|letter| (text(&letter["id"]), text(&letter["state"])))
            .collect()
    }

    async fn records(&self, topic: &str) -> Vec<Record> {
        read_all(&self.config, topic, TIMEOUT).await.unwrap()
    }
}

fn states(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(id, state): &(&str, &str)| ((*id).to_owned(), (*state).to_owned());
    expected.iter().map(owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_listed_without_their_payload_and_shown_with_it() {
    let world = world();
    let poison = record("a", b"\xff secret \0");
    world.letter(&poison, "invalid_body").await;
    let list = world.run(&["dlt", "list"]).await;
    assert_eq!(list.code, 0, "{list:?}");
    let (id, home) = (order("a"), poison.partition);
    let words: Vec<&str> = list
        .stdout
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .collect();
    let from = format!("orders/{home}@77");
    assert_eq!(words[..3], ["stock", "0/0", "open"]);
    assert_eq!(words[4..], ["invalid_body", &from, &id.to_string(), "0"]);
    assert!(!list.stdout.contains("secret"));

    let shown = world.json(&["dlt", "show", "stock", "0/0"]).await;
    let headers = json!([
        {"name": "ce_subject", "value": id.to_string()},
        {"name": "ce_type", "value": "order.pending"},
    ]);
    let expected = json!({
        "group": "stock", "id": "0/0", "state": "open", "at": shown["at"],
        "cause": {"code": "invalid_body", "message": "it does not work"},
        "source": {"topic": "orders", "partition": home, "offset": 77, "at": "2023-11-14T22:13:20.123Z"},
        "key": id.to_string(), "redrives": 0, "unread": false, "headers": headers,
        "payload": "\\xff secret \\u{0}", "payloadEncoding": "escaped", "payloadBytes": 10,
        "resolutions": [],
    });
    assert_eq!(shown, expected);
    let text = world.run(&["dlt", "show", "stock", "0/0"]).await;
    assert!(
        text.stdout
            .ends_with("payload   10 bytes\n\\xff secret \\u{0}\n"),
        "{text:?}"
    );

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("payload");
    let name = file.to_str().unwrap();
    let raw = world
        .run(&["dlt", "show", "stock", "0/0", "--raw", name])
        .await;
    assert_eq!((raw.code, raw.stdout.as_str()), (0, ""));
    assert_eq!(std::fs::read(&file).unwrap(), poison.value.unwrap());

    let missing = world.run(&["dlt", "show", "stock", "0/9"]).await;
    assert_eq!(missing.code, 3, "{missing:?}");
    let nowhere = world.run(&["dlt", "list", "payment"]).await;
    assert_eq!(nowhere.code, 3, "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_redriven_once_unless_it_is_asked_for_again() {
    let world = world();
    let poison = record("a", b"later");
    world.letter(&poison, "invalid_body").await;

    let dry = world
        .json(&["dlt", "redrive", "stock", "0/0", "--dry-run"])
        .await;
    let done = |redrives, to: Value| json!([{"id": "0/0", "redrives": redrives, "asNewEvent": false, "to": to}]);
    assert_eq!(dry["redriven"], done(1, Value::Null));
    assert_eq!(world.records("orders").await, []);
    assert_eq!(world.states().await, states(&[("0/0", "open")]));

    let line = ["dlt", "redrive", "stock", "0/0", "--reason", "it is fixed"];
    let first = world.json(&line).await;
    let place = |offset| format!("orders/{}@{offset}", poison.partition);
    let expected = json!({
        "group": "stock", "dryRun": false, "redriven": done(1, place(0).into()), "skipped": [],
    });
    assert_eq!(first, expected);
    let redriven = world.records("orders").await.remove(0);
    assert_eq!(
        (redriven.partition, &redriven.key),
        (poison.partition, &poison.key)
    );
    assert_eq!(redriven.value, poison.value);
    assert_eq!(redriven.header("redrive-group"), Some("stock"));
    assert_eq!(redriven.header("redrive-count"), Some("1"));

    let open = world.json(&["dlt", "list", "stock"]).await;
    assert_eq!(open, json!({"letters": []}));
    let shown = world.json(&["dlt", "show", "stock", "0/0"]).await;
    assert_eq!(
        (&shown["state"], &shown["redrives"]),
        (&"redriven".into(), &1.into())
    );
    let audit = json!([{
        "action": "redriven", "by": "ann", "at": shown["resolutions"][0]["at"],
        "reason": "it is fixed", "to": place(0),
    }]);
    assert_eq!(shown["resolutions"], audit);

    let second = world.run(&line).await;
    assert_eq!(second.code, 4, "{second:?}");
    assert!(
        second.stderr.contains("letter 0/0 is redriven already"),
        "{second:?}"
    );
    assert_eq!(world.records("orders").await.len(), 1);
    let again = world.json(&[&line[..], &["--again"]].concat()).await;
    assert_eq!(again["redriven"], done(2, place(1).into()));

    // The group fails again, and the count goes on.
    world
        .letter(&world.records("orders").await[1], "invalid_body")
        .await;
    let open = world.json(&["dlt", "list", "stock"]).await;
    assert_eq!(open["letters"][0]["id"], "0/3");
    assert_eq!(open["letters"][0]["redrives"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_open_letters_of_a_cause_are_redriven_and_the_unread_passed_over() {
    let world = world();
    world.letter(&record("a", b"later"), "invalid_body").await;
    world
        .letter(&record("b", b"later"), "decision_failed")
        .await;
    let mut unread = record("c", b"garbage");
    unread.headers.clear();
    world.letter(&unread, "invalid_body").await;

    let one = ["dlt", "redrive", "stock", "0/2"];
    let refused = world.run(&one).await;
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(
        refused.stderr.contains("no group could read it"),
        "{refused:?}"
    );
    let still = world.run(&[&one[..], &["--as-new-event"]].concat()).await;
    assert_eq!(still.code, 4, "{still:?}");
    assert!(still.stderr.contains("still cannot be read"), "{still:?}");

    let some = world
        .json(&[
            "dlt",
            "redrive",
            "stock",
            "--all",
            "--cause",
            "invalid_body",
        ])
        .await;
    assert_eq!(some["redriven"].as_array().unwrap().len(), 1);
    assert_eq!(some["skipped"][0]["id"], "0/2");
    let expected = [("0/0", "redriven"), ("0/1", "open"), ("0/2", "open")];
    assert_eq!(world.states().await, states(&expected));
    let rest = world.run(&["dlt", "redrive", "stock", "--all"]).await;
    assert_eq!(rest.code, 0, "{rest:?}");
    assert!(rest.stderr.contains("letters redriven: 1"), "{rest:?}");
    let groups: Vec<_> = world.records("orders").await;
    assert!(
        groups
            .iter()
            .all(|record| record.header("redrive-group") == Some("stock"))
    );
    assert_eq!(groups.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_redriven_when_one_of_several_is_not_there() {
    let world = world();
    world.letter(&record("a", b"later"), "invalid_body").await;
    let run = world.run(&["dlt", "redrive", "stock", "0/0", "0/7"]).await;
    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(world.records("orders").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_discarded_only_with_a_yes_and_leaves_an_audit_line() {
    let world = world();
    world.letter(&record("a", b"later"), "invalid_body").await;
    let line = [
        "dlt",
        "discard",
        "stock",
        "0/0",
        "--by",
        "bob",
        "--reason",
        "a test order",
    ];
    let refused = world.run(&line).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    let dry = world.run(&[&line[..], &["--dry-run"]].concat()).await;
    assert_eq!(dry.code, 0, "{dry:?}");
    assert_eq!(world.states().await, states(&[("0/0", "open")]));

    let done = world.json(&[&line[..], &["--yes"]].concat()).await;
    let at = done["discarded"][0]["at"].clone();
    let audit =
        json!({"action": "discarded", "by": "bob", "at": at, "reason": "a test order", "to": null});
    let mut expected = audit.clone();
    expected["id"] = "0/0".into();
    assert_eq!(done["discarded"], json!([expected]));
    let shown = world.json(&["dlt", "show", "stock", "0/0"]).await;
    assert_eq!(
        (&shown["state"], &shown["resolutions"]),
        (&"discarded".into(), &json!([audit]))
    );
    assert_eq!(shown["payload"], "later");
    // It is not taken up again by accident.
    let run = world.run(&["dlt", "redrive", "stock", "0/0"]).await;
    assert_eq!(run.code, 4, "{run:?}");
    let all = world.json(&["dlt", "redrive", "stock", "--all"]).await;
    assert_eq!(all["redriven"], json!([]));
    assert_eq!(world.records("orders").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_is_not_acknowledged_is_none() {
    let world = world();
    world.letter(&record("a", b"later"), "invalid_body").await;
    let refused = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    let produce = rdkafka::types::RDKafkaApiKey::Produce;
    world.mock.request_errors(produce, &[refused; 20]);
    let run = world
        .run(&["dlt", "redrive", "stock", "0/0", "--json"])
        .await;
    assert_ne!(run.code, 0, "{run:?}");
    assert_eq!(run.documents()[0]["redriven"], json!([]));
    world.mock.clear_request_errors(produce);
    assert_eq!(world.states().await, states(&[("0/0", "open")]));
}
