//! A participant whose database fails in each way that is not their fault: nothing is
//! dead-lettered, they say what they wait for, and go on by themselves with one effect.

use std::collections::BTreeSet;

use base_domains::{OrderId, OrderStatus};
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::kafka::{LoopError, read_all};
use service_runtime::lifecycle::Shutdown;
use sqlx::{AssertSqlSafe, Executor as _};
use test_support::{Fault, Kind, Proxy, Test, TestDatabase, test};
use tokio::task::JoinHandle;

use crate::participant::{DEADLINE, Reserve, World, ended, event, world};
use crate::support::{end_commits, eventually, fail_writes, heal_writes, number};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_race_that_was_lost_is_run_again_at_once_and_has_one_effect)
            .only(Kind::Postgres)
            .threads(2),
        test!(a_database_that_cannot_work_is_waited_for_and_nothing_is_dead_lettered)
            .only(Kind::Postgres)
            .threads(2),
        test!(a_commit_whose_answer_is_lost_leaves_one_effect)
            .only(Kind::Postgres)
            .threads(2),
        test!(a_session_that_is_ended_in_the_commit_leaves_one_effect)
            .only(Kind::Postgres)
            .threads(2),
        test!(a_disk_that_is_full_is_waited_for_until_there_is_room)
            .only(Kind::Sqlite)
            .threads(2),
    ]
}

/// A running participant.
pub(crate) struct Running {
    shutdown: Shutdown,
    task: JoinHandle<Result<(), LoopError>>,
}

pub(crate) fn start(world: &World, database: Database) -> Running {
    let shutdown = Shutdown::new();
    let participant = world.participant_of("stock", database, Reserve::default());
    Running {
        task: tokio::spawn(participant.run(shutdown.clone())),
        shutdown,
    }
}

impl Running {
    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        ended(self.task).await.unwrap();
    }
}

pub(crate) fn order(name: &str) -> OrderId {
    OrderId::from_idempotency_key("test", name)
}

pub(crate) async fn place(world: &World, order_id: OrderId) {
    let pending = event(order_id, OrderStatus::Pending, "order-service");
    world.append(&pending).await;
}

/// The rows of orders, with what was decided about them.
const ORDERS: &str = "participant_orders";

async fn fail(database: &Database, code: &str, times: u32) {
    fail_writes(database, ORDERS, "true", code, times).await;
}

async fn heal(database: &Database) -> i64 {
    heal_writes(database, ORDERS).await
}

/// Each order has one outcome in the log, however often its bytes are there, and there is no dead letter.
pub(crate) async fn assert_one_outcome(world: &World, orders: &[OrderId]) {
    let records = read_all(&world.kafka, "orders", DEADLINE).await.unwrap();
    for order_id in orders {
        let key = order_id.to_string().into_bytes();
        let of = records
            .iter()
            .filter(|record| record.key.as_ref() == Some(&key));
        let distinct: BTreeSet<_> = of.map(|record| &record.value).collect();
        assert_eq!(distinct.len(), 2, "{order_id}: it was placed, and reserved");
    }
    let letters = read_all(&world.kafka, "orders.stock.dlt", DEADLINE).await;
    assert_eq!(letters.unwrap().len(), 0);
}

pub(crate) async fn not_ready(world: &World, reason: &str) {
    eventually(reason, async || world.report().to_string().contains(reason)).await;
}

async fn a_race_that_was_lost_is_run_again_at_once_and_has_one_effect(database: TestDatabase) {
    let world = world(database).await;
    let running = start(&world, world.database.clone());
    let mut orders = Vec::new();
    for code in ["40001", "40P01", "55P03"] {
        // Fewer times than would make it wait.
        fail(&world.database, code, 3).await;
        let order_id = order(code);
        place(&world, order_id).await;
        world.until_status(order_id, "RESERVED").await;
        let tried = heal(&world.database).await;
        assert!(tried >= 4, "{code}: it was tried {tried} times");
        orders.push(order_id);
    }
    running.stop().await;
    assert_one_outcome(&world, &orders).await;
}

