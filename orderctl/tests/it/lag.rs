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

#[tokio::test(flavor = "multi_thread")]
async fn lag_is_told_of_the_groups_that_committed_and_judged_by_a_limit() {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("orders", 2, 1).unwrap();
    let servers = mock.bootstrap_servers();
    let config = KafkaConfig::for_bootstrap(&servers, "tests");
    let producer = KafkaProducer::new(&config).unwrap();
    for _ in 0..5 {
        let record = NewRecord {
            topic: "orders".to_owned(),
            partition: Some(0),
            key: None,
            headers: vec![],
            value: Some(vec![1]),
        };
        producer.enqueue(&record).unwrap().await.unwrap();
    }
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
        let run = orderctl(&["lag", "--max", max], &environment).await;
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stdout.starts_with("GROUP"), "{run:?}");
    }
    let missing = orderctl(&["lag", "--topic", "nowhere"], &environment).await;
    assert_eq!(missing.code, 3, "{missing:?}");
}

#[tokio::test]
async fn a_broker_that_is_down_is_unavailable() {
    let run = orderctl(&["lag", "--kafka", "127.0.0.1:1", "--timeout", "1s"], &[]).await;
    assert_eq!((run.code, &*run.stdout), (5, ""), "{run:?}");
}
