//! The one cluster of this program, for one test after the other.

use std::time::Duration;

use integration_tests::aftermath::DELIVERY_TIMEOUT;
use integration_tests::wait::eventually_within;
use integration_tests::{System, SystemBuilder};
use test_support::containers::KafkaCluster;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

/// A broker may have to start, and then to catch up.
const JOINING: Duration = Duration::from_secs(120);

/// A static is never dropped, so [`end`] takes it out.
static CLUSTER: Mutex<Option<KafkaCluster>> = Mutex::const_new(None);

/// The cluster, of which all brokers run, and nobody else has.
pub(crate) async fn whole() -> MappedMutexGuard<'static, KafkaCluster> {
    let mut cluster = CLUSTER.lock().await;
    if cluster.is_none() {
        *cluster = Some(KafkaCluster::start().expect("three brokers in containers"));
    }
    let cluster = MutexGuard::map(cluster, |cluster| cluster.as_mut().unwrap());
    for node in cluster.nodes() {
        // Another test may have failed while one was down.
        cluster.start_again(node).unwrap();
    }
    cluster
}

/// A system whose topics have three replicas.
pub(crate) async fn system_on(cluster: &KafkaCluster) -> System {
    let system = SystemBuilder::new()
        .on(&cluster.bootstrap_servers())
        .keep_mail()
        .set("KAFKA_TOPIC_REPLICATION", "3")
        .set("KAFKA_DELIVERY_TIMEOUT", DELIVERY_TIMEOUT)
        .start()
        .await;
    all_in_sync(&system).await;
    system
}

/// Waits until every broker has all of every partition of the log.
pub(crate) async fn all_in_sync(system: &System) {
    eventually_within("three brokers in sync", JOINING, || async {
        let placements = system.log.placements().await?;
        let whole = placements.len() == 3
            && placements
                .iter()
                .all(|placement| placement.in_sync.len() == 3 && placement.leader.is_some());
        whole.then_some(())
    })
    .await;
}

/// The broker that leads partition 0, unless it is `but`.
pub(crate) async fn leader(system: &System, but: Option<i32>) -> i32 {
    eventually_within("leader of partition 0", JOINING, || async {
        let placements = system.log.placements().await?;
        placements
            .first()?
            .leader
            .filter(|leader| Some(*leader) != but)
    })
    .await
}

/// Removes the cluster.
pub(crate) fn end() {
    drop(CLUSTER.blocking_lock().take());
}
