//! The decider on a database against the pure function over the whole history at once.

use std::collections::BTreeMap;

use base_domains::OrderId;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use service_runtime::database::{Database, DatabaseConfig};
use sqlx::{AssertSqlSafe, Executor as _};

use super::*;
use crate::decision::Decided;
use crate::decision::properties::{History, cut, history};
use crate::store::{self, Cause, MIGRATIONS};

async fn begin_with(database: &Database, stock: &Stock) {
    for table in ["stock", "reservations", "stock_adjustments"] {
        let clear = AssertSqlSafe(format!("DELETE FROM {table}"));
        database.pool().execute(clear).await.unwrap();
    }
    let mut tx = database.begin().await.unwrap();
    let levels = stock.levels.iter();
    let seed = levels.map(|(product, level)| (product.clone(), level.available));
    let dialect = database.dialect();
    Store { dialect }
        .create_missing(&mut tx, Cause::Seed, &seed.collect())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn stored(database: &Database, orders: BTreeSet<OrderId>) -> Stock {
    let mut tx = database.begin().await.unwrap();
    let dialect = database.dialect();
    let reservations = Store { dialect }
        .lock_reservations(&mut tx, &orders)
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    Stock {
        levels: store::all(database).await.unwrap(),
        reservations,
    }
}

async fn created(database: &Database) -> BTreeMap<String, i64> {
    let ledger: Vec<(String, i64)> = sqlx::query_as(
        "SELECT product, delta FROM stock_adjustments WHERE cause = 'unknown_product'",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    let products = ledger.len();
    let ledger = BTreeMap::from_iter(ledger);
    assert_eq!(ledger.len(), products, "a product was created twice");
    ledger
}

async fn in_batches(
    database: &Database,
    history: &History,
    points: &BTreeSet<usize>,
) -> (Decided, Decided) {
    let requests = history.requests();
    begin_with(database, &history.stock()).await;
    let decider = StockDecider::new(database.dialect(), history.unknown);
    let mut decisions = Vec::new();
    for batch in cut(&requests, points) {
        let mut tx = database.begin().await.unwrap();
        decisions.extend(decider.answer(&mut tx, batch).await.unwrap());
        tx.commit().await.unwrap();
    }
    let orders = requests.iter().map(|request| request.order_id).collect();
    let stored = Decided {
        stock: stored(database, orders).await,
        created: created(database).await,
        decisions,
    };
    let at_once = decide(history.stock(), &requests, history.unknown).unwrap();
    (stored, at_once)
}

#[test]
fn the_database_holds_what_the_pure_function_says_however_the_log_is_cut() {
    test_support::on_every_database(|fresh| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _entered = runtime.enter();
        let database = Database::open(&DatabaseConfig::new(fresh.url())).unwrap();
        runtime.block_on(database.migrate(&[&MIGRATIONS])).unwrap();
        let points = prop::collection::btree_set(0..40usize, 0..10);
        let mut runner = TestRunner::new(Config::with_cases(100));
        runner
            .run(&(history(), points), |(history, points)| {
                let (stored, at_once) = runtime.block_on(in_batches(&database, &history, &points));
                prop_assert_eq!(stored, at_once);
                Ok(())
            })
            .unwrap();
    })
    .unwrap();
}
