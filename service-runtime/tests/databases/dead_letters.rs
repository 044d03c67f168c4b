//! What is dead-lettered, and when nothing may be: a whole participant on librdkafka's mock cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base_domains::{OrderId, OrderStatus, home_partition};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use service_runtime::database::Tx;
use service_runtime::kafka::{
    EventProducer as _, KafkaProducer, LoopError, NewRecord, Record, dlt, group_lag, read_all,
};
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{
    Change, DecideError, Decider, Decision, Participant, ParticipantSettings, Parts,
};
use test_support::{Test, TestDatabase, test};
use tokio::task::JoinHandle;

use crate::participant::{DEADLINE, PARTITIONS, World, ended, event, world};
use crate::support::eventually;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(of_ten_thousand_records_the_good_ones_are_decided_in_order_and_the_garbage_is_kept_byte_for_byte)
            .threads(2),
        test!(a_flood_of_unreadable_records_is_not_dead_lettered_but_waits_for_help).threads(2),
        test!(decisions_that_all_fail_wait_for_a_service_that_can_decide).threads(2),
        test!(nothing_is_passed_over_while_the_dead_letter_topic_is_away).threads(2),
        test!(nothing_is_passed_over_while_the_dead_letter_topic_refuses_the_record).threads(2),
        test!(a_record_of_a_mebibyte_is_dead_lettered_with_a_short_reason).threads(2),
    ]
}

const LETTERS: &str = "orders.stock.dlt";
const LIMIT: u32 = 20;

/// What was decided about, in the order of the calls, and whether anything can be.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(OrderId, OrderStatus)>>>, Arc<AtomicBool>);

impl Decider for Seen {
    async fn decide(
        &self,
        _: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        let decide = |_: &Change<'_>| {
            if self.1.load(SeqCst) {
                return Decision::Failed {
                    code: "unknown_schema",
                    reason: "é".repeat(1_000_000),
                };
            }
            Decision::Done
        };
        let decisions: Vec<Decision> = changes.iter().map(decide).collect();
        if !self.1.load(SeqCst) {
            let seen = changes
                .iter()
                .map(|change| (change.order_id(), change.status));
            self.0.lock().unwrap().extend(seen);
        }
        Ok(decisions)
    }
}

impl Seen {
    fn broken() -> Self {
        let seen = Self::default();
        seen.1.store(true, SeqCst);
        seen
    }

    fn mend(&self) {
        self.1.store(false, SeqCst);
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// What each order went through.
    fn stories(&self) -> BTreeMap<OrderId, Vec<OrderStatus>> {
        let mut stories: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (order_id, status) in self.0.lock().unwrap().iter() {
            stories.entry(*order_id).or_default().push(*status);
        }
        stories
    }
}

struct Running(Shutdown, JoinHandle<Result<(), LoopError>>);

impl Running {
    async fn end(self) {
        self.0.trigger();
        ended(self.1).await.unwrap();
    }
}

impl World {
    /// A participant that has its partitions: what comes from now on is no history.
    fn reading(&self, decider: &Seen, dead_letter_limit: u32) -> Running {
        let participant = Participant::new(Parts {
            name: "stock",
            writer: "stock-service",
            log_name: None,
            decider: decider.clone(),
            database: self.database.clone(),
            kafka: self.kafka.clone(),
            producer: self.producer.clone(),
            settings: ParticipantSettings {
                dead_letter_limit,
                ..ParticipantSettings::for_group("stock")
            },
            health: self.health.clone(),
        });
        let shutdown = Shutdown::new();
        Running(shutdown.clone(), tokio::spawn(participant.run(shutdown)))
    }

    async fn until_ready(&self) {
        eventually("readiness", async || self.health.readiness().ok).await;
    }

