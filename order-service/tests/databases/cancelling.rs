//! CANCELLED is stored under the lock of its order, at most once; and the deadline asks for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base_domains::{OrderEvent, OrderId, OrderStatus, reason};
use order_service::Storage;
use order_service::command::{Cancelling, Deadlines, RoundError};
use service_runtime::database::Database;
use service_runtime::jobs::{GateError, HistoryGate};
use test_support::{Test, TestDatabase, test};

use crate::support::{HOUR, LONG_AGO, Log, Orders, order_id, plain};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(an_open_order_gets_its_cancellation_once_with_all_that_was_ordered),
        test!(an_order_that_ended_or_is_unknown_or_unreadable_is_left_alone),
        test!(many_who_cancel_at_once_store_one_cancellation).threads(4),
        test!(a_row_that_stayed_behind_the_fold_is_brought_in_line),
        test!(what_is_overdue_is_cancelled_once_and_nothing_else),
        test!(nothing_is_cancelled_while_the_log_is_not_read_to_its_end),
        test!(an_overdue_order_that_ended_meanwhile_is_passed_over),
        test!(instances_that_look_at_once_cancel_each_order_once).threads(4),
        test!(more_overdue_orders_than_one_round_takes_are_cancelled_by_the_next),
    ]
}

const REASON: &str = reason::CANCELLED_ON_REQUEST;
const TRACES: [&str; 2] = [
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
];

/// A gate that says what the test wants, and for which partitions it was asked.
#[derive(Clone)]
struct Gate {
    asked: Arc<Mutex<Vec<i32>>>,
    passes: bool,
}

impl Gate {
    fn new(passes: bool) -> Self {
        let asked = Arc::default();
        Self { asked, passes }
    }

