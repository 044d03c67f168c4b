//! The lag of groups.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::json;
use service_runtime::kafka::{EventProducer as _, KafkaConfig, KafkaProducer, NewRecord};

use crate::support::orderctl;

#[expect(
    clippy::disallowed_methods,
    reason = "a member as a stranger has it, which commits by hand"
)]
fn commit(servers: &str, group: &str, offset: i64) {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        .set("group.id", group);
    let member: BaseConsumer = config.create().unwrap();
    let mut done = TopicPartitionList::new();
    let offset = Offset::Offset(offset);
    done.add_partition_offset("orders", 0, offset).unwrap();
    member.commit(&done, CommitMode::Sync).unwrap();
}

/// Appends so many records to the first partition.
async fn append(servers: &str, count: usize) {
    let config = KafkaConfig::for_bootstrap(servers, "tests");
    let producer = KafkaProducer::new(&config).unwrap();
    for _ in 0..count {
        let record = NewRecord {
            topic: "orders".to_owned(),
            partition: Some(0),
            key: None,
            headers: vec![],
            value: Some(vec![1]),
        };
        producer.enqueue(&record).unwrap().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lag_is_told_of_the_groups_that_committed_and_judged_by_a_limit() {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("orders", 2, 1).unwrap();
    let servers = mock.bootstrap_servers();
    append(&servers, 5).await;
    let environment = [("KAFKA_BOOTSTRAP_SERVERS", servers.as_str())];
    let nobody = orderctl(&["lag"], &environment).await;
    assert_eq!(nobody.code, 0, "{nobody:?}");
    assert!(
        nobody.stderr.contains("has committed anything"),
        "{nobody:?}"
    );

    let member = servers.clone();
    let committed = tokio::task::spawn_blocking(move || commit(&member, "stock", 3));
    committed.await.unwrap();
    let text = orderctl(&["lag"], &environment).await;
    assert_eq!(
        text.stdout,
        "GROUP  PARTITION  COMMITTED  END  LAG\n\
         stock  0          3          5    2\n\
         stock  1          -          0    0\n"
    );
    let line = ["lag", "--group", "stock", "--group", "never", "--json"];
    let json = orderctl(&line, &environment).await;
    let row = |partition, committed: Option<i64>, end, lag| json!({"partition": partition, "committed": committed, "begin": 0, "end": end, "lag": lag});
    let expected = json!({"topic": "orders", "groups": [
        {"group": "stock", "lag": 2, "partitions": [row(0, Some(3), 5, 2), row(1, None, 0, 0)]},
        {"group": "never", "lag": 5, "partitions": [row(0, None, 5, 5), row(1, None, 0, 0)]},
    ]});
    assert_eq!(json.json(), expected);

    for (max, code) in [("2", 0), ("1", 6)] {
        let line = ["lag", "--group", "stock", "--max", max];
        let run = orderctl(&line, &environment).await;
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stdout.starts_with("GROUP"), "{run:?}");
    }
    let missing = orderctl(&["lag", "--topic", "nowhere"], &environment).await;
    assert_eq!(missing.code, 3, "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_usual_group_that_never_committed_is_judged_by_what_it_has_to_read() {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("orders", 2, 1).unwrap();
    let servers = mock.bootstrap_servers();
    let environment = [("KAFKA_BOOTSTRAP_SERVERS", servers.as_str())];
    // Where there is nothing to read, nobody is behind.
    let empty = orderctl(&["lag", "--max", "0"], &environment).await;
    assert_eq!(empty.code, 0, "{empty:?}");
    append(&servers, 5).await;
    let usual = [
        "orders",
        "orders-view",
        "stock",
        "payment",
        "shipping",
        "email",
        "webhook",
    ];
    let member = servers.clone();
    let committed = tokio::task::spawn_blocking(move || {
        for group in &usual[..6] {
            commit(&member, group, 5);
        }
    });
    committed.await.unwrap();
    let behind = orderctl(&["lag", "--max", "4"], &environment).await;
    assert_eq!(behind.code, 6, "{behind:?}");
    let words = "group webhook is 5 records behind in partition 0, where it has committed nothing, more than 4";
    assert!(behind.stderr.contains(words), "{behind:?}");
    let row = "webhook      0          -          5    5\n";
    assert!(behind.stdout.contains(row), "{behind:?}");
    let line = ["lag", "--max", "5", "--json"];
    let within = orderctl(&line, &environment).await.json();
    let groups = within["groups"].as_array().unwrap().iter();
    let groups: Vec<_> = groups.map(|group| group["group"].clone()).collect();
    assert_eq!(groups, usual);
    let plain = orderctl(&["lag"], &environment).await;
    assert!(!plain.stdout.contains("webhook"), "{plain:?}");
    let member = servers.clone();
    let committed = tokio::task::spawn_blocking(move || commit(&member, "webhook", 5));
    committed.await.unwrap();
    let done = orderctl(&["lag", "--max", "0"], &environment).await;
    assert_eq!(done.code, 0, "{done:?}");
}

#[tokio::test]
async fn a_broker_that_is_down_is_unavailable() {
    let run = orderctl(&["lag", "--kafka", "127.0.0.1:1", "--timeout", "1s"], &[]).await;
    assert_eq!((run.code, &*run.stdout), (5, ""), "{run:?}");
}
