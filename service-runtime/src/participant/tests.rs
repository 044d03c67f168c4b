//! The participant on SQLite with a recording producer: every rule it keeps. What hangs on the
//! database is tested on PostgreSQL as well, in `tests/databases/participant.rs`.

mod limits;
mod locking;
mod long_batches;
mod replay;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base_domains::{Encoder, OrderEvent, OrderId, OrderStatus, WireOrder, header, home_partition};
use tokio::time::Instant;

use super::sweep::PartitionSweep;
use super::*;
use crate::database::{DatabaseConfig, Tx};
use crate::kafka::{
    BatchHandler, Delivered, Delivery, EventProducer, NewRecord, ProduceError, Record,
};
use crate::telemetry::{install_metrics, metrics_text};

pub(super) const PARTITIONS: i32 = 3;

/// Keeps what is produced; can refuse a topic.
#[derive(Default)]
struct Recorder {
    sent: Mutex<Vec<NewRecord>>,
    refused_topic: Mutex<Option<String>>,
}

impl Recorder {
    fn refuse(&self, topic: Option<&str>) {
        *self.refused_topic.lock().unwrap() = topic.map(str::to_owned);
    }

    fn sent_to(&self, topic: &str) -> Vec<NewRecord> {
        let sent = self.sent.lock().unwrap();
        sent.iter().filter(|r| r.topic == topic).cloned().collect()
    }
}

impl EventProducer for Recorder {
    fn enqueue(&self, record: &NewRecord) -> Result<Delivery, ProduceError> {
        if self.refused_topic.lock().unwrap().as_deref() == Some(record.topic.as_str()) {
            let down = ProduceError::Unknown("down for the test".to_owned());
            return Ok(Box::pin(async move { Err(down) }));
        }
        self.sent.lock().unwrap().push(record.clone());
        Ok(Box::pin(async {
            Ok(Delivered {
                partition: 0,
                offset: 0,
            })
        }))
    }
}

/// Reserves every pending order that is not `sold out`; other names make it misbehave.
#[derive(Default)]
struct Reserve {
    calls: AtomicUsize,
    /// Calls that said that history is among the changes.
    histories: AtomicUsize,
    fixed: AtomicBool,
    /// Every decision takes so long.
    pause: Mutex<Duration>,
    /// After the next commit, what was stored there is lost.
    forget: Mutex<Option<DatabaseConfig>>,
}

impl Decider for Arc<Reserve> {
    async fn decide(
        &self,
        _: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        let mut decisions = Vec::new();
        let pause = *self.pause.lock().unwrap();
        tokio::time::sleep(pause).await;
        for change in changes {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let event = match change.event() {
                Ok(event) => event,
                Err(error) => {
                    decisions.push(Decision::unreadable(&error));
                    continue;
                }
            };
            let fixed = self.fixed.load(Ordering::SeqCst);
            match event.order.name.as_str() {
                "bug" if !fixed => return Err(DecideError::Bug("a bug".to_owned())),
                "panic" if !fixed => panic!("a panic of the test"),
                "unwritable" => decisions.push(Decision::Append(OrderEvent::new(
                    OrderStatus::Pending,
                    event.order,
                ))),
                "sold out" if change.status == OrderStatus::Pending => decisions.push(
                    Decision::Append(OrderEvent::new(OrderStatus::Rejected, event.order)),
                ),
                _ if change.status == OrderStatus::Pending => decisions.push(Decision::Append(
                    OrderEvent::new(OrderStatus::Reserved, event.order),
                )),
                _ => decisions.push(Decision::Done),
            }
        }
        Ok(decisions)
    }

    async fn decide_history(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        self.histories.fetch_add(1, Ordering::SeqCst);
        self.decide(tx, changes).await
    }