    fn asked(&self) -> Vec<i32> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl HistoryGate for Gate {
    async fn read_past_now(&self, partition: i32) -> Result<bool, GateError> {
        self.asked.lock().unwrap().push(partition);
        Ok(self.passes)
    }
}

/// A gate that lets every order be shipped before it answers.
struct Shipping(Database);

impl HistoryGate for Shipping {
    async fn read_past_now(&self, _: i32) -> Result<bool, GateError> {
        ship(&self.0).await;
        Ok(true)
    }
}

/// The fold alone, as after a decision that failed.
async fn ship(database: &Database) {
    sqlx::query("UPDATE participant_orders SET status = 'SHIPPED', state_rank = 100")
        .execute(database.pool())
        .await
        .unwrap();
}

/// The deadline of an hour on these orders.
fn deadlines<G: HistoryGate>(orders: &Orders, gate: G) -> Deadlines<G> {
    let storage = Storage::new();
    storage.provide(orders.database.clone());
    Deadlines::new(orders.canceller.clone(), gate, storage, HOUR)
}

async fn placed(orders: &Orders, log: &mut Log, name: &str, at: i64) -> OrderId {
    let id = order_id(name);
    let pending = OrderEvent::new(OrderStatus::Pending, plain(id));
    orders.read(&[log.record(&pending, at)]).await;
    id
}

async fn an_open_order_gets_its_cancellation_once_with_all_that_was_ordered(
    database: TestDatabase,
) {
    let (orders, mut log) = (Orders::new(database).await, Log::default());
    for (name, asked, traced) in [
        ("by request", Some(TRACES[0]), TRACES[0]),
        ("by itself", None, TRACES[1]),
    ] {
        let id = order_id(name);
        let mut pending = log.event(id, OrderStatus::Pending);
        let header = ("traceparent".to_owned(), TRACES[1].as_bytes().to_vec());
        pending.record.headers.push(header);
        orders.read(&[pending]).await;
        let first = orders.canceller.cancel(id, REASON, asked).await.unwrap();
        assert!(matches!(first, Cancelling::Stored(_)), "{first:?}");
        let outcome = orders.outcome(id).await.unwrap();
        let trace = outcome
            .headers
            .iter()
            .find(|(name, _)| name == "traceparent");
        assert_eq!(trace.unwrap().1, traced);
        let event = orders.event(id).await;
        assert_eq!(event.status.as_str(), "CANCELLED");
        assert_eq!(event.reason.as_deref(), Some("cancelled_on_request"));
        assert_eq!(event.order, plain(id));

        let second = orders
            .canceller
            .cancel(id, reason::DEADLINE, None)
            .await
            .unwrap();
        assert!(matches!(second, Cancelling::UnderWay), "{second:?}");
        assert_eq!(orders.outcome(id).await.unwrap(), outcome);
        assert_eq!(orders.state(id).await.state, "cancelling");

        let read_back = log.record(&event, LONG_AGO);
        orders.read(&[read_back]).await;
        let third = orders.canceller.cancel(id, REASON, None).await.unwrap();
        assert!(
            matches!(third, Cancelling::Ended(OrderStatus::Cancelled)),
            "{third:?}"
        );
        assert_eq!(orders.state(id).await.reason, "cancelled_on_request");
    }
}

async fn an_order_that_ended_or_is_unknown_or_unreadable_is_left_alone(database: TestDatabase) {
    let (orders, mut log) = (Orders::new(database).await, Log::default());
    let unknown = orders
        .canceller
        .cancel(order_id("nobody"), REASON, None)
        .await
        .unwrap();
    assert!(matches!(unknown, Cancelling::Unknown), "{unknown:?}");
    assert_eq!(orders.counts().await, [].into());

    for status in OrderStatus::ALL
        .into_iter()
        .filter(|status| status.is_terminal())
    {
        let id = placed(&orders, &mut log, status.as_str(), LONG_AGO).await;
        let end = log.event(id, status);
        orders.read(&[end]).await;
        let ended = orders.canceller.cancel(id, REASON, None).await.unwrap();
        assert!(
            matches!(ended, Cancelling::Ended(found) if found == status),
            "{ended:?}"
        );
        assert_eq!(orders.outcome(id).await, None);
    }

    let mut broken = log.event(order_id("broken"), OrderStatus::Pending);
    broken.record.value = None;
    orders.read(&[broken]).await;
    let refused = orders
        .canceller
        .cancel(order_id("broken"), REASON, None)
        .await
        .unwrap();
    assert!(
        matches!(refused, Cancelling::Unreadable(OrderStatus::Pending)),
        "{refused:?}"
    );
    assert_eq!(orders.outcome(order_id("broken")).await, None);
}

async fn many_who_cancel_at_once_store_one_cancellation(database: TestDatabase) {
    let (orders, mut log) = (Orders::new(database).await, Log::default());
    for round in 0..5 {
        let id = placed(&orders, &mut log, &round.to_string(), LONG_AGO).await;
        let mut cancelling = tokio::task::JoinSet::new();
        for n in 0..8 {
            let canceller = orders.canceller.clone();
            let reason = [REASON, reason::DEADLINE][n % 2];
            cancelling.spawn(async move {
                match canceller.cancel(id, reason, None).await.unwrap() {
                    Cancelling::Stored(_) => true,
                    Cancelling::UnderWay => false,
                    other => panic!("{other:?}"),
                }
            });
        }
        let stored = cancelling.join_all().await;
        assert_eq!(stored.iter().filter(|stored| **stored).count(), 1);
    }
}

/// As after a decision that failed: only the fold knows of the end.
async fn a_row_that_stayed_behind_the_fold_is_brought_in_line(database: TestDatabase) {
    let (orders, mut log) = (Orders::new(database).await, Log::default());
    let id = placed(&orders, &mut log, "a", LONG_AGO).await;
    ship(&orders.database).await;
    let ended = orders.canceller.cancel(id, REASON, None).await.unwrap();
    assert!(
        matches!(ended, Cancelling::Ended(OrderStatus::Shipped)),
        "{ended:?}"
    );
    let state = orders.state(id).await;
    assert_eq!((&*state.state, &*state.content), ("ended", ""));
    assert_eq!(orders.outcome(id).await, None);
}

async fn what_is_overdue_is_cancelled_once_and_nothing_else(database: TestDatabase) {
    let (orders, mut log) = (Orders::new(database).await, Log::default());
    let now = jiff::Timestamp::now().as_millisecond();
    let hour = i64::try_from(HOUR.as_millis()).unwrap();
    let old = placed(&orders, &mut log, "old", now - hour - 1).await;
    let reserved = placed(&orders, &mut log, "reserved", LONG_AGO).await;
    let paid = placed(&orders, &mut log, "paid", LONG_AGO).await;
    let shipped = placed(&orders, &mut log, "shipped", LONG_AGO).await;
    let young = placed(&orders, &mut log, "young", now - hour + 60_000).await;
    let asked = placed(&orders, &mut log, "asked", LONG_AGO).await;
    let marks = [
        log.event(reserved, OrderStatus::Reserved),
        log.event(paid, OrderStatus::Paid),
        log.event(shipped, OrderStatus::Shipped),
    ];
    orders.read(&marks).await;
    let stored = orders.canceller.cancel(asked, REASON, None).await.unwrap();
    assert!(matches!(stored, Cancelling::Stored(_)));

    let gate = Gate::new(true);
    let deadlines = deadlines(&orders, gate.clone());
    assert_eq!(deadlines.round().await.unwrap(), 3);
    for id in [old, reserved, paid] {
        let event = orders.event(id).await;
        assert_eq!(event.status.as_str(), "CANCELLED");
        assert_eq!(event.reason.as_deref(), Some("deadline"));
        assert_eq!(event.order, plain(id));
    }
    for id in [shipped, young] {
        assert_eq!(orders.outcome(id).await, None);
    }
    let event = orders.event(asked).await;
    assert_eq!(event.reason.as_deref(), Some(REASON));

    // What is under way is not looked for any more, read back or not.
    gate.asked();
    assert_eq!(deadlines.round().await.unwrap(), 0);
    assert_eq!(gate.asked(), Vec::<i32>::new());
    // They were published as well.
    let records =
        service_runtime::kafka::read_all(&orders.kafka, "orders", Duration::from_secs(20));
    assert_eq!(records.await.unwrap().len(), 3);
}

/// Rule R11.
async fn nothing_is_cancelled_while_the_log_is_not_read_to_its_end(database: TestDatabase) {
    let (orders, mut log) = (Orders::new(database).await, Log::default());
    let id = placed(&orders, &mut log, "a", LONG_AGO).await;
    let shut = Gate::new(false);
    assert_eq!(deadlines(&orders, shut.clone()).round().await.unwrap(), 0);
    let home = base_domains::home_partition(id, crate::support::PARTITIONS);
    assert_eq!(shut.asked(), [home]);
    assert_eq!(orders.outcome(id).await, None);
    assert_eq!(orders.state(id).await.state, "open");

    // The participant's own gate, by its position in the database and the end of the log.
    let real = deadlines(&orders, orders.gate.clone());
    assert_eq!(real.round().await.unwrap(), 1);
    assert_eq!(orders.event(id).await.reason.as_deref(), Some("deadline"));
    let next = placed(&orders, &mut log, "b", LONG_AGO).await;
    let nobody_reads = real.round().await.unwrap();
    let same = base_domains::home_partition(next, crate::support::PARTITIONS) == home;
    assert_eq!(
        nobody_reads,
        usize::from(!same),
        "its own CANCELLED is not read"
    );
}

/// Between the look and the lock.
async fn an_overdue_order_that_ended_meanwhile_is_passed_over(database: TestDatabase) {
    let (orders, mut log) = (Orders::new(database).await, Log::default());
    let id = placed(&orders, &mut log, "a", LONG_AGO).await;
    let shipping = Shipping(orders.database.clone());
    assert_eq!(deadlines(&orders, shipping).round().await.unwrap(), 0);
    assert_eq!(orders.outcome(id).await, None);
    assert_eq!(orders.state(id).await.state, "ended");
}

async fn instances_that_look_at_once_cancel_each_order_once(database: TestDatabase) {
    let (orders, mut log) = (Orders::new(database).await, Log::default());
    for n in 0..60 {
        placed(&orders, &mut log, &n.to_string(), LONG_AGO + n).await;
    }
    let mut rounds = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let deadlines = deadlines(&orders, Gate::new(true));
        rounds.spawn(async move { deadlines.round().await.unwrap() });
    }
    assert_eq!(rounds.join_all().await.into_iter().sum::<usize>(), 60);
    assert_eq!(
        orders.counts().await,
        [("cancelling".to_owned(), 60)].into()
    );
}

async fn more_overdue_orders_than_one_round_takes_are_cancelled_by_the_next(
    database: TestDatabase,
) {
    let (orders, mut log) = (Orders::new(database).await, Log::default());
    for n in 0..340 {
        placed(&orders, &mut log, &n.to_string(), LONG_AGO + n).await;
    }
    let deadlines = deadlines(&orders, Gate::new(true));
    let mut stored = 0;
    for _ in 0..4 {
        let round: Result<usize, RoundError> = deadlines.round().await;
        let round = round.unwrap();
        assert!(round <= 300, "{round}");
        stored += round;
    }
    assert_eq!(stored, 340);
}