    /// Why it waits, once it does, for a reason that says this.
    async fn until_waiting(&self, because: &str) -> String {
        let said = || {
            let report = self.health.readiness();
            let reasons = report.components.into_values();
            reasons
                .filter_map(|one| one.reason)
                .find(|reason| reason.contains(because))
        };
        eventually(because, async || said().is_some()).await;
        said().unwrap()
    }

    async fn letters(&self) -> Vec<Record> {
        read_all(&self.kafka, LETTERS, DEADLINE).await.unwrap()
    }

    /// The offsets that are committed, and those where the log ends.
    async fn offsets(&self) -> (Vec<i64>, Vec<i64>) {
        let lags = group_lag(&self.kafka, "stock", DEADLINE).await.unwrap();
        let committed = lags.iter().map(|lag| lag.committed.unwrap_or(0));
        (
            committed.collect(),
            lags.iter().map(|lag| lag.end).collect(),
        )
    }

    async fn until_all_is_committed(&self) {
        eventually("the end of the log is committed", async || {
            let (committed, ends) = self.offsets().await;
            committed == ends
        })
        .await;
    }

    /// Appends all, acknowledged, each key's in this order.
    async fn append_all(&self, records: &[NewRecord]) {
        for chunk in records.chunks(1_000) {
            let queue = |record| self.producer.enqueue(record).unwrap();
            let deliveries: Vec<_> = chunk.iter().map(queue).collect();
            for delivery in deliveries {
                delivery.await.unwrap();
            }
        }
    }
}

fn id(key: usize) -> OrderId {
    OrderId::from_idempotency_key("test", &key.to_string())
}

fn good(order: usize, status: OrderStatus) -> NewRecord {
    NewRecord::event("orders", &event(id(order), status, "order-service"))
}

/// Garbage of several kinds, none like another.
fn garbage(n: usize) -> NewRecord {
    let tail = format!("{n} \r\n\u{1b}[31m\0");
    let value = match n % 4 {
        0 => [b"\xff\xfe\0".as_slice(), tail.as_bytes()].concat(),
        1 => [b"{\"status\":".as_slice(), tail.as_bytes()].concat(),
        2 => Vec::new(),
        _ => b"[".repeat(n + 1),
    };
    NewRecord {
        topic: "orders".to_owned(),
        partition: Some(i32::try_from(n).unwrap() % PARTITIONS),
        key: (!n.is_multiple_of(3)).then(|| format!("key {n}").into_bytes()),
        headers: vec![("of a stranger".to_owned(), tail.into_bytes())],
        value: (n % 8 != 2).then_some(value),
    }
}

/// What the original of a dead letter was: all but the headers that were added.
type Original = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Vec<u8>)>);

fn original(record: &Record) -> Original {
    let mine = record.headers.iter();
    let mine = mine.filter(|(name, _)| !dlt::ALL.contains(&name.as_str()));
    (
        record.key.clone(),
        record.value.clone(),
        mine.cloned().collect(),
    )
}

fn as_original(record: &NewRecord) -> Original {
    (
        record.key.clone(),
        record.value.clone(),
        record.headers.clone(),
    )
}

fn header<'a>(letter: &'a Record, name: &str) -> &'a [u8] {
    let found = letter.headers.iter().find(|(header, _)| header == name);
    &found.unwrap().1
}

