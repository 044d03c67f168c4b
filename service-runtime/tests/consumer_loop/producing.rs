//! The producer: what it says of a record that the broker takes late, or not at all.

use std::time::Duration;

use service_runtime::kafka::{EventProducer, KafkaProducer, NewRecord, ProduceError};

use crate::support::{cluster, to_partition};

/// Invariant 1: the record may be in the log, so its result is unknown and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_comes_too_late_is_an_unknown_result() {
    let mut cluster = cluster(1);
    cluster.config.delivery_timeout = Duration::from_secs(4);
    let producer = KafkaProducer::new(&cluster.config).unwrap();
    let first = to_partition(0, "quick");
    producer.enqueue(&first).unwrap().await.unwrap();
    cluster
        .mock
        .broker_round_trip_time(1, Duration::from_secs(10))
        .unwrap();
    let slow = to_partition(0, "slow");
    let error = producer.enqueue(&slow).unwrap().await.unwrap_err();
    assert!(matches!(error, ProduceError::Unknown(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_a_definite_failure_at_once() {
    let mut cluster = cluster(1);
    cluster
        .config
        .extra
        .insert("queue.buffering.max.messages", "3");
    cluster.mock.broker_down(-1).unwrap();
    let producer = KafkaProducer::new(&cluster.config).unwrap();
    let mut waiting = Vec::new();
    let error = loop {
        match producer.enqueue(&to_partition(0, "x")) {
            Ok(delivery) => waiting.push(delivery),
            Err(error) => break error,
        }
        assert!(waiting.len() < 10, "the queue never fills");
    };
    assert_eq!(error, ProduceError::QueueFull);
    assert_eq!(waiting.len(), 3);
}

/// The home partition that readers compute is the one that keyed records go to (rule R4).
#[tokio::test(flavor = "multi_thread")]
async fn keyed_records_go_to_the_home_partition() {
    let cluster = cluster(7);
    let producer = KafkaProducer::new(&cluster.config).unwrap();
    for n in 0..100 {
        let order_id = base_domains::OrderId::from_idempotency_key("test", &n.to_string());
        let record = NewRecord {
            partition: None,
            key: Some(order_id.to_string().into_bytes()),
            ..to_partition(0, "keyed")
        };
        let delivered = producer.enqueue(&record).unwrap().await.unwrap();
        assert_eq!(
            delivered.partition,
            base_domains::home_partition(order_id, 7)
        );
    }
}