    fn committed(&self, _: &[Change<'_>]) {
        let Some(config) = self.forget.lock().unwrap().take() else {
            return;
        };
        let forget = async move {
            let database = Database::open(&config).unwrap();
            let sql = "UPDATE participant_orders SET outcome = ''";
            sqlx::query(sql).execute(database.pool()).await.unwrap();
            database.close().await;
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let forgetting = std::thread::spawn(move || runtime.block_on(forget));
        forgetting.join().unwrap();
    }
}

struct World {
    shared: Arc<Shared<Arc<Reserve>>>,
    decider: Arc<Reserve>,
    log: Arc<Recorder>,
    config: DatabaseConfig,
    _folder: Option<tempfile::TempDir>,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let mut world = world_on(&format!("sqlite://{}", file.display())).await;
    world._folder = Some(folder);
    world
}

async fn world_on(url: &str) -> World {
    let config = DatabaseConfig::new(url);
    let database = Database::open(&config).unwrap();
    database.migrate(&[]).await.unwrap();
    let kafka = KafkaConfig::for_bootstrap("127.0.0.1:1", "test");
    let decider = Arc::new(Reserve::default());
    let participant = Participant::new(Parts {
        name: "stock",
        writer: "stock-service",
        log_name: None,
        decider: Arc::clone(&decider),
        database,
        producer: KafkaProducer::new(&kafka).unwrap(),
        kafka,
        settings: ParticipantSettings {
            max_defects: 3,
            ..ParticipantSettings::for_group("stock")
        },
        health: Health::new(&Shutdown::new()),
    });
    let log = Arc::new(Recorder::default());
    let mut shared = Arc::try_unwrap(participant.shared).unwrap();
    let producer = Arc::clone(&log) as Arc<dyn EventProducer>;
    shared.appender.producer = Arc::clone(&producer);
    shared.dead_letters = DeadLetters::new(producer, "orders", "stock");
    shared
        .identity
        .set(LogIdentity {
            cluster_id: "test".to_owned(),
            topic: "orders".to_owned(),
            partitions: PARTITIONS,
        })
        .unwrap();
    World {
        shared: Arc::new(shared),
        decider,
        log,
        config,
        _folder: None,
    }
}

/// For those who do not look at it.
fn heart() -> Component {
    Health::new(&Shutdown::new()).component("consumer")
}

impl World {
    /// So many letters may there be.
    fn limited(&mut self, letters: u32) {
        let shared = Arc::get_mut(&mut self.shared).unwrap();
        shared.settings.dead_letter_limit = letters;
    }

    async fn handle(&self, records: &[Record]) -> Result<(), Interruption> {
        self.handler().handle(records).await
    }

    fn handler(&self) -> handler::Handler<Arc<Reserve>> {
        handler::Handler::new(Arc::clone(&self.shared), heart())
    }

    async fn row(&self, order_id: OrderId) -> plan::OrderRow {
        let mut tx = self.shared.database.begin().await.unwrap();
        let wanted = BTreeMap::from([(order_id, 0)]);
        let mut rows = self
            .shared
            .store
            .lock_orders(&mut tx, &wanted)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        rows.remove(&order_id).unwrap()
    }
}

pub(super) fn order(key: &str) -> OrderId {
    OrderId::from_idempotency_key("test", key)
}

pub(super) fn named(order_id: OrderId, name: &str, status: OrderStatus, offset: i64) -> Record {
    written(order_id, name, status, offset, "order-service")
}

fn written(
    order_id: OrderId,
    name: &str,
    status: OrderStatus,
    offset: i64,
    writer: &str,
) -> Record {
    let wire = WireOrder {
        order_id,
        name: name.to_owned(),
        qty: 5,
        price: 10000.0,
        email: None,
        items: None,
    };
    let encoder = Encoder {
        writer: writer.to_owned(),
        type_id: None,
    };
    let encoded = encoder
        .encode(
            &OrderEvent::new(status, wire),
            jiff::Timestamp::UNIX_EPOCH,
            None,
        )
        .unwrap();
    Record {
        partition: home_partition(order_id, PARTITIONS),
        offset,
        timestamp: Some(0),
        key: Some(encoded.key.clone().into_bytes()),
        headers: encoded.header_bytes(),
        value: Some(encoded.value.into_bytes()),
    }
}

fn pending(key: &str, offset: i64) -> Record {
    named(order(key), "book order", OrderStatus::Pending, offset)
}

/// What the log would give back for `sent`.
fn read_back(sent: &NewRecord, order_id: OrderId, offset: i64) -> Record {
    Record {
        partition: home_partition(order_id, PARTITIONS),
        offset,
        timestamp: Some(0),
        key: sent.key.clone(),
        headers: sent.headers.clone(),
        value: sent.value.clone(),
    }
}

async fn an_effective_event_is_decided_stored_and_published(world: World) {
    world.handle(&[pending("a", 7)]).await.unwrap();
    let sent = world.log.sent_to("orders");
    assert_eq!(sent.len(), 1);
    let event = OrderEvent::from_json(sent[0].value.as_deref().unwrap()).unwrap();
    assert_eq!(event.order.order_id, order("a"));
    assert_eq!(event.status.as_str(), "RESERVED");
    let row = world.row(order("a")).await;
    assert_eq!(row.state.status(), Some(OrderStatus::Pending));
    assert!(row.unconfirmed());
    let partition = home_partition(order("a"), PARTITIONS);
    let position = world
        .shared
        .store
        .position(&world.shared.database, partition);
    assert_eq!(position.await.unwrap(), 8);
}

/// One query less per batch: its own outcomes are still in memory.
async fn a_new_outcome_is_published_without_being_read_from_the_database(world: World) {
    *world.decider.forget.lock().unwrap() = Some(world.config.clone());
    world.handle(&[pending("a", 7)]).await.unwrap();
    assert_eq!(world.log.sent_to("orders").len(), 1);
    // What is repeated comes from there.
    world
        .handle(&[pending("a", 7), pending("b", 8)])
        .await
        .unwrap();
    let sent = world.log.sent_to("orders");
    let keys: Vec<_> = sent
        .iter()
        .map(|record| record.key.clone().unwrap())
        .collect();
    assert_eq!(
        keys,
        ["a", "b"].map(|key| order(key).to_string().into_bytes())
    );
}

async fn a_repeated_cause_publishes_the_same_bytes_without_deciding_again(world: World) {
    world.handle(&[pending("a", 7)]).await.unwrap();
    world.handle(&[pending("a", 7)]).await.unwrap();
    let sent = world.log.sent_to("orders");
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    assert_eq!(world.decider.calls.load(Ordering::SeqCst), 1);
}

async fn an_outcome_that_was_read_back_is_confirmed_and_never_published_again(world: World) {
    world.handle(&[pending("a", 7)]).await.unwrap();
    let reserved = read_back(&world.log.sent_to("orders")[0], order("a"), 8);
    world.handle(&[reserved]).await.unwrap();
    assert!(!world.row(order("a")).await.unconfirmed());
    world.handle(&[pending("a", 9)]).await.unwrap();
    assert_eq!(world.log.sent_to("orders").len(), 1);
}

async fn a_failed_publish_interrupts_and_the_same_batch_publishes_what_was_stored(world: World) {
    world.log.refuse(Some("orders"));
    let error = world.handle(&[pending("a", 7)]).await.unwrap_err();
    assert!(matches!(error, Interruption::Unavailable(_)), "{error:?}");
    assert!(world.row(order("a")).await.unconfirmed());
    world.log.refuse(None);
    world.handle(&[pending("a", 7)]).await.unwrap();
    assert_eq!(world.log.sent_to("orders").len(), 1);
    assert_eq!(world.decider.calls.load(Ordering::SeqCst), 1);
}

/// Rule R1: rows exist and are locked before the fold, so of two instances that handle the same
/// event at once only one decides.
async fn two_instances_that_handle_one_event_at_once_decide_once(world: World) {
    let connections = Database::open(&world.config).unwrap();
    let mut other = handler::Handler::new(Arc::new(world.shared.clone_on(connections)), heart());
    for round in 0..20 {
        let records = [pending(&format!("race {round}"), round)];
        let (first, second) = tokio::join!(world.handle(&records), other.handle(&records));
        first.unwrap();
        second.unwrap();
    }
    assert_eq!(world.decider.calls.load(Ordering::SeqCst), 20);
}

impl Shared<Arc<Reserve>> {
    /// The same participant in another process: with connections of its own.
    fn clone_on(&self, database: Database) -> Self {
        let producer = Arc::clone(&self.appender.producer);
        Self {
            name: self.name,
            log_name: self.log_name,
            group: self.group.clone(),
            topic: self.topic.clone(),
            decider: Arc::clone(&self.decider),
            store: self.store.clone(),
            appender: Appender {
                database: database.clone(),
                ..self.appender.clone()
            },
            database,
            dead_letters: DeadLetters::new(producer, "orders", "stock"),
            log_ends: self.log_ends.clone(),
            progress: Progress::default(),
            quiet: Quiet::default(),
            settings: self.settings.clone(),
            log_health: Health::new(&Shutdown::new()).component("other"),
            identity: Arc::clone(&self.identity),
        }
    }
}

/// Rule R2: a decision that fails keeps its fold, and a redrive to this group runs it again.
async fn a_failed_decision_keeps_the_fold_and_a_redrive_decides_from_the_row(world: World) {
    let mut unreadable = pending("a", 7);
    unreadable.value = Some(b"{garbage".to_vec());
    world
        .handle(&[unreadable.clone(), pending("b", 8)])
        .await
        .unwrap();
    let row = world.row(order("a")).await;
    assert_eq!(row.state.status(), Some(OrderStatus::Pending));
    assert!(row.failed);
    let letters = world.log.sent_to("orders.stock.dlt");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value, unreadable.value);
    assert_eq!(
        world.log.sent_to("orders").len(),
        1,
        "order b is not held up"
    );

    let mut redrive = pending("a", 9);
    redrive
        .headers
        .push((header::REDRIVE_GROUP.to_owned(), b"stock".to_vec()));
    world.handle(&[redrive.clone()]).await.unwrap();
    world.handle(&[redrive]).await.unwrap();
    let row = world.row(order("a")).await;
    assert!(!row.failed);
    assert!(row.unconfirmed());
    assert_eq!(
        world.decider.calls.load(Ordering::SeqCst),
        3,
        "a, b and a again, once"
    );
}

/// Rule R12: an outcome that would not fold is never stored; the decision fails instead.
async fn an_outcome_that_nobody_could_fold_is_not_stored(world: World) {
    let record = named(order("a"), "unwritable", OrderStatus::Pending, 1);
    world.handle(&[record]).await.unwrap();
    let row = world.row(order("a")).await;
    assert!(row.failed);
    assert_eq!(row.outcome_rank, 0);
    assert_eq!(world.log.sent_to("orders"), vec![]);
    let letters = world.log.sent_to("orders.stock.dlt");
    let code = letters[0]
        .headers
        .iter()
        .find(|(name, _)| name == "kafka_dlt-exception-fqcn");
    assert_eq!(code.unwrap().1, b"unsealed_outcome");
}

async fn garbage_is_dead_lettered_byte_for_byte_and_its_neighbours_are_handled(world: World) {
    let garbage = Record {
        partition: 1,
        offset: 3,
        timestamp: None,
        key: None,
        headers: vec![],
        value: Some(b"\x00\xff not JSON".to_vec()),
    };
    world
        .handle(&[pending("a", 2), garbage.clone(), pending("b", 4)])
        .await
        .unwrap();
    let letters = world.log.sent_to("orders.stock.dlt");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value, garbage.value);
    assert_eq!(world.log.sent_to("orders").len(), 2);
}

