//! The consumer loop and the producer on librdkafka's mock cluster: outages, rebalances, ends.

// A test fails by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fatal;
mod leaving;
mod producing;
mod refused;
mod slow;
mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use service_runtime::telemetry::{install_metrics, metrics_text};

use support::{DEADLINE, MAX_BATCH, Script, calm_cluster, cluster, eventually, join, produce};

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_member_stays_in_its_group_and_handles_its_batch_afterwards() {
    let cluster = calm_cluster(1);
    produce(&cluster.config, 0, 10).await;
    let script = Arc::new(Script::default());
    script.down.store(true, Ordering::SeqCst);
    let member = join(&cluster.config, &script);
    eventually("the batch", || script.attempts.load(Ordering::SeqCst) > 0).await;
    let blocked = Instant::now();
    let session = cluster.config.session_timeout;
    eventually("a session's end", || blocked.elapsed() > session).await;
    assert_eq!(script.handled(), vec![]);
    script.down.store(false, Ordering::SeqCst);
    eventually("effect", || script.count() >= 10).await;
    produce(&cluster.config, 0, 5).await;
    eventually("flow after the pause", || script.count() >= 15).await;
    let all: Vec<(i32, i64)> = (0..15).map(|offset| (0, offset)).collect();
    assert_eq!(script.handled(), all, "each once");
    assert_eq!(script.checked.lock().unwrap().len(), 1, "no rebalance");
    member.leave().await.unwrap();
}

/// Rule R8: a rebalance brings partitions unpaused to a member that is blocked.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_come_to_a_blocked_member_are_paused_and_lose_nothing() {
    let cluster = cluster(4);
    let (first, second) = (Arc::new(Script::default()), Arc::new(Script::default()));
    for script in [&first, &second] {
        script.down.store(true, Ordering::SeqCst);
    }
    // Both at once, so that neither ever had, and paused, what the other has.
    let one = join(&cluster.config, &first);
    let other = join(&cluster.config, &second);
    eventually("two partitions each", || {
        (first.owned(), second.owned()) == (2, 2)
    })
    .await;
    for partition in 0..4 {
        produce(&cluster.config, partition, 20).await;
    }
    let attempts = |script: &Script| script.attempts.load(Ordering::SeqCst);
    eventually("held batches", || {
        attempts(&first) > 1 && attempts(&second) > 1
    })
    .await;

    other.leave().await.unwrap();
    eventually("the other's partitions", || first.owned() == 4).await;
    let so_far = attempts(&first);
    eventually("further attempts", || attempts(&first) > so_far + 20).await;
    let largest = first.largest_batch.load(Ordering::SeqCst);
    assert!(
        largest <= MAX_BATCH,
        "a held batch of {largest}: it is not paused"
    );
    assert_eq!((first.count(), second.count()), (0, 0));

    first.down.store(false, Ordering::SeqCst);
    eventually("every record", || first.count() >= 80).await;
    let all: Vec<(i32, i64)> = (0..4)
        .flat_map(|partition| (0..20).map(move |offset| (partition, offset)))
        .collect();
    assert_eq!(
        first.handled(),
        all,
        "each once: nobody had handled any before"
    );
    one.leave().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_shows_which_partitions_it_owns_and_none_once_it_left() {
    install_metrics();
    let cluster = cluster(6);
    let member = join(&cluster.config, &Arc::new(Script::default()));
    // No other test of this process has so many partitions.
    let shows = |value: u8| {
        let line = format!(r#"consumer_partition_owned{{group="group",partition="5"}} {value}"#);
        metrics_text().lines().any(|found| found == line)
    };
    eventually("the partition", || shows(1)).await;
    member.leave().await.unwrap();
    assert!(shows(0), "{}", metrics_text());
}

/// Invariant 7: an offset is committed only for work that is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_not_finished_comes_again_to_the_next_member() {
    let cluster = cluster(1);
    produce(&cluster.config, 0, 5).await;
    let script = Arc::new(Script::default());
    let member = join(&cluster.config, &script);
    eventually("the first batch", || script.count() >= 5).await;
    script.stop.store(true, Ordering::SeqCst);
    produce(&cluster.config, 0, 5).await;
    let ended = tokio::time::timeout(DEADLINE, member.running)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.unwrap_err().to_string(), "told to stop");

    let next = Arc::new(Script::default());
    let member = join(&cluster.config, &next);
    eventually("the partition", || !next.checked.lock().unwrap().is_empty()).await;
    assert_eq!(next.checked.lock().unwrap()[0].committed, Some(5));
    eventually("the rest", || next.count() >= 5).await;
    let rest: Vec<(i32, i64)> = (5..10).map(|offset| (0, offset)).collect();
    assert_eq!(next.handled(), rest);
    member.leave().await.unwrap();
}

