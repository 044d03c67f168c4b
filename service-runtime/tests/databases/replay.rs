//! A whole participant whose database is restored from an older one: rule R13.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use base_domains::{OrderId, OrderStatus, home_partition};
use service_runtime::jobs::HistoryGate;
use service_runtime::kafka::{LoopError, read_all};
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::ReadPastEnd;
use test_support::{Test, TestDatabase, test};
use tokio::task::JoinHandle;

use crate::participant::{DEADLINE, PARTITIONS, Reserve, World, ended, event, world};
use crate::support::{eventually, execute};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(an_emptied_database_publishes_no_second_decision).threads(2),
        test!(orders_that_were_placed_before_the_first_assignment_do_not_wait_for_the_sweep)
            .threads(2),
    ]
}

struct Running {
    shutdown: Shutdown,
    participant: JoinHandle<Result<(), LoopError>>,
}

impl Running {
    fn start(world: &World, decider: &Reserve) -> (Self, ReadPastEnd) {
        let (database, shutdown) = (world.database.clone(), Shutdown::new());
        let participant = world.participant_of("stock", database, decider.clone());
        let gate = participant.gate();
        let participant = tokio::spawn(participant.run(shutdown.clone()));
        let running = Self {
            shutdown,
            participant,
        };
        (running, gate)
    }

    async fn stop(self) {
        self.shutdown.trigger();
        ended(self.participant).await.unwrap();
    }
}

/// Types of an order's events, in the order of the log. An event that was appended again is the same event.
async fn life_of(world: &World, order_id: OrderId) -> Vec<String> {
    let records = read_all(&world.kafka, "orders", DEADLINE).await.unwrap();
    let key = Some(order_id.to_string().into_bytes());
    let mut seen = BTreeSet::new();
    let life = records
        .iter()
        .filter(|record| record.key == key)
        .filter(|record| seen.insert(record.header("ce_id")));
    life.map(|record| record.header("ce_type").unwrap().to_owned())
        .collect()
}

async fn place(world: &World, order_id: OrderId) {
    let pending = event(order_id, OrderStatus::Pending, "order-service");
    world.append(&pending).await;
}

async fn an_emptied_database_publishes_no_second_decision(database: TestDatabase) {
    let world = world(database).await;
    let orders: Vec<OrderId> = (0..30)
        .map(|n| OrderId::from_idempotency_key("test", &n.to_string()))
        .collect();
    let (old, new) = orders.split_at(25);
    let decider = Reserve::default();
    let (running, _) = Running::start(&world, &decider);
    for order_id in old {
        place(&world, *order_id).await;
    }
    for order_id in old {
        world.until_status(*order_id, "RESERVED").await;
    }
    running.stop().await;

    // By now it would decide otherwise, also about what it never saw.
    for table in ["participant_orders", "participant_positions"] {
        execute(&world.database, &format!("DELETE FROM {table}")).await;
    }
    decider.1.store(true, SeqCst);
    for order_id in new {
        place(&world, *order_id).await;
    }
    let (running, gate) = Running::start(&world, &decider);
    let home = home_partition(old[0], PARTITIONS);
    assert!(!gate.read_past_now(home).await.unwrap(), "no job may run");
    for (orders, status) in [(new, "REJECTED"), (old, "RESERVED")] {
        for order_id in orders {
            world.until_status(*order_id, status).await;
        }
    }
    eventually("jobs may run", async || {
        gate.read_past_now(home).await.unwrap()
    })
    .await;
    running.stop().await;
    for order_id in old {
        let life = life_of(&world, *order_id).await;
        assert_eq!(life, ["order.pending", "order.reserved"]);
    }
    for order_id in new {
        let life = life_of(&world, *order_id).await;
        assert_eq!(life, ["order.pending", "order.rejected"]);
    }
}

/// The log may hold decisions about them, and is seen not to.
async fn orders_that_were_placed_before_the_first_assignment_do_not_wait_for_the_sweep(
    database: TestDatabase,
) {
    let mut world = world(database).await;
    world.sweep_interval = Duration::from_secs(3600);
    let order_id = OrderId::from_idempotency_key("test", "early");
    place(&world, order_id).await;
    let (running, _) = Running::start(&world, &Reserve::default());
    world.until_status(order_id, "RESERVED").await;
    running.stop().await;
    let life = life_of(&world, order_id).await;
    assert_eq!(life, ["order.pending", "order.reserved"]);
}