async fn a_database_that_cannot_work_is_waited_for_and_nothing_is_dead_lettered(
    database: TestDatabase,
) {
    let world = world(database).await;
    let running = start(&world, world.database.clone());
    let mut orders = Vec::new();
    for code in ["53100", "57P01", "08006", "40001"] {
        fail(&world.database, code, 1_000_000).await;
        let order_id = order(code);
        place(&world, order_id).await;
        let reason = if code == "40001" {
            "busy 5 times"
        } else {
            "as told"
        };
        not_ready(&world, reason).await;
        assert_eq!(world.status(order_id).await, "", "{code}");
        heal(&world.database).await;
        world.until_status(order_id, "RESERVED").await;
        eventually("readiness", async || world.report()["status"] == "ready").await;
        orders.push(order_id);
    }
    running.stop().await;
    assert_one_outcome(&world, &orders).await;
}

/// C2: it was committed, and the one who asked for it does not get to know.
async fn a_commit_whose_answer_is_lost_leaves_one_effect(database: TestDatabase) {
    let proxy = Proxy::to(database.url()).await.unwrap();
    let world = world(database).await;
    let behind = Database::open(&DatabaseConfig::new(proxy.url())).unwrap();
    let running = start(&world, behind);
    place(&world, order("first")).await;
    world.until_status(order("first"), "RESERVED").await;
    for n in 0..5 {
        let before = proxy.replies_cut();
        proxy.inject(Fault::CutReplyTo("COMMIT".to_owned()));
        place(&world, order(&n.to_string())).await;
        eventually("the cut", async || proxy.replies_cut() > before).await;
        proxy.heal();
        world.until_status(order(&n.to_string()), "RESERVED").await;
    }
    running.stop().await;
    let orders = ["first", "0", "1", "2", "3", "4"].map(order);
    assert_one_outcome(&world, &orders).await;
}

/// It was not committed: the server ended the session in its last moment.
async fn a_session_that_is_ended_in_the_commit_leaves_one_effect(database: TestDatabase) {
    let world = world(database).await;
    let running = start(&world, world.database.clone());
    place(&world, order("first")).await;
    world.until_status(order("first"), "RESERVED").await;
    end_commits(&world.database, ORDERS, "true", 3).await;
    place(&world, order("second")).await;
    world.until_status(order("second"), "RESERVED").await;
    let tried = heal(&world.database).await;
    assert!(tried > 3, "{tried}");
    running.stop().await;
    assert_one_outcome(&world, &["first", "second"].map(order)).await;
}

/// A limit is a connection's own.
async fn limit_pages(database: &Database, pages: i64) {
    let pool = database.pool();
    let (mut one, mut two) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    for connection in [&mut one, &mut two] {
        let sql = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        connection.execute(sql).await.unwrap();
    }
}

async fn a_disk_that_is_full_is_waited_for_until_there_is_room(database: TestDatabase) {
    let mut config = DatabaseConfig::new(database.url());
    config.max_connections = 2;
    let world = world(database).await;
    let small = Database::open(&config).unwrap();
    let running = start(&world, small.clone());
    place(&world, order("first")).await;
    world.until_status(order("first"), "RESERVED").await;
    limit_pages(&small, number(&small, "PRAGMA page_count").await).await;
    let mut orders = vec![order("first")];
    // More than fit into what is left of the last pages.
    for n in 0..100 {
        let order_id = order(&n.to_string());
        place(&world, order_id).await;
        orders.push(order_id);
    }
    not_ready(&world, "full").await;
    limit_pages(&small, 1_000_000).await;
    for order_id in &orders {
        world.until_status(*order_id, "RESERVED").await;
    }
    eventually("readiness", async || world.report()["status"] == "ready").await;
    running.stop().await;
    assert_one_outcome(&world, &orders).await;
}
