//! Batches and operators at once, each with connections of its own like separate processes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use base_domains::{OrderEvent, OrderStatus, WireOrder};
use service_runtime::database::Database;
use service_runtime::kafka::{Interruption, Record};
use service_runtime::participant::Decision;
use service_runtime::testing::{Bench, MemoryLog, PARTITIONS};
use stock_service::decider::StockDecider;
use stock_service::inventory::Inventory;
use stock_service::level::Level;
use stock_service::unknown_product::UnknownProduct;
use test_support::{Test, TestDatabase, test};
use tokio::task::JoinSet;

use super::support::{Fresh, assert_conserved, catalogue, decide, number, order, request};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(batches_at_once_sell_exactly_what_there_is).threads(4),
        test!(batches_at_once_create_an_unknown_product_once).threads(4),
        test!(an_operator_between_batches_loses_no_piece).threads(4),
        test!(instances_whose_batches_overlap_in_another_order_decide_each_order_once).threads(4),
    ]
}

const WRITERS: usize = 6;
const BATCHES: usize = 5;
const BATCH: usize = 8;
const ORDERS: usize = WRITERS * BATCHES * BATCH;

fn is_reserved(decision: &Decision) -> bool {
    matches!(decision, Decision::Append(event) if event.status == OrderStatus::Reserved.into())
}

/// What the writers do with the orders that were reserved.
#[derive(Clone, Copy)]
enum Then {
    /// Nothing: the pieces stay reserved.
    Keep,
    /// Cancel every second one of a batch and ship the others.
    End,
}

/// Places orders of these products in batches; returns how many were reserved.
async fn write(
    database: Database,
    decider: StockDecider,
    products: Vec<&'static str>,
    then: Then,
) -> usize {
    let mut count = 0;
    for _ in 0..BATCHES {
        let orders: Vec<WireOrder> = (0..BATCH).map(|_| order(&products)).collect();
        let pending: Vec<_> = orders
            .iter()
            .map(|order| request(order, OrderStatus::Pending))
            .collect();
        let decisions = decide(&database, &decider, &pending).await;
        let mut reserved: Vec<WireOrder> = Vec::new();
        for (order, decision) in orders.into_iter().zip(&decisions) {
            reserved.extend(is_reserved(decision).then_some(order));
        }
        count += reserved.len();
        if let Then::End = then {
            end(&database, &decider, &reserved).await;
        }
    }
    database.close().await;
    count
}

async fn end(database: &Database, decider: &StockDecider, orders: &[WireOrder]) {
    let ends = [OrderStatus::Cancelled, OrderStatus::Shipped];
    let ends: Vec<_> = orders
        .iter()
        .zip(ends.iter().cycle())
        .map(|(order, status)| request(order, *status))
        .collect();
    let done = decide(database, decider, &ends).await;
    assert_eq!(done, vec![Decision::Done; ends.len()]);
}

/// All writers at once, half of them naming the products the other way round.
async fn write_at_once(fresh: &Fresh, unknown: UnknownProduct, then: Then) -> i64 {
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let mut products = vec!["a", "b", "c"];
        if number % 2 == 1 {
            products.reverse();
        }
        let database = fresh.another();
        let decider = StockDecider::new(database.dialect(), unknown);
        writers.spawn(write(database, decider, products, then));
    }
    writers.join_all().await.into_iter().sum::<usize>() as i64
}

async fn levels(fresh: &Fresh) -> Vec<Level> {
    let inventory = Inventory::new(fresh.database.clone());
    inventory.seed(&catalogue(&[])).await.unwrap();
    inventory.all().await.unwrap().into_values().collect()
}

async fn batches_at_once_sell_exactly_what_there_is(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let inventory = Inventory::new(fresh.database.clone());
    let plenty = ORDERS as i64;
    let seed = [("a", plenty), ("b", 25), ("c", plenty)];
    inventory.seed(&catalogue(&seed)).await.unwrap();
    let reserved = write_at_once(&fresh, UnknownProduct::Reject, Then::Keep).await;
    assert_eq!(reserved, 25);
    let level = |seeded: i64| Level {
        available: seeded - 25,
        reserved: 25,
        shipped: 0,
    };
    assert_eq!(levels(&fresh).await, [plenty, 25, plenty].map(level));
    let held = "SELECT COUNT(*) FROM reservations WHERE state = 'held'";
    assert_eq!(number(&fresh.database, held).await, 25);
    assert_conserved(&fresh.database).await;
}

async fn batches_at_once_create_an_unknown_product_once(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let unknown = UnknownProduct::Create(10_000);
    let reserved = write_at_once(&fresh, unknown, Then::End).await;
    assert_eq!(reserved, ORDERS as i64);
    let shipped = (ORDERS / 2) as i64;
    let expected = Level {
        available: 10_000 - shipped,
        reserved: 0,
        shipped,
    };
    assert_eq!(levels(&fresh).await, [expected; 3]);
    let created = "SELECT COUNT(*) FROM stock_adjustments WHERE cause = 'unknown_product'";
    assert_eq!(number(&fresh.database, created).await, 3);
    assert_conserved(&fresh.database).await;
}

