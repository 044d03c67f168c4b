//! Requests that the brokers refuse for a while, one kind after the other: everything goes on by itself.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::mocking::MockCoordinator;
use rdkafka::types::RDKafkaApiKey::{
    self, Fetch, FindCoordinator, Heartbeat, JoinGroup, ListOffsets, Metadata, OffsetCommit,
    OffsetFetch, Produce, SyncGroup,
};
use rdkafka::types::RDKafkaRespErr::{
    self, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS as LOADING,
    RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE as NO_COORDINATOR,
    RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION as OLD_GENERATION,
    RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR as STORAGE,
    RD_KAFKA_RESP_ERR_NOT_COORDINATOR as OTHER_COORDINATOR,
    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS as FEW_REPLICAS,
    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND as FEW_REPLICAS_AFTER_APPEND,
    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as OTHER_LEADER,
    RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS as REBALANCE,
    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT as TIMED_OUT,
    RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID as UNKNOWN_MEMBER,
};
use service_runtime::kafka::{EventProducer, KafkaProducer, ProduceError};
use service_runtime::telemetry::{install_metrics, metrics_text};

use crate::support::{
    Cluster, Member, Script, calm_cluster, cluster, cluster_of, committed, eventually, join,
    produce, to_partition,
};

/// A member that has read one record, of a group that commits often.
async fn reading(cluster: &Cluster) -> (Arc<Script>, Member) {
    produce(&cluster.config, 0, 1).await;
    let script = Arc::new(Script::default());
    let member = join(&cluster.config, &script);
    eventually("the first record", || script.count() >= 1).await;
    (script, member)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_cannot_be_joined_at_once_is_joined_later() {
    let cluster = cluster(1);
    let refusals: [(RDKafkaApiKey, &[RDKafkaRespErr]); 6] = [
        (FindCoordinator, &[NO_COORDINATOR, NO_COORDINATOR]),
        (JoinGroup, &[LOADING, OTHER_COORDINATOR, UNKNOWN_MEMBER]),
        (SyncGroup, &[REBALANCE, OTHER_COORDINATOR]),
        (OffsetFetch, &[LOADING, OTHER_COORDINATOR]),
        (ListOffsets, &[OTHER_LEADER, STORAGE]),
        (Metadata, &[TIMED_OUT]),
    ];
    for (request, errors) in refusals {
        cluster.mock.request_errors(request, errors);
    }
    let (script, member) = reading(&cluster).await;
    assert_eq!(script.handled(), [(0, 0)]);
    assert_eq!(member.reason(), None);
    member.leave().await.unwrap();
    assert_eq!(committed(&cluster).await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_fetched_for_a_while_is_read_on_and_each_record_once() {
    let cluster = calm_cluster(1);
    let (script, member) = reading(&cluster).await;
    for error in [OTHER_LEADER, STORAGE, TIMED_OUT] {
        cluster.mock.request_errors(Fetch, &[error; 3]);
        produce(&cluster.config, 0, 1).await;
    }
    eventually("the rest", || script.count() >= 4).await;
    let all: Vec<(i32, i64)> = (0..4).map(|offset| (0, offset)).collect();
    assert_eq!(script.handled(), all);
    assert_eq!(script.checked.lock().unwrap().len(), 1, "no rebalance");
    member.leave().await.unwrap();
}

/// Invariant 7: any later commit makes up for one that failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_is_counted_and_made_up_for_by_the_next_one() {
    install_metrics();
    let failures = || {
        let name = "kafka_offset_commit_failures_total ";
        let text = metrics_text();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    let cluster = calm_cluster(1);
    let (script, member) = reading(&cluster).await;
    for (n, error) in [LOADING, OTHER_COORDINATOR, NO_COORDINATOR, TIMED_OUT]
        .into_iter()
        .enumerate()
    {
        // More than librdkafka tries again by itself.
        cluster.mock.request_errors(OffsetCommit, &[error; 4]);
        produce(&cluster.config, 0, 1).await;
        eventually("the record", || script.count() >= n + 2).await;
    }
    eventually("a failed commit", || failures() > 0).await;
    cluster.mock.clear_request_errors(OffsetCommit);
    produce(&cluster.config, 0, 1).await;
    eventually("the last record", || script.count() >= 6).await;
    assert_eq!(script.checked.lock().unwrap().len(), 1, "no rebalance");
    member.leave().await.unwrap();
    assert_eq!(committed(&cluster).await, Some(6));
}

/// As a member is told that was away for too long (C7): it joins again and misses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_its_group_forgot_joins_again() {
    let cluster = cluster(1);
    let (script, member) = reading(&cluster).await;
    for (n, (request, error)) in [
        (Heartbeat, UNKNOWN_MEMBER),
        (Heartbeat, OLD_GENERATION),
        (OffsetCommit, OLD_GENERATION),
    ]
    .into_iter()
    .enumerate()
    {
        cluster.mock.request_errors(request, &[error]);
        produce(&cluster.config, 0, 1).await;
        let again = || script.checked.lock().unwrap().len() > n + 1;
        eventually("another assignment", again).await;
    }
    // What it could not commit comes again, so that only a record after the last assignment is one
    // after all of these.
    produce(&cluster.config, 0, 1).await;
    let has_last = || script.handled().contains(&(0, 4));
    eventually("the last record", has_last).await;
    let mut once = script.handled();
    once.dedup();
    let all: Vec<(i32, i64)> = (0..5).map(|offset| (0, offset)).collect();
    assert_eq!(once, all);
    member.leave().await.unwrap();
    assert_eq!(committed(&cluster).await, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_coordinator_moves_goes_on_with_the_other_one() {
    let cluster = cluster_of(2, 1);
    let move_to = |broker| {
        let group = MockCoordinator::Group("group".to_owned());
        cluster.mock.coordinator(group, broker).unwrap();
    };
    move_to(1);
    let (script, member) = reading(&cluster).await;
    move_to(2);
    produce(&cluster.config, 0, 5).await;
    eventually("the rest", || script.count() >= 6).await;
    member.leave().await.unwrap();
    assert_eq!(committed(&cluster).await, Some(6));
}

/// Never without any leader: the mock cluster crashes when it is asked for one that it has not.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_leader_changes_goes_on_with_the_next_one_in_order() {
    let cluster = cluster_of(2, 1);
    let (script, member) = reading(&cluster).await;
    let lead = |broker| cluster.mock.partition_leader("orders", 0, broker).unwrap();
    lead(Some(1));
    cluster.mock.request_errors(Produce, &[OTHER_LEADER; 3]);
    let producer = KafkaProducer::new(&cluster.config).unwrap();
    let deliveries: Vec<_> = (0..20)
        .map(|n| producer.enqueue(&to_partition(0, &n.to_string())).unwrap())
        .collect();
    lead(Some(2));
    for (n, delivery) in deliveries.into_iter().enumerate() {
        assert_eq!(delivery.await.unwrap().offset, n as i64 + 1, "in order");
    }
    eventually("all records", || script.count() >= 21).await;
    let all: Vec<(i32, i64)> = (0..21).map(|offset| (0, offset)).collect();
    assert_eq!(script.handled(), all, "each once");
    member.leave().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_too_few_replicas_took_is_appended_when_there_are_enough() {
    let cluster = cluster(1);
    let producer = KafkaProducer::new(&cluster.config).unwrap();
    for (n, error) in [FEW_REPLICAS, FEW_REPLICAS_AFTER_APPEND, OTHER_LEADER]
        .into_iter()
        .enumerate()
    {
        cluster.mock.request_errors(Produce, &[error; 3]);
        let delivery = producer.enqueue(&to_partition(0, "record")).unwrap();
        assert_eq!(delivery.await.unwrap().offset, n as i64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_too_few_replicas_take_for_too_long_is_an_unknown_result() {
    let mut cluster = cluster(1);
    cluster.config.delivery_timeout = Duration::from_secs(4);
    for error in [FEW_REPLICAS, FEW_REPLICAS_AFTER_APPEND] {
        let producer = KafkaProducer::new(&cluster.config).unwrap();
        cluster.mock.request_errors(Produce, &[error; 1000]);
        let delivery = producer.enqueue(&to_partition(0, "record")).unwrap();
        let result = delivery.await;
        assert!(
            matches!(result, Err(ProduceError::Unknown(_))),
            "{result:?}"
        );
        cluster.mock.clear_request_errors(Produce);
        let delivery = producer.enqueue(&to_partition(0, "next")).unwrap();
        delivery.await.unwrap();
    }
}
