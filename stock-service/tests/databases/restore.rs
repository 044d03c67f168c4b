//! A database that is restored from an older copy while the log went on (rule R13).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base_domains::{OrderState, OrderStatus, WireOrder, header, read};
use service_runtime::kafka::{EventProducer as _, NewRecord, Record, dlt, read_all};
use sqlx::{AssertSqlSafe, Executor as _};
use stock_service::inventory::Inventory;
use test_support::{Test, TestDatabase, test};

use super::service::{World, folded_status, world};
use super::support::{assert_conserved, eventually, number, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_restored_database_follows_the_log_and_asks_for_the_pieces_that_it_lacks).threads(4),
    ]
}

const TABLES: [&str; 5] = [
    "stock",
    "stock_adjustments",
    "reservations",
    "participant_orders",
    "participant_positions",
];
const READ_LIMIT: Duration = Duration::from_secs(40);
const PRODUCT: &str = "book order";

use OrderStatus::{Cancelled, Paid, Pending, Rejected, Reserved, Shipped};

impl World {
    async fn execute(&self, sql: String) {
        let database = &self.fresh.database;
        database.pool().execute(AssertSqlSafe(sql)).await.unwrap();
    }

    /// Copies the tables, with the service stopped.
    async fn back_up(&self) {
        for table in TABLES {
            let copy = format!("CREATE TABLE copy_of_{table} AS SELECT * FROM {table}");
            self.execute(copy).await;
        }
    }

    async fn restore(&self) {
        for table in TABLES {
            self.execute(format!("DELETE FROM {table}")).await;
            let back = format!("INSERT INTO {table} SELECT * FROM copy_of_{table}");
            self.execute(back).await;
        }
    }

    /// Places orders of one piece each; how each was decided.
    async fn order(&self, count: usize) -> Vec<(WireOrder, OrderStatus)> {
        let orders: Vec<WireOrder> = (0..count).map(|_| order(&[PRODUCT])).collect();
        for order in &orders {
            self.append(order, Pending).await;
        }
        let mut decided = Vec::new();
        for order in orders {
            self.has_decided(&order).await;
            let status = folded_status(&self.fresh.database, &order).await;
            decided.push((order, status.parse().unwrap()));
        }
        decided
    }

    async fn has_decided(&self, order: &WireOrder) {
        eventually("a decision", async || {
            let status = folded_status(&self.fresh.database, order).await;
            ["RESERVED", "REJECTED"].contains(&&*status)
        })
        .await;
    }

    async fn set_available(&self, pieces: i64) {
        let inventory = Inventory::new(self.fresh.database.clone());
        inventory.seed(&self.config.catalogue).await.unwrap();
        inventory.set_available(PRODUCT, pieces).await.unwrap();
    }

    async fn records(&self, topic: &str) -> Vec<Record> {
        let read = read_all(&self.config.common.kafka, topic, READ_LIMIT);
        read.await.unwrap()
    }

    /// What an operator does with dead letters once there is enough.
    async fn redrive(&self, letters: &[Record]) {
        for letter in letters {
            let mut headers = letter.headers.clone();
            headers.push((header::REDRIVE_GROUP.to_owned(), b"stock".to_vec()));
            let record = NewRecord {
                topic: "orders".to_owned(),
                partition: None,
                key: letter.key.clone(),
                headers,
                value: letter.value.clone(),
            };
            self.producer.enqueue(&record).unwrap().await.unwrap();
        }
    }

    async fn failures(&self) -> i64 {
        let failed = "SELECT COUNT(*) FROM participant_orders WHERE failure = 1";
        number(&self.fresh.database, failed).await
    }

