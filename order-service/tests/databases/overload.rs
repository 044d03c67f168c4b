//! Twice as many requests as the service can answer: what is too much is refused at once, the rest goes on.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use test_support::{Kind, Test, TestDatabase, test};
use tokio::task::JoinSet;

use crate::support::{Manner, Request, Service, Setup};

/// How long the broker takes for an acknowledgement, and how many orders may wait for one: the capacity.
const ACKNOWLEDGEMENT: Duration = Duration::from_millis(800);
const AT_A_TIME: usize = 8;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(at_twice_the_capacity_orders_are_refused_at_once_and_the_others_placed_as_before)
            .only(Kind::Sqlite)
            .threads(2),
    ]
}

/// What clients were told that ordered all the time, one order after the other.
#[derive(Default)]
struct Load {
    placed: Vec<String>,
    refused: Vec<Duration>,
}

/// Has so many clients order until there are `wanted` orders.
async fn load(service: &Service, clients: usize, wanted: usize) -> (Load, Duration) {
    let start = Instant::now();
    let enough = Arc::new(AtomicBool::new(false));
    let before = service.producer.taken().len();
    let mut running = JoinSet::new();
    for _ in 0..clients {
        let (address, enough) = (service.address, Arc::clone(&enough));
        running.spawn(async move {
            let (mut load, order) = (
                Load::default(),
                json!({"name": "pen", "qty": 1, "price": 1}),
            );
            while !enough.load(Ordering::Relaxed) {
                let start = Instant::now();
                let answer = Request::post(&order).send(address).await;
                if answer.status == 201 {
                    load.placed.push(answer.placed());
                    continue;
                }
                assert_eq!(answer.problem(503)["detail"], "too many requests at a time");
                assert_eq!(answer.header("retry-after"), Some("1"));
                load.refused.push(start.elapsed());
                // Not the second that it was asked to wait, but not at once either.
                tokio::time::sleep(ACKNOWLEDGEMENT / 5).await;
            }
            load
        });
    }
    crate::support::eventually("enough orders", || {
        service.producer.taken().len() >= before + wanted
    })
    .await;
    let elapsed = start.elapsed();
    enough.store(true, Ordering::Relaxed);
    let mut all = Load::default();
    for load in running.join_all().await {
        all.placed.extend(load.placed);
        all.refused.extend(load.refused);
    }
    all.refused.sort();
    (all, elapsed)
}

async fn at_twice_the_capacity_orders_are_refused_at_once_and_the_others_placed_as_before(
    database: TestDatabase,
) {
    let setup = Setup {
        max_in_flight: AT_A_TIME,
        ..Setup::default()
    };
    let service = Service::with(database, setup).await;
    service.producer.set(Manner::Slow(ACKNOWLEDGEMENT));
    const ORDERS: usize = 48;

    let (fitting, alone) = load(&service, AT_A_TIME, ORDERS).await;
    let (twice, overloaded) = load(&service, 2 * AT_A_TIME, ORDERS).await;
    let (after, recovered) = load(&service, AT_A_TIME, ORDERS).await;
    let refused = twice.refused.len();
    let median = twice.refused[refused / 2];
    println!(
        "{ORDERS} orders: {alone:?} at capacity, {overloaded:?} at twice that with {refused} refused, \
         half of them within {median:?}; {recovered:?} afterwards"
    );

    assert!(refused > ORDERS / 4, "{refused}");
    assert!(median < ACKNOWLEDGEMENT / 2, "{median:?}");
    // Throughput is kept, and comes back.
    assert!(overloaded < 2 * alone, "{overloaded:?}, {alone:?}");
    assert!(recovered < 2 * alone, "{recovered:?}, {alone:?}");
    // Where the clients are as many as the places, each finds one.
    assert_eq!((fitting.refused.len(), after.refused.len()), (0, 0));

    let log: HashSet<String> = service.producer.events().iter().map(order_id).collect();
    let placed = [fitting.placed, twice.placed, after.placed].concat();
    assert_eq!(
        placed.len(),
        log.len(),
        "each answered order once, and no refused one"
    );
    assert!(placed.iter().all(|id| log.contains(id)));
}

fn order_id(event: &serde_json::Value) -> String {
    event["order"]["orderId"].as_str().unwrap().to_owned()
}
