//! D5: a pool of one connection, and a database that is slow: waits are bounded, nothing is
//! dead-lettered, and the service says what it waits for.

use std::time::{Duration, Instant};

use service_runtime::database::{Database, DatabaseConfig, ErrorClass};
use test_support::{Fault, Kind, Proxy, Test, TestDatabase, test};

use crate::participant::{World, world};
use crate::sqlstates::{Running, assert_one_outcome, not_ready, order, place, start};
use crate::support::{eventually, execute};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(the_only_connection_is_waited_for_within_bounds_while_somebody_else_has_it)
            .only(Kind::Postgres)
            .threads(2),
        test!(a_statement_that_takes_too_long_is_cut_off_and_its_batch_waits)
            .only(Kind::Postgres)
            .threads(2),
        test!(a_slow_way_to_the_database_makes_a_participant_slow_and_nothing_worse)
            .only(Kind::Postgres)
            .threads(2),
    ]
}

const ACQUIRE: Duration = Duration::from_millis(300);

/// A pool of one connection to this database.
fn one_connection(url: &str, statement_timeout: Duration) -> Database {
    let mut config = DatabaseConfig::new(url);
    config.max_connections = 1;
    config.acquire_timeout = ACQUIRE;
    config.statement_timeout = statement_timeout;
    Database::open(&config).unwrap()
}

/// A running participant that has decided about its first order.
async fn working(database: TestDatabase, narrow: Database) -> (World, Running) {
    let world = world(database).await;
    let running = start(&world, narrow);
    place(&world, order("first")).await;
    world.until_status(order("first"), "RESERVED").await;
    (world, running)
}

/// It goes on by itself, and what waited has one outcome.
async fn goes_on(world: &World, running: Running) {
    world.until_status(order("second"), "RESERVED").await;
    eventually("readiness", async || world.report()["status"] == "ready").await;
    running.stop().await;
    assert_one_outcome(world, &["first", "second"].map(order)).await;
}

async fn the_only_connection_is_waited_for_within_bounds_while_somebody_else_has_it(
    database: TestDatabase,
) {
    let narrow = one_connection(database.url(), Duration::from_secs(60));
    let (world, running) = working(database, narrow.clone()).await;
    let taken = loop {
        // The participant's own looks come in between.
        if let Ok(taken) = narrow.begin().await {
            break taken;
        }
    };
    place(&world, order("second")).await;
    not_ready(&world, "pool timed out").await;
    assert_eq!(world.status(order("second")).await, "");
    let asked = Instant::now();
    let error = narrow.begin().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    // In line with the participant's own requests.
    assert!(asked.elapsed() < ACQUIRE * 10, "{:?}", asked.elapsed());
    drop(taken);
    goes_on(&world, running).await;
}

async fn a_statement_that_takes_too_long_is_cut_off_and_its_batch_waits(database: TestDatabase) {
    let narrow = one_connection(database.url(), Duration::from_secs(1));
    let (world, running) = working(database, narrow).await;
    for statement in [
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$",
        "CREATE TRIGGER dawdle BEFORE INSERT OR UPDATE ON participant_orders \
         FOR EACH ROW EXECUTE FUNCTION dawdle()",
    ] {
        execute(&world.database, statement).await;
    }
    place(&world, order("second")).await;
    not_ready(&world, "statement timeout").await;
    assert_eq!(world.status(order("second")).await, "");
    execute(&world.database, "DROP TRIGGER dawdle ON participant_orders").await;
    goes_on(&world, running).await;
}

/// Each statement takes longer than a connection is waited for, so that of two who ask one fails.
async fn a_slow_way_to_the_database_makes_a_participant_slow_and_nothing_worse(
    database: TestDatabase,
) {
    let proxy = Proxy::to(database.url()).await.unwrap();
    let narrow = one_connection(proxy.url(), Duration::from_secs(60));
    let (world, running) = working(database, narrow).await;
    proxy.inject(Fault::Latency(ACQUIRE / 2));
    place(&world, order("second")).await;
    not_ready(&world, "pool timed out").await;
    proxy.heal();
    goes_on(&world, running).await;
}
