//! The embedded broker as an ordinary Kafka client sees it: what the services need from any
//! broker, checked with the client library they use.

// Helpers outside test functions are not covered by the `allow-*-in-tests` settings of clippy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// The broker is tested as a stranger would use it, not through our own client settings.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use quickstart::embedded::{EmbeddedBroker, EmbeddedBrokerError};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, Offset};
use tokio::time::timeout;

const TOPIC: &str = "orders";
const PARTITIONS: i32 = 3;
/// For every single wait.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a consumer saw: (partition, offset, key).
type Seen = BTreeSet<(i32, i64, String)>;

#[tokio::test]
async fn a_group_reads_every_record_and_its_next_member_continues_after_the_commit() {
    let broker = EmbeddedBroker::start(0).unwrap();
    create_topic(&broker).await;
    let delivered = produce(&broker, 0..1000).await;
    assert_eq!(delivered.len(), 1000);

    let first = join(&broker, "readers");
    let seen = read(&first, 1000).await;
    assert_eq!(seen, delivered);
    drop(first);

    let delivered = produce(&broker, 1000..1050).await;
    let second = join(&broker, "readers");
    let seen = read(&second, 50).await;
    assert_eq!(seen, delivered);
    second
        .commit_consumer_state(rdkafka::consumer::CommitMode::Sync)
        .unwrap();

    let committed = second.committed(DEADLINE).unwrap();
    let mut total = 0;
    for partition in 0..PARTITIONS {
        let (low, high) = second.fetch_watermarks(TOPIC, partition, DEADLINE).unwrap();
        assert_eq!(low, 0);
        let next = committed.find_partition(TOPIC, partition).unwrap().offset();
        assert_eq!(next, Offset::Offset(high), "partition {partition}");
        total += high;
    }
    assert_eq!(total, 1050);
    // In this order: librdkafka waits for the list before it ends the consumer, and a consumer
    // cannot leave its group without the broker.
    drop(committed);
    drop(second);
    broker.stop().unwrap();
}

#[tokio::test]
async fn two_members_of_a_group_share_the_partitions_and_read_each_record_once() {
    let broker = EmbeddedBroker::start(0).unwrap();
    create_topic(&broker).await;
    let one = join(&broker, "pair");
    let other = join(&broker, "pair");
    let shared = async {
        while one.assignment().unwrap().count() == 0 || other.assignment().unwrap().count() == 0 {
            // No record is there yet: only the rebalance is driven.
            for member in [&one, &other] {
                assert!(
                    timeout(Duration::from_millis(20), member.recv())
                        .await
                        .is_err()
                );
            }
        }
    };
    timeout(DEADLINE, shared)
        .await
        .expect("both members have partitions");

    let delivered = produce(&broker, 0..300).await;
    let mut seen = Seen::new();
    while seen.len() < delivered.len() {
        let message = timeout(DEADLINE, async {
            tokio::select! {
                message = one.recv() => message,
                message = other.recv() => message,
            }
        });
        let message = message
            .await
            .expect("a record within the deadline")
            .unwrap();
        assert!(
            seen.insert(position(&message)),
            "read twice: {:?}",
            position(&message)
        );
    }
    assert_eq!(seen, delivered);
}

#[tokio::test]
async fn records_of_one_key_stay_in_one_partition_in_the_order_they_were_sent() {
    let broker = EmbeddedBroker::start(0).unwrap();
    create_topic(&broker).await;
    let producer = producer(&broker);
    let mut homes = BTreeMap::new();
    for round in 0..10 {
        for key in ["a", "b", "c", "d", "e"] {
            let value = round.to_string();
            let record = FutureRecord::to(TOPIC).key(key).payload(&value);
            let delivery = producer.send(record, DEADLINE).await.unwrap();
            let (home, last) = homes.entry(key).or_insert((delivery.partition, -1));
            assert_eq!(delivery.partition, *home, "key {key}");
            assert!(delivery.offset > *last, "key {key}");
            *last = delivery.offset;
        }
    }
    assert_eq!(homes.len(), 5);
}

