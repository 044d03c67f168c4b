//! The one cluster of this program, for one test after the other.

use std::time::Duration;

use integration_tests::wait::eventually_within;
use integration_tests::{System, SystemBuilder};
use service_runtime::kafka::{
    EventProducer, KafkaConfig, KafkaProducer, NewRecord, TopicSpec, ensure_topics,
};
use test_support::containers::KafkaCluster;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

/// A broker may have to start, and then to catch up.
const JOINING: Duration = Duration::from_secs(120);

/// `KAFKA_DELIVERY_TIMEOUT` of the tests, and what an answer may take on top of it.
pub(crate) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(3);
pub(crate) const MARGIN: Duration = Duration::from_secs(3);

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
        .set("KAFKA_TOPIC_REPLICATION", "3")
        .set("KAFKA_DELIVERY_TIMEOUT", "3s")
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

/// Waits until a stranger, who has not waited before, gets a record of every partition of a topic
/// of his own acknowledged.
pub(crate) async fn serve_strangers(config: &KafkaConfig) {
    eventually_within("acknowledgement to a stranger", JOINING, || async {
        let producer = KafkaProducer::new(config).unwrap();
        let append = |partition| {
            let record = NewRecord {
                topic: config.topic.clone(),
                partition: Some(partition),
                key: None,
                headers: vec![],
                value: None,
            };
            producer.enqueue(&record).unwrap()
        };
        let acknowledged = tokio::join!(append(0), append(1), append(2));
        matches!(acknowledged, (Ok(_), Ok(_), Ok(_))).then_some(())
    })
    .await;
}

/// A stranger's topic, made while all is well.
pub(crate) async fn stranger(cluster: &KafkaCluster) -> KafkaConfig {
    let mut config = KafkaConfig::for_bootstrap(&cluster.bootstrap_servers(), "stranger");
    config.topic = format!("of-a-stranger-{}", uuid::Uuid::new_v4().simple());
    config.replication = 3;
    config.delivery_timeout = Duration::from_secs(2);
    let topics = [TopicSpec::log(&config)];
    ensure_topics(&config, &topics, JOINING).await.unwrap();
    config
}

/// Removes the cluster.
pub(crate) fn end() {
    drop(CLUSTER.blocking_lock().take());
}