async fn nothing_is_committed_while_the_dead_letter_topic_is_down(world: World) {
    world.log.refuse(Some("orders.stock.dlt"));
    let mut unreadable = pending("a", 7);
    unreadable.value = Some(b"{garbage".to_vec());
    let error = world
        .handle(&[pending("b", 6), unreadable.clone()])
        .await
        .unwrap_err();
    assert!(matches!(error, Interruption::Unavailable(_)), "{error:?}");
    let partition = home_partition(order("a"), PARTITIONS);
    let position = world
        .shared
        .store
        .position(&world.shared.database, partition);
    assert_eq!(position.await.unwrap(), 0);
    assert_eq!(world.row(order("a")).await.state.status(), None);
    world.log.refuse(None);
    world.handle(&[pending("b", 6), unreadable]).await.unwrap();
    assert_eq!(world.log.sent_to("orders.stock.dlt").len(), 1);
}

#[tokio::test]
async fn a_defect_is_bisected_down_to_its_record_and_all_others_land() {
    for name in ["bug", "panic"] {
        let world = world().await;
        let mut records: Vec<Record> = (0..9).map(|n| pending(&format!("{n}"), n)).collect();
        records.insert(4, named(order("x"), name, OrderStatus::Pending, 100));
        world.handle(&records).await.unwrap();
        assert_eq!(world.log.sent_to("orders").len(), 9);
        let letters = world.log.sent_to("orders.stock.dlt");
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].value, records[4].value);
        let row = world.row(order("x")).await;
        assert_eq!(row.state.status(), Some(OrderStatus::Pending));
        assert!(row.failed);
    }
}