    /// Folded statuses by the log; no order may have two decisions of this service.
    async fn by_the_log(&self) -> BTreeMap<String, OrderState> {
        let (mut states, mut decisions) = (BTreeMap::new(), BTreeMap::new());
        for record in self.records("orders").await {
            if record.header(header::REDRIVE_GROUP).is_some() {
                continue;
            }
            let reading = read(&record.as_ref(), 3).unwrap();
            let base_domains::Reading::Event(heading) = reading else {
                panic!("{reading:?}");
            };
            let id = heading.order_id.to_string();
            let state: &mut OrderState = states.entry(id.clone()).or_default();
            state.apply(heading.status);
            if record.header(header::CE_SOURCE) == Some("/stock-service") {
                // One that was appended again is the same one.
                let decisions: &mut BTreeSet<String> = decisions.entry(id).or_default();
                decisions.insert(heading.event_id);
            }
        }
        let twice: Vec<_> = decisions.iter().filter(|(_, ids)| ids.len() != 1).collect();
        assert!(twice.is_empty(), "decided twice: {twice:?}");
        states
    }

    /// State of each order's reservation.
    async fn reservations(&self) -> BTreeMap<String, String> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT order_id, state FROM reservations")
                .fetch_all(self.fresh.database.pool())
                .await
                .unwrap();
        rows.into_iter().collect()
    }

    /// Waits until every order stands there.
    async fn has_caught_up(&self, states: &BTreeMap<String, OrderState>) {
        for (id, state) in states {
            let sql = format!(
                "SELECT COUNT(*) FROM participant_orders WHERE order_id = '{id}' AND status = '{}'",
                state.status().unwrap()
            );
            eventually("the end of the log", async || {
                number(&self.fresh.database, &sql).await == 1
            })
            .await;
        }
    }
}

async fn a_restored_database_follows_the_log_and_asks_for_the_pieces_that_it_lacks(
    database: TestDatabase,
) {
    let world = world(database, 15).await;
    let running = world.start().await;
    let first = world.order(10).await;
    running.stop().await;
    world.back_up().await;

    // Five more are there, then it is sold out; an operator finds ten, and they are sold too.
    let running = world.start().await;
    let mut later = world.order(8).await;
    world.set_available(10).await;
    later.extend(world.order(13).await);
    let with = |status| later.iter().filter(move |(_, is)| *is == status);
    assert_eq!((with(Reserved).count(), with(Rejected).count()), (15, 6));
    let others = [
        (&first[0].0, Paid),
        (&first[0].0, Shipped),
        (&first[1].0, Cancelled),
    ];
    let sold: Vec<&WireOrder> = with(Reserved).map(|(order, _)| order).collect();
    let later_others = [(sold[0], Shipped), (sold[1], Cancelled), (sold[2], Paid)];
    for (order, status) in others.into_iter().chain(later_others) {
        world.append(order, status).await;
        world.has_read(order, status).await;
    }
    running.stop().await;
    let before = world.by_the_log().await;
    assert_eq!(world.records("orders.stock.dlt").await.len(), 0);

    world.restore().await;
    let late = order(&[PRODUCT]);
    world.append(&late, Pending).await;
    let running = world.start().await;
    world.has_caught_up(&before).await;
    world.has_decided(&late).await;
    let by_the_log = world.by_the_log().await;
    for (id, state) in &before {
        assert_eq!(by_the_log[id], *state, "the log did not move an old order");
    }
    assert_conserved(&world.fresh.database).await;
    // Of the fifteen that were sold since, five and what was given back can be held.
    let failed = world.failures().await;
    assert!(
        (8..=11).contains(&failed),
        "{failed} orders lack their pieces"
    );
    let letters = world.records("orders.stock.dlt").await;
    let code = |letter: &Record| letter.header(dlt::EXCEPTION_FQCN).map(str::to_owned);
    assert!(letters.len() >= usize::try_from(failed).unwrap());
    for letter in &letters {
        assert_eq!(code(letter).as_deref(), Some("stock_shortage"));
    }

    world.set_available(20).await;
    world.redrive(&letters).await;
    eventually("no failure", async || world.failures().await == 0).await;
    assert_conserved(&world.fresh.database).await;
    running.stop().await;
    let reservations = world.reservations().await;
    for (id, state) in world.by_the_log().await {
        let is = reservations.get(&id).map(String::as_str);
        match state.status() {
            Some(Reserved | Paid) => assert_eq!(is, Some("held"), "{id}"),
            Some(Shipped) => assert_eq!(is, Some("shipped"), "{id}"),
            status => assert_ne!(is, Some("held"), "{id} {status:?}"),
        }
    }
}