/// librdkafka tells such an error once, and nothing when it is over.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_member_is_not_ready_for_as_long_as_it_may_not_read() {
    let mut cluster = cluster(1);
    // After such an error librdkafka waits ten times as long, and not less than a second.
    cluster.config.extra.insert("fetch.error.backoff.ms", "100");
    produce(&cluster.config, 0, 3).await;
    let script = Arc::new(Script::default());
    let member = join(&cluster.config, &script);
    eventually("the records", || script.count() >= 3).await;
    assert_eq!(member.reason(), None);

    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 100];
    let fetch = RDKafkaApiKey::Fetch;
    cluster.mock.request_errors(fetch, &refused);
    eventually("a member that is not ready", || member.reason().is_some()).await;
    let reason = member.reason().unwrap();
    assert!(reason.contains("TopicAuthorizationFailed"), "{reason}");
    let still = tokio::time::timeout(Duration::from_secs(7), async {
        while member.reason().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(still.await.is_err(), "ready again without having read");

    cluster.mock.clear_request_errors(fetch);
    eventually("a member that is ready", || member.reason().is_none()).await;
    produce(&cluster.config, 0, 2).await;
    eventually("the next records", || script.count() >= 5).await;
    let all: Vec<(i32, i64)> = (0..5).map(|offset| (0, offset)).collect();
    assert_eq!(script.handled(), all, "each once");
    member.leave().await.unwrap();
}

/// Rule R6: a database that is behind the committed offset is read again from its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_starts_where_the_handler_says() {
    let cluster = cluster(1);
    produce(&cluster.config, 0, 10).await;
    let script = Arc::new(Script::default());
    let member = join(&cluster.config, &script);
    eventually("all", || script.count() >= 10).await;
    member.leave().await.unwrap();

    let restored = Arc::new(Script::default());
    *restored.read_from.lock().unwrap() = Some(4);
    let member = join(&cluster.config, &restored);
    eventually("the records from offset 4 on", || restored.count() >= 6).await;
    let again: Vec<(i32, i64)> = (4..10).map(|offset| (0, offset)).collect();
    assert_eq!(restored.handled(), again);
    let checked = restored.checked.lock().unwrap()[0];
    assert_eq!(
        (checked.committed, checked.begin, checked.end),
        (Some(10), 0, 10)
    );
    member.leave().await.unwrap();
}

/// Rule R13: otherwise the rest of the history would not be known as such after a crash.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_ends_early_leaves_the_committed_offset_where_it_was() {
    let cluster = cluster(1);
    produce(&cluster.config, 0, 30).await;
    let script = Arc::new(Script::default());
    let member = join(&cluster.config, &script);
    eventually("all", || script.count() >= 30).await;
    member.leave().await.unwrap();

    let restored = Arc::new(Script::default());
    *restored.read_from.lock().unwrap() = Some(4);
    *restored.stop_at.lock().unwrap() = Some(14);
    restored.keep_committed.store(true, Ordering::SeqCst);
    let member = join(&cluster.config, &restored);
    let ended = tokio::time::timeout(DEADLINE, member.running).await;
    ended.unwrap().unwrap().unwrap_err();
    assert!(restored.count() > 0, "nothing was read again");

    let (replayed, next) = (Arc::new(Script::default()), Arc::new(Script::default()));
    let member = join(&cluster.config, &replayed);
    produce(&cluster.config, 0, 5).await;
    eventually("the new ones", || replayed.count() >= 5).await;
    assert_eq!(
        replayed.checked.lock().unwrap()[0].committed,
        Some(30),
        "neither lower nor lost"
    );
    member.leave().await.unwrap();
    let member = join(&cluster.config, &next);
    eventually("the partition", || !next.checked.lock().unwrap().is_empty()).await;
    assert_eq!(next.checked.lock().unwrap()[0].committed, Some(35));
    member.leave().await.unwrap();
}