async fn defects_in_a_row_stop_dead_lettering_until_the_defect_is_mended(world: World) {
    let records: Vec<Record> = (0..6)
        .map(|n| named(order(&format!("{n}")), "bug", OrderStatus::Pending, n))
        .collect();
    let mut handler = world.handler();
    let error = handler.handle(&records).await.unwrap_err();
    assert!(error.to_string().contains("after 3 defects"), "{error}");
    assert_eq!(world.log.sent_to("orders.stock.dlt").len(), 3);
    handler.handle(&records).await.unwrap_err();
    assert_eq!(
        world.log.sent_to("orders.stock.dlt").len(),
        3,
        "records that were given up before are no sign of health"
    );
    world.decider.fixed.store(true, Ordering::SeqCst);
    handler.handle(&records).await.unwrap();
    assert_eq!(world.log.sent_to("orders.stock.dlt").len(), 3);
    assert_eq!(world.log.sent_to("orders").len(), 3);
}

/// Its partitions are paused meanwhile, so nothing of it is read back and confirmed.
#[tokio::test]
async fn what_is_done_of_a_held_batch_is_published_once_however_often_it_is_tried() {
    let world = world().await;
    let mut records: Vec<Record> = (0..9).map(|n| pending(&format!("{n}"), n)).collect();
    let bugs = (10..16).map(|n| named(order(&format!("{n}")), "bug", OrderStatus::Pending, n));
    records.extend(bugs);
    let mut handler = world.handler();
    for _ in 0..5 {
        handler.handle(&records).await.unwrap_err();
    }
    assert_eq!(world.log.sent_to("orders").len(), 9);
    assert_eq!(world.log.sent_to("orders.stock.dlt").len(), 3);
    world.decider.fixed.store(true, Ordering::SeqCst);
    handler.handle(&records).await.unwrap();
    assert_eq!(world.log.sent_to("orders").len(), 12);
    // The next time it is another batch.
    handler.handle(&records).await.unwrap();
    assert_eq!(world.log.sent_to("orders").len(), 24);
}