/// A broker that shows the end of its log before the records up to there can be read lets a reader
/// go past them for good.
#[tokio::test]
async fn readers_miss_no_record_while_many_producers_append_to_their_partition() {
    const PRODUCERS: usize = 8;
    const RECORDS: i64 = 3000;
    let broker = EmbeddedBroker::start(0).unwrap();
    create_topic(&broker).await;
    let reading: Vec<_> = (0..4)
        .map(|group| {
            let reader = join(&broker, &format!("readers-{group}"));
            tokio::spawn(async move {
                for expected in 0..RECORDS {
                    let message = timeout(DEADLINE, reader.recv()).await;
                    let message = message.expect("a record within the deadline").unwrap();
                    assert_eq!(message.offset(), expected, "the next record of the log");
                }
            })
        })
        .collect();

    let producing: Vec<_> = (0..PRODUCERS)
        .map(|_| {
            // One record per request, so that as many appends as possible meet.
            let producer: FutureProducer = client(&broker)
                .set("acks", "all")
                .set("enable.idempotence", "true")
                .set("linger.ms", "0")
                .set("batch.num.messages", "1")
                .create()
                .unwrap();
            tokio::spawn(async move {
                for _ in 0..RECORDS / PRODUCERS as i64 {
                    let record = FutureRecord::to(TOPIC)
                        .partition(0)
                        .key("order")
                        .payload("{}");
                    producer.send(record, DEADLINE).await.unwrap();
                }
            })
        })
        .collect();
    for task in producing.into_iter().chain(reading) {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn each_broker_is_a_new_cluster_with_an_empty_log() {
    let first = EmbeddedBroker::start(0).unwrap();
    create_topic(&first).await;
    let port = first.port();
    let first_id = cluster_id(&first);
    first.stop().unwrap();

    let second = EmbeddedBroker::start(port).expect("the port is free again after a stop");
    assert_eq!(second.port(), port);
    assert_ne!(cluster_id(&second), first_id);
    let metadata = admin(&second)
        .inner()
        .fetch_metadata(None, DEADLINE)
        .unwrap();
    assert_eq!(metadata.topics().len(), 0);
}

#[test]
fn a_second_broker_on_the_same_port_fails_and_names_the_port() {
    let broker = EmbeddedBroker::start(0).unwrap();
    let port = broker.port();
    let error = EmbeddedBroker::start(port).unwrap_err();
    assert!(matches!(error, EmbeddedBrokerError::PortInUse { port: named } if named == port));
    assert_eq!(
        error.to_string(),
        format!(
            "port {port} on 127.0.0.1 is already in use: stop what listens there or choose another port"
        )
    );
    assert!(
        TcpStream::connect(broker.bootstrap_servers()).is_ok(),
        "the first one goes on"
    );
}

#[test]
fn the_port_accepts_connections_from_start_to_stop_and_not_after() {
    let broker = EmbeddedBroker::start(0).unwrap();
    let address = broker.bootstrap_servers().to_owned();
    assert_eq!(address, format!("127.0.0.1:{}", broker.port()));
    let open = TcpStream::connect(&address).expect("ready when start returns");
    let before = Instant::now();
    broker.stop().unwrap();
    assert!(
        before.elapsed() < Duration::from_secs(5),
        "an open connection does not hold it up"
    );
    assert!(TcpStream::connect(&address).is_err());
    drop(open);

    let dropped = EmbeddedBroker::start(0).unwrap();
    let address = dropped.bootstrap_servers().to_owned();
    drop(dropped);
    assert!(TcpStream::connect(&address).is_err());
}

#[tokio::test]
async fn a_broker_can_be_started_and_dropped_inside_a_runtime() {
    let broker = EmbeddedBroker::start(0).unwrap();
    create_topic(&broker).await;
    drop(broker);
}

fn client(broker: &EmbeddedBroker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap_servers());
    config
}

fn admin(broker: &EmbeddedBroker) -> AdminClient<DefaultClientContext> {
    client(broker).create().unwrap()
}

fn producer(broker: &EmbeddedBroker) -> FutureProducer {
    client(broker)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap()
}

fn cluster_id(broker: &EmbeddedBroker) -> String {
    admin(broker)
        .inner()
        .fetch_cluster_id(DEADLINE)
        .expect("a cluster id")
}

async fn create_topic(broker: &EmbeddedBroker) {
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(DEADLINE));
    let results = admin(broker)
        .create_topics([&topic], &options)
        .await
        .unwrap();
    assert_eq!(results, [Ok(TOPIC.to_owned())]);
}

/// Produces one record per number and returns where the broker put them.
async fn produce(broker: &EmbeddedBroker, numbers: std::ops::Range<u32>) -> Seen {
    let producer = producer(broker);
    let keys: Vec<String> = numbers.map(|number| format!("order-{number}")).collect();
    let sent: Vec<_> = keys
        .iter()
        .map(|key| {
            producer
                .send_result(FutureRecord::to(TOPIC).key(key).payload("{}"))
                .unwrap()
        })
        .collect();
    let mut delivered = Seen::new();
    for (key, delivery) in keys.iter().zip(sent) {
        let delivery = delivery.await.unwrap().unwrap();
        assert!(delivered.insert((delivery.partition, delivery.offset, key.clone())));
    }
    delivered
}

fn join(broker: &EmbeddedBroker, group: &str) -> StreamConsumer {
    let consumer: StreamConsumer = client(broker)
        .set("group.id", group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.offset.store", "false")
        .set("fetch.wait.max.ms", "10")
        // By a heartbeat a member learns of a rebalance.
        .set("heartbeat.interval.ms", "200")
        .create()
        .unwrap();
    consumer.subscribe(&[TOPIC]).unwrap();
    consumer
}

/// Reads `count` records, stores their offsets, and fails on one that comes twice.
async fn read(consumer: &StreamConsumer, count: usize) -> Seen {
    let mut seen = Seen::new();
    while seen.len() < count {
        let message = timeout(DEADLINE, consumer.recv()).await;
        let message = message.expect("a record within the deadline").unwrap();
        assert!(
            seen.insert(position(&message)),
            "read twice: {:?}",
            position(&message)
        );
        consumer.store_offset_from_message(&message).unwrap();
    }
    seen
}

fn position(message: &impl Message) -> (i32, i64, String) {
    let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
    (message.partition(), message.offset(), key)
}