async fn of_ten_thousand_records_the_good_ones_are_decided_in_order_and_the_garbage_is_kept_byte_for_byte(
    database: TestDatabase,
) {
    const STORY: [OrderStatus; 3] = [
        OrderStatus::Pending,
        OrderStatus::Reserved,
        OrderStatus::Paid,
    ];
    const ORDERS: usize = 3_300;
    let (world, seen) = (world(database).await, Seen::default());
    let running = world.reading(
        &seen,
        ParticipantSettings::for_group("stock").dead_letter_limit,
    );
    world.until_ready().await;
    let mut records = Vec::new();
    let mut bad = Vec::new();
    for n in 0..10_000 {
        if n % 100 == 50 {
            bad.push(garbage(n));
            records.push(garbage(n));
        } else {
            // A hundred orders at a time, each of them step by step.
            let good_ones = n - (n + 49) / 100;
            let (block, place) = (good_ones / 300, good_ones % 300);
            records.push(good(block * 100 + place % 100, STORY[place / 100]));
        }
    }
    assert_eq!((records.len(), bad.len()), (10_000, 100));
    world.append_all(&records).await;
    eventually("all decisions", async || {
        seen.count() >= STORY.len() * ORDERS
    })
    .await;
    world.until_all_is_committed().await;
    running.end().await;

    let stories = seen.stories();
    assert_eq!(stories.len(), ORDERS);
    assert!(
        stories.values().all(|story| *story == STORY),
        "each once, and in order"
    );
    let letters: BTreeSet<Original> = world.letters().await.iter().map(original).collect();
    assert_eq!(letters, bad.iter().map(as_original).collect());
    assert_eq!(world.letters().await.len(), bad.len());
}

async fn a_flood_of_unreadable_records_is_not_dead_lettered_but_waits_for_help(
    database: TestDatabase,
) {
    let (world, seen) = (world(database).await, Seen::default());
    let running = world.reading(&seen, LIMIT);
    world.until_ready().await;
    // In one partition, with what comes before it: of several it is chance which is polled first.
    let in_the_first = |mut record: NewRecord| {
        record.partition = Some(0);
        record
    };
    let flood = (0..2 * LIMIT as usize).map(garbage).map(in_the_first);
    let flood: Vec<NewRecord> = flood.collect();
    let order = OrderStatus::Pending;
    let at_home = (10..).filter(|n| home_partition(id(*n), PARTITIONS) == 0);
    let before: Vec<NewRecord> = at_home.take(4).map(|n| good(n, order)).collect();
    world
        .append_all(&[before.as_slice(), &flood].concat())
        .await;
    let reason = world
        .until_waiting("stopped dead-lettering after 20 records")
        .await;
    assert!(reason.contains("DEAD_LETTER_LIMIT"), "{reason}");
    world
        .append_all(&[0, 1, 2, 3].map(|n| good(n, order)))
        .await;
    assert!(!world.health.readiness().ok);
    assert_eq!(seen.count(), before.len());
    assert_eq!(world.letters().await.len(), LIMIT as usize);
    let passed = before.len() as i64 + i64::from(LIMIT);
    eventually("what is done is committed", async || {
        let (committed, _) = world.offsets().await;
        committed.iter().sum::<i64>() == passed
    })
    .await;
    running.end().await;

    // They are garbage: an operator lets them through.
    let running = world.reading(&seen, 1_000);
    world.until_all_is_committed().await;
    eventually("the good ones", async || seen.count() == 8).await;
    world.until_ready().await;
    running.end().await;
    let letters = world.letters().await;
    assert_eq!(letters.len(), flood.len(), "each once");
    let letters: BTreeSet<Original> = letters.iter().map(original).collect();
    assert_eq!(letters, flood.iter().map(as_original).collect());
}

async fn decisions_that_all_fail_wait_for_a_service_that_can_decide(database: TestDatabase) {
    let (world, seen) = (world(database).await, Seen::broken());
    let running = world.reading(&seen, LIMIT);
    world.until_ready().await;
    let orders = 100;
    let pending: Vec<NewRecord> = (0..orders).map(|n| good(n, OrderStatus::Pending)).collect();
    world.append_all(&pending).await;
    let reason = world
        .until_waiting("next is unknown_schema at offset")
        .await;
    assert!(reason.len() < 300, "{reason}");
    let letters = world.letters().await;
    assert!(letters.len() <= LIMIT as usize, "{} letters", letters.len());
    let (committed, ends) = world.offsets().await;
    assert!(committed.iter().sum::<i64>() <= i64::try_from(letters.len()).unwrap());
    assert_eq!(ends.iter().sum::<i64>(), i64::try_from(orders).unwrap());

    seen.mend();
    world.until_ready().await;
    world.until_all_is_committed().await;
    running.end().await;
    let lettered: BTreeSet<Vec<u8>> = letters.iter().filter_map(|one| one.key.clone()).collect();
    let decided: BTreeSet<Vec<u8>> = seen
        .stories()
        .keys()
        .map(|id| id.to_string().into_bytes())
        .collect();
    assert_eq!(decided.len() + lettered.len(), orders);
    assert!(decided.is_disjoint(&lettered));
    assert_eq!(world.letters().await.len(), letters.len());
}