/// Rule R4: `N` is kept in the database.
async fn a_database_remembers_which_log_it_was_folded_from(world: World) {
    let first = LogIdentity {
        cluster_id: "one".to_owned(),
        topic: "orders".to_owned(),
        partitions: 3,
    };
    let store = &world.shared.store;
    let known = store
        .identify(&world.shared.database, &first)
        .await
        .unwrap();
    assert_eq!(known, first);
    let other = LogIdentity {
        partitions: 6,
        ..first.clone()
    };
    let known = store
        .identify(&world.shared.database, &other)
        .await
        .unwrap();
    assert_eq!(known, first);
}

/// A client that failed for good never recovers: the process has to be restarted.
#[tokio::test]
async fn a_producer_that_failed_for_good_stops_the_participant() {
    struct Dead;
    impl EventProducer for Dead {
        fn enqueue(&self, _: &NewRecord) -> Result<Delivery, ProduceError> {
            Err(ProduceError::Fatal("fenced".to_owned()))
        }
    }
    let mut world = world().await;
    let shared = Arc::get_mut(&mut world.shared).unwrap();
    shared.appender.producer = Arc::new(Dead);
    let error = world.handle(&[pending("a", 7)]).await.unwrap_err();
    assert!(matches!(error, Interruption::Stop(_)), "{error:?}");
}