async fn an_operator_between_batches_loses_no_piece(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let inventory = Inventory::new(fresh.database.clone());
    let seed = [("a", 50), ("b", 50), ("c", 50)];
    inventory.seed(&catalogue(&seed)).await.unwrap();
    let operator = {
        let inventory = Inventory::new(fresh.another());
        tokio::spawn(async move {
            inventory.seed(&catalogue(&[])).await.unwrap();
            for number in 0..40 {
                let product = ["a", "b", "c"][number % 3];
                let adjusted = inventory.set_available(product, 30).await.unwrap();
                assert_eq!(adjusted.level.available, 30);
                assert!(!adjusted.created);
            }
        })
    };
    write_at_once(&fresh, UnknownProduct::Reject, Then::End).await;
    operator.await.unwrap();
    let levels = levels(&fresh).await;
    assert!(levels.iter().all(|level| level.reserved == 0), "{levels:?}");
    assert_conserved(&fresh.database).await;
}

/// Instances that all read everything, as those do that lost their partitions without knowing it.
const INSTANCES: usize = 8;

/// Orders whose lines name the same products, each in another order.
fn permuted(count: usize) -> Vec<WireOrder> {
    const PERMUTATIONS: [[&str; 3]; 6] = [
        ["a", "b", "c"],
        ["c", "b", "a"],
        ["b", "a", "c"],
        ["c", "a", "b"],
        ["a", "c", "b"],
        ["b", "c", "a"],
    ];
    let products = PERMUTATIONS.iter().cycle().take(count);
    products.map(|products| order(products)).collect()
}

/// The records as `instance` polls them: each partition in its order, and these in another one for each
/// instance, in batches of other sizes.
fn batches(records: &[Record], instance: usize) -> Vec<Vec<Record>> {
    let offset = i32::try_from(instance).unwrap();
    let mut polled = records.to_vec();
    match instance % 2 {
        // One partition after the other, from another one on.
        0 => polled.sort_by_key(|record| (record.partition + offset) % PARTITIONS),
        // One record of each in turn.
        _ => polled.sort_by_key(|one| (one.offset, (one.partition + offset) % PARTITIONS)),
    }
    polled
        .chunks(instance + 5)
        .map(<[Record]>::to_vec)
        .collect()
}

async fn instances_whose_batches_overlap_in_another_order_decide_each_order_once(
    database: TestDatabase,
) {
    const PIECES: i64 = 25;
    let fresh = Fresh::new(database).await;
    let inventory = Inventory::new(fresh.database.clone());
    let orders = permuted(60);
    let plenty = orders.len() as i64;
    let seed = [("a", plenty), ("b", PIECES), ("c", plenty)];
    inventory.seed(&catalogue(&seed)).await.unwrap();
    let log = MemoryLog::default();
    let pending = |order: &WireOrder| OrderEvent::new(OrderStatus::Pending, order.clone());
    let placed: Vec<Record> = orders
        .iter()
        .map(|order| log.append(&pending(order)))
        .collect();

    let deadline = Instant::now() + Duration::from_secs(60);
    let mut instances = JoinSet::new();
    for instance in 0..INSTANCES {
        let connections = fresh.another();
        let decider = StockDecider::new(connections.dialect(), UnknownProduct::Reject);
        let bench = Bench::new("stock", "stock-service", &connections, &log, decider);
        let batches = batches(&placed, instance);
        instances.spawn(async move {
            for batch in &batches {
                // As the consumer loop does when it was busy too often, or a connection was slow to come.
                while let Err(waits) = bench.try_read(batch).await {
                    assert!(matches!(waits, Interruption::Unavailable(_)), "{waits}");
                    assert!(Instant::now() < deadline, "{waits}");
                }
            }
        });
    }
    instances.join_all().await;

    assert_eq!(log.letters().len(), 0, "no deadlock is a defect");
    let level = |seeded: i64| Level {
        available: seeded - PIECES,
        reserved: PIECES,
        shipped: 0,
    };
    let expected = [plenty, PIECES, plenty].map(level);
    assert_eq!(levels(&fresh).await, expected);
    let held = "SELECT COUNT(*) FROM reservations WHERE state = 'held'";
    assert_eq!(number(&fresh.database, held).await, PIECES);
    assert_conserved(&fresh.database).await;
    for order in &orders {
        let records = log.of(order.order_id);
        let distinct: BTreeSet<_> = records.iter().map(|record| &record.value).collect();
        assert_eq!(distinct.len(), 2, "placed, and decided about once");
    }
}
