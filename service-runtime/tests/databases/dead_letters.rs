//! What is dead-lettered, and when nothing may be: a whole participant on librdkafka's mock cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use base_domains::{OrderId, OrderStatus, home_partition};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use service_runtime::database::{Database, DatabaseError, Tx};
use service_runtime::kafka::{
    EventProducer as _, KafkaProducer, LoopError, NewRecord, Record, dlt, group_lag, read_all,
};
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{
    Change, DecideError, Decider, Decision, Participant, ParticipantSettings, Parts,
};
use sqlx::AssertSqlSafe;
use test_support::{Test, TestDatabase, test};
use tokio::task::JoinHandle;

use crate::participant::{DEADLINE, PARTITIONS, World, ended, event, world};
use crate::support::{eventually, eventually_within, execute, number};

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
/// For thousands of records beside other tests.
const LONG: Duration = Duration::from_secs(120);

/// Keeps what was decided, in the order of the calls and with what else is committed then, so that a
/// transaction that was repeated counts once. Says whether anything can be decided.
#[derive(Clone)]
struct Seen {
    broken: Arc<AtomicBool>,
    calls: Arc<AtomicI64>,
    database: Database,
}

impl Decider for Seen {
    async fn decide(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        if self.broken.load(SeqCst) {
            let failed = Decision::Failed {
                code: "unknown_schema",
                reason: "é".repeat(1_000_000),
            };
            return Ok(vec![failed; changes.len()]);
        }
        let row = |change: &Change<'_>| {
            let (call, order_id) = (self.calls.fetch_add(1, SeqCst), change.order_id());
            format!("({call}, '{order_id}', '{}')", change.status)
        };
        let rows: Vec<String> = changes.iter().map(row).collect();
        let insert = format!("INSERT INTO seen VALUES {}", rows.join(", "));
        let inserted = sqlx::query(AssertSqlSafe(insert)).execute(&mut **tx).await;
        inserted.map_err(DatabaseError::from)?;
        Ok(vec![Decision::Done; changes.len()])
    }
}

impl Seen {
    async fn new(world: &World) -> Self {
        let create = "CREATE TABLE seen (call BIGINT, order_id TEXT, status TEXT)";
        execute(&world.database, create).await;
        Self {
            broken: Arc::default(),
            calls: Arc::default(),
            database: world.database.clone(),
        }
    }

    async fn broken(world: &World) -> Self {
        let seen = Self::new(world).await;
        seen.broken.store(true, SeqCst);
        seen
    }

    fn mend(&self) {
        self.broken.store(false, SeqCst);
    }

    async fn count(&self) -> usize {
        let count = number(&self.database, "SELECT COUNT(*) FROM seen").await;
        usize::try_from(count).unwrap()
    }

    /// What each order went through, by its id.
    async fn stories(&self) -> BTreeMap<String, Vec<String>> {
        let rows = sqlx::query_as("SELECT order_id, status FROM seen ORDER BY call");
        let rows: Vec<(String, String)> = rows.fetch_all(self.database.pool()).await.unwrap();
        let mut stories: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (order_id, status) in rows {
            stories.entry(order_id).or_default().push(status);
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

    /// The dead letter of each record; there may be copies of it, of work that was repeated.
    async fn letters(&self) -> Vec<Record> {
        let mut letters = read_all(&self.kafka, LETTERS, DEADLINE).await.unwrap();
        let mut seen = BTreeSet::new();
        let place = |letter: &Record| {
            [dlt::ORIGINAL_PARTITION, dlt::ORIGINAL_OFFSET]
                .map(|name| header(letter, name).to_vec())
        };
        letters.retain(|letter| seen.insert(place(letter)));
        letters
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
    let world = world(database).await;
    let seen = Seen::new(&world).await;
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
    eventually_within(LONG, "all decisions", async || {
        seen.count().await >= STORY.len() * ORDERS
    })
    .await;
    world.until_all_is_committed().await;
    running.end().await;

    let stories = seen.stories().await;
    assert_eq!(stories.len(), ORDERS);
    assert!(
        stories
            .values()
            .all(|story| *story == STORY.map(OrderStatus::as_str)),
        "each once, and in order"
    );
    let letters: BTreeSet<Original> = world.letters().await.iter().map(original).collect();
    assert_eq!(letters, bad.iter().map(as_original).collect());
    assert_eq!(world.letters().await.len(), bad.len());
}

async fn a_flood_of_unreadable_records_is_not_dead_lettered_but_waits_for_help(
    database: TestDatabase,
) {
    let world = world(database).await;
    let seen = Seen::new(&world).await;
    let running = world.reading(&seen, LIMIT);
    world.until_ready().await;
    let flood: Vec<NewRecord> = (0..2 * LIMIT as usize).map(garbage).collect();
    world.append_all(&flood).await;
    let reason = world
        .until_waiting("stopped dead-lettering after 20 records")
        .await;
    assert!(reason.contains("DEAD_LETTER_LIMIT"), "{reason}");
    let order = OrderStatus::Pending;
    world
        .append_all(&[0, 1, 2, 3].map(|n| good(n, order)))
        .await;
    assert!(!world.health.readiness().ok);
    let letters = world.letters().await.len();
    assert!(letters <= LIMIT as usize, "{letters} letters");
    let (committed, _) = world.offsets().await;
    let passed: i64 = committed.iter().sum();
    assert!(
        passed <= i64::try_from(letters).unwrap(),
        "{passed} passed, {letters} letters"
    );
    running.end().await;

    // They are garbage: an operator lets them through.
    let running = world.reading(&seen, 1_000);
    world.until_all_is_committed().await;
    eventually("the good ones", async || seen.count().await == 4).await;
    world.until_ready().await;
    running.end().await;
    let letters: BTreeSet<Original> = world.letters().await.iter().map(original).collect();
    assert_eq!(letters, flood.iter().map(as_original).collect());
}

async fn decisions_that_all_fail_wait_for_a_service_that_can_decide(database: TestDatabase) {
    let world = world(database).await;
    let seen = Seen::broken(&world).await;
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
    let stories = seen.stories().await;
    let decided: BTreeSet<Vec<u8>> = stories.into_keys().map(String::into_bytes).collect();
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
    let mut world = world(database).await;
    let seen = Seen::new(&world).await;
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
    assert_eq!(seen.count().await, 1, "what comes after it waits as well");

    ends(&world);
    world.until_ready().await;
    world.until_all_is_committed().await;
    running.end().await;
    assert_eq!(
        seen.stories().await[&id(0).to_string()],
        ["PENDING", "RESERVED"]
    );
    let letters: Vec<Original> = world.letters().await.iter().map(original).collect();
    assert_eq!(letters, [as_original(&bad)]);
}

async fn a_record_of_a_mebibyte_is_dead_lettered_with_a_short_reason(database: TestDatabase) {
    let world = world(database).await;
    let seen = Seen::broken(&world).await;
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