async fn defects_between_good_records_stop_dead_lettering_too(world: World) {
    let records: Vec<Record> = (0..40)
        .map(|n| match n % 2 {
            0 => named(order(&format!("{n}")), "bug", OrderStatus::Pending, n),
            _ => pending(&format!("{n}"), n),
        })
        .collect();
    let error = world.handle(&records).await.unwrap_err();
    assert!(error.to_string().contains("after 3 defects"), "{error}");
    assert_eq!(world.log.sent_to("orders.stock.dlt").len(), 3);
}

/// Rule R2: what comes later does not make up for a decision that failed.
async fn a_failed_decision_can_be_redriven_after_the_order_has_moved_on(world: World) {
    let mut unreadable = pending("a", 1);
    unreadable.value = Some(b"{garbage".to_vec());
    let cancelled = named(order("a"), "book order", OrderStatus::Cancelled, 2);
    world.handle(&[unreadable, cancelled]).await.unwrap();
    assert!(world.row(order("a")).await.failed);
    let mut redrive = pending("a", 3);
    redrive
        .headers
        .push((header::REDRIVE_GROUP.to_owned(), b"stock".to_vec()));
    world.handle(&[redrive]).await.unwrap();
    let row = world.row(order("a")).await;
    assert!(!row.failed);
    assert_eq!(row.state.status(), Some(OrderStatus::Cancelled));
}

/// A request may have been faster than the batch.
async fn a_decision_replaces_no_unconfirmed_outcome_that_goes_further(world: World) {
    let insert = "INSERT INTO participant_orders \
                  (participant, order_id, home_partition, outcome_rank, outcome) \
                  VALUES ('stock', $1, $2, 100, 'cancelled')";
    sqlx::query(insert)
        .bind(order("a").to_string())
        .bind(i64::from(home_partition(order("a"), PARTITIONS)))
        .execute(world.shared.database.pool())
        .await
        .unwrap();
    world.handle(&[pending("a", 7)]).await.unwrap();
    assert_eq!(world.decider.calls.load(Ordering::SeqCst), 1);
    assert_eq!(world.log.sent_to("orders"), []);
    let row = world.row(order("a")).await;
    assert_eq!(row.state.status(), Some(OrderStatus::Pending));
    assert_eq!((row.outcome_rank, row.failed), (100, false));
    let outcome: String = sqlx::query_scalar("SELECT outcome FROM participant_orders")
        .fetch_one(world.shared.database.pool())
        .await
        .unwrap();
    assert_eq!(outcome, "cancelled");
}

async fn a_repeated_transaction_does_not_repeat_its_dead_letters(world: World) {
    let record = pending("a", 1);
    let failure = settle::Failure {
        record: &record,
        code: "test",
        reason: "a reason".to_owned(),
    };
    let mut lettered = batch::Places::new();
    for _ in 0..3 {
        let failures = std::slice::from_ref(&failure);
        batch::dead_letter(&world.shared, failures, &mut lettered)
            .await
            .unwrap();
    }
    assert_eq!(world.log.sent_to("orders.stock.dlt").len(), 1);
}

/// Rule R4: orders of a partition that was added have another home than their readers compute.
async fn a_partition_that_was_added_stops_the_participant(world: World) {
    let added = crate::kafka::Assigned {
        partition: PARTITIONS,
        committed: None,
        begin: 0,
        end: 0,
    };
    let error = world.handler().check(&added).await.unwrap_err();
    assert!(matches!(error, Interruption::Stop(_)), "{error:?}");
    assert!(error.to_string().contains("new topic"), "{error}");
}

