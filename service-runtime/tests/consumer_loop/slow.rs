//! C8: a batch that takes longer than the group waits for a poll.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use service_runtime::telemetry::{install_metrics, metrics_text};

use crate::support::{Script, cluster, committed, eventually, join, produce};

/// What the counter of batches beyond the interval is at; no other test of this process has any.
fn exceeded() -> Option<String> {
    let name = r#"consumer_poll_exceeded_total{group="group"} "#;
    let text = metrics_text();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.map(str::to_owned)
}

/// It has lost its partition when it is done, which another one took over; it stores nothing of it
/// and joins again.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_beyond_the_poll_interval_is_taken_over_and_its_member_comes_back() {
    install_metrics();
    let mut cluster = cluster(1);
    cluster.config.extra.insert("max.poll.interval.ms", "4000");
    produce(&cluster.config, 0, 3).await;
    let (slow, other) = (Arc::new(Script::default()), Arc::new(Script::default()));
    slow.hold.store(true, Ordering::SeqCst);
    let member = join(&cluster.config, &slow);
    eventually("the batch", || slow.attempts.load(Ordering::SeqCst) == 1).await;
    let second = join(&cluster.config, &other);
    eventually("the records at the other one", || other.count() >= 3).await;
    assert_eq!(slow.count(), 0);

    slow.hold.store(false, Ordering::SeqCst);
    eventually("the end of the batch", || slow.count() > 0).await;
    eventually("the count", || exceeded().is_some()).await;
    second.leave().await.unwrap();
    produce(&cluster.config, 0, 2).await;
    eventually("what comes later", || slow.handled().contains(&(0, 4))).await;
    let again = slow.checked.lock().unwrap().len();
    assert!(again > 1, "it never lost its partition");
    assert_eq!(member.reason(), None);
    assert_eq!(exceeded().as_deref(), Some("1"));
    member.leave().await.unwrap();
    assert_eq!(committed(&cluster).await, Some(5));
}
