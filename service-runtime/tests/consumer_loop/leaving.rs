//! Ends of a member that something does not answer to: bounded, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use service_runtime::kafka::LoopSettings;
use tokio::runtime::Runtime;

use crate::support::{
    Cluster, Member, Script, cluster, eventually, join, join_with, produce, settings,
};

/// A database that vanished in the middle of a transaction must not hold the end back.
#[tokio::test(flavor = "multi_thread")]
async fn leaving_is_bounded_while_a_batch_hangs_and_its_records_come_again() {
    let cluster = cluster(1);
    produce(&cluster.config, 0, 3).await;
    let script = Arc::new(Script::default());
    script.hang.store(true, Ordering::SeqCst);
    let member = join(&cluster.config, &script);
    eventually("the batch", || script.attempts.load(Ordering::SeqCst) == 1).await;
    let started = Instant::now();
    member.leave().await.unwrap();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(25), "{took:?}");
    let next = Arc::new(Script::default());
    let member = join(&cluster.config, &next);
    eventually("the records again", || next.count() >= 3).await;
    member.leave().await.unwrap();
}

/// What a member without its broker would wait for.
const SESSION: Duration = Duration::from_secs(40);

/// A member that handled a record and has not committed it yet when the broker is gone: it cannot leave
/// its group before the end of its session.
async fn uncommitted(cluster: &mut Cluster, settings: LoopSettings) -> Member {
    cluster
        .config
        .extra
        .insert("auto.commit.interval.ms", "60000");
    cluster.config.session_timeout = SESSION;
    produce(&cluster.config, 0, 1).await;
    let script = Arc::new(Script::default());
    let member = join_with(&cluster.config, &script, settings);
    eventually("the record", || script.count() >= 1).await;
    cluster.mock.broker_down(-1).unwrap();
    member
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_is_bounded_while_the_broker_is_down() {
    let mut cluster = cluster(1);
    let settings = LoopSettings {
        close_timeout: Duration::from_secs(1),
        ..settings()
    };
    let member = uncommitted(&mut cluster, settings).await;
    let started = Instant::now();
    member.leave().await.unwrap();
    let took = started.elapsed();
    assert!(
        took >= Duration::from_secs(1),
        "the broker was not missed: {took:?}"
    );
    assert!(took < SESSION / 2, "{took:?}");
}

/// It would wait for what runs on its blocking threads, however long that takes.
#[test]
fn the_end_of_a_runtime_does_not_wait_for_a_member_whose_broker_is_gone() {
    let mut cluster = cluster(1);
    let settings = LoopSettings {
        close_timeout: Duration::from_millis(10),
        ..settings()
    };
    let runtime = Runtime::new().unwrap();
    let started = runtime.block_on(async {
        let member = uncommitted(&mut cluster, settings).await;
        let started = Instant::now();
        member.leave().await.unwrap();
        started
    });
    drop(runtime);
    let took = started.elapsed();
    assert!(took < SESSION / 2, "{took:?}");
}