#[tokio::test]
async fn a_partition_that_left_is_no_lag_of_this_instance_any_more() {
    install_metrics();
    let shared = world().await.shared;
    // Partitions that no other test of this process has.
    let (kept, left) = (71, 72);
    let fresh = || PartitionSweep::new(&SweepSettings::default(), Instant::now());
    let mut sweeps = BTreeMap::from([(kept, fresh()), (left, fresh())]);
    shared.gauge(kept, 5, 2);
    shared.gauge(left, 5, 2);
    sweep::keep_owned(&shared, &mut sweeps, &BTreeMap::from([(kept, 0)]));
    assert!(sweeps.keys().eq([&kept]));
    let text = metrics_text();
    for (partition, lag, unconfirmed) in [(kept, 5, 2), (left, 0, 0)] {
        let labels = format!(r#"{{participant="stock",partition="{partition}"}}"#);
        for line in [
            format!("consumer_lag_records{labels} {lag}"),
            format!("outcomes_unconfirmed{labels} {unconfirmed}"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}

use limits::*;
use replay::*;

/// The tests above, each on a database of its own: on SQLite one by one, on PostgreSQL all in one.
macro_rules! on_every_database {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(super::world().await).await;
                }
            )+
        }

        #[test]
        fn everything_holds_on_postgresql_too() {
            test_support::on_postgres([$(
                |fresh: &test_support::TestDatabase| {
                    println!("{}", stringify!($name));
                    let runtime = tokio::runtime::Runtime::new().unwrap();
                    runtime.block_on(async { $name(world_on(fresh.url()).await).await });
                }
            ),+])
            .unwrap();
        }
    };
}

on_every_database!(
    an_effective_event_is_decided_stored_and_published,
    a_new_outcome_is_published_without_being_read_from_the_database,
    a_repeated_cause_publishes_the_same_bytes_without_deciding_again,
    an_outcome_that_was_read_back_is_confirmed_and_never_published_again,
    a_failed_publish_interrupts_and_the_same_batch_publishes_what_was_stored,
    two_instances_that_handle_one_event_at_once_decide_once,
    a_failed_decision_keeps_the_fold_and_a_redrive_decides_from_the_row,
    an_outcome_that_nobody_could_fold_is_not_stored,
    garbage_is_dead_lettered_byte_for_byte_and_its_neighbours_are_handled,
    nothing_is_committed_while_the_dead_letter_topic_is_down,
    defects_in_a_row_stop_dead_lettering_until_the_defect_is_mended,
    a_database_remembers_which_log_it_was_folded_from,
    defects_between_good_records_stop_dead_lettering_too,
    a_failed_decision_can_be_redriven_after_the_order_has_moved_on,
    a_decision_replaces_no_unconfirmed_outcome_that_goes_further,
    a_repeated_transaction_does_not_repeat_its_dead_letters,
    a_partition_that_was_added_stops_the_participant,
    history_is_decided_and_stored_and_published_at_its_end_if_the_log_is_silent,
    the_decision_in_the_log_wins_over_one_that_was_made_again,
    somebody_elses_event_drops_no_outcome,
    the_beginning_of_an_order_drops_no_outcome,
    outside_of_history_no_outcome_is_dropped,
    a_crash_in_the_middle_of_a_replay_leaves_it_quiet_to_its_end,
    the_end_of_history_waits_for_the_broker,
    however_many_outcomes_were_held_back_all_are_published,
    a_bare_record_waits_for_the_history_of_its_orders_home,
    a_bare_record_is_published_at_the_end_of_its_own_partitions_history,
    a_partition_that_left_holds_nothing_back_any_more,
    good_records_before_a_flood_have_their_effect_and_are_passed,
    good_decisions_before_a_flood_of_failures_have_their_effect_and_are_passed,
    a_failed_decision_about_the_history_of_its_orders_home_is_not_counted,
    a_batch_whose_history_cannot_end_is_counted_once,
);