async fn nothing_is_passed_over_while_the_dead_letter_topic_is_away(database: TestDatabase) {
    let becomes = |world: &World, error| world.mock.topic_error(LETTERS, error).unwrap();
    held_up_while(
        database,
        |world| {
            becomes(
                world,
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
            )
        },
        "no acknowledgement from the broker",
        |world| becomes(world, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR),
    )
    .await;
}

async fn nothing_is_passed_over_while_the_dead_letter_topic_refuses_the_record(
    database: TestDatabase,
) {
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 1_000];
    held_up_while(
        database,
        |world| world.mock.request_errors(RDKafkaApiKey::Produce, &refusals),
        "the record was refused",
        |world| world.mock.clear_request_errors(RDKafkaApiKey::Produce),
    )
    .await;
}

/// One record is garbage, and for a while its dead letter cannot be written.
async fn held_up_while(
    database: TestDatabase,
    begins: impl Fn(&World),
    because: &str,
    ends: impl Fn(&World),
) {
    let (mut world, seen) = (world(database).await, Seen::default());
    world.kafka.delivery_timeout = Duration::from_secs(2);
    world.producer = KafkaProducer::new(&world.kafka).unwrap();
    let running = world.reading(&seen, LIMIT);
    world.until_ready().await;
    world.append_all(&[good(0, OrderStatus::Pending)]).await;
    world.until_all_is_committed().await;
    running.end().await;
    let (before, _) = world.offsets().await;
    let mut bad = garbage(1);
    bad.partition = Some(home_partition(id(0), PARTITIONS));
    world
        .append_all(&[bad.clone(), good(0, OrderStatus::Reserved)])
        .await;

    begins(&world);
    let running = world.reading(&seen, LIMIT);
    world.until_waiting(because).await;
    assert_eq!(world.offsets().await.0, before);
    assert_eq!(seen.count(), 1, "what comes after it waits as well");

    ends(&world);
    world.until_ready().await;
    world.until_all_is_committed().await;
    running.end().await;
    assert_eq!(
        seen.stories()[&id(0)],
        [OrderStatus::Pending, OrderStatus::Reserved]
    );
    let letters: Vec<Original> = world.letters().await.iter().map(original).collect();
    assert_eq!(letters, [as_original(&bad)]);
}

async fn a_record_of_a_mebibyte_is_dead_lettered_with_a_short_reason(database: TestDatabase) {
    let (world, seen) = (world(database).await, Seen::broken());
    let running = world.reading(&seen, LIMIT);
    world.until_ready().await;
    let mut large = good(0, OrderStatus::Pending);
    let noise = (0..1 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8);
    large.value = Some(noise.collect());
    world.append_all(std::slice::from_ref(&large)).await;
    world.until_all_is_committed().await;
    running.end().await;
    let letters = world.letters().await;
    assert_eq!(
        letters.iter().map(original).collect::<Vec<_>>(),
        [as_original(&large)]
    );
    let reason = header(&letters[0], dlt::EXCEPTION_MESSAGE);
    assert_eq!(std::str::from_utf8(reason).unwrap(), "é".repeat(512));
    assert_eq!(header(&letters[0], dlt::EXCEPTION_FQCN), b"unknown_schema");
}
