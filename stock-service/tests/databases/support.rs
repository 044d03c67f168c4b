//! The database of a test, orders, and the sums that must hold.

use std::future::Future;
use std::time::{Duration, Instant};

use base_domains::{OrderEvent, OrderId, OrderStatus, WireLine, WireOrder};
use service_runtime::database::{Database, DatabaseConfig, ErrorClass};
use service_runtime::participant::{DecideError, Decision};
use sqlx::AssertSqlSafe;
use stock_service::catalogue::Catalogue;
use stock_service::decider::StockDecider;
use stock_service::decision::{Action, Request};
use stock_service::store::MIGRATIONS;
use test_support::TestDatabase;
use uuid::Uuid;

/// A migrated database of one test; its configuration opens it again, like a second process.
pub(crate) struct Fresh {
    pub(crate) config: DatabaseConfig,
    pub(crate) database: Database,
}

impl Fresh {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let config = DatabaseConfig::new(database.url());
        let database = Database::open(&config).unwrap();
        database.migrate(&[&MIGRATIONS]).await.unwrap();
        Self { config, database }
    }

    /// A handle of its own, as another process would have.
    pub(crate) fn another(&self) -> Database {
        Database::open(&self.config).unwrap()
    }
}

/// The one number that a query gives.
pub(crate) async fn number(database: &Database, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT CAST(({sql}) AS BIGINT)")))
        .fetch_one(database.pool())
        .await
        .unwrap()
}

/// Invariant 3: for every product, what the ledger adds up to is there.
pub(crate) async fn assert_conserved(database: &Database) {
    let broken = "SELECT COUNT(*) FROM stock s WHERE s.available + s.reserved + s.shipped <> \
         (SELECT COALESCE(SUM(a.delta), 0) FROM stock_adjustments a WHERE a.product = s.product)";
    assert_eq!(number(database, broken).await, 0);
    let unknown =
        "SELECT COUNT(*) FROM stock_adjustments WHERE product NOT IN (SELECT product FROM stock)";
    assert_eq!(number(database, unknown).await, 0);
}

/// A catalogue of these products.
pub(crate) fn catalogue(products: &[(&str, i64)]) -> Catalogue {
    let table = |(name, available): &(&str, i64)| {
        format!("[[product]]\nname = \"{name}\"\navailable = {available}\n")
    };
    let text: String = products.iter().map(table).collect();
    Catalogue::parse(&text).unwrap()
}

/// An order of one piece of each of these products, with an id of its own.
pub(crate) fn order(products: &[&str]) -> WireOrder {
    let line = |name: &&str| WireLine {
        name: (*name).to_owned(),
        qty: 1,
        price: 10.0,
    };
    let items: Vec<WireLine> = products.iter().map(line).collect();
    WireOrder {
        order_id: OrderId::new(Uuid::now_v7()),
        name: items[0].name.clone(),
        qty: items[0].qty,
        price: items[0].price,
        email: None,
        items: (items.len() > 1).then_some(items),
    }
}

/// What the change of `order` to `status` asks for.
pub(crate) fn request(order: &WireOrder, status: OrderStatus) -> Request {
    Request {
        order_id: order.order_id,
        action: Action::new(status, || Ok(OrderEvent::new(status, order.clone()))),
    }
}

/// Decides about one batch like a participant: a lost race is run again.
pub(crate) async fn decide(
    database: &Database,
    decider: &StockDecider,
    requests: &[Request],
) -> Vec<Decision> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < deadline, "the race never ended");
        match try_decide(database, decider, requests).await {
            Ok(decisions) => return decisions,
            Err(DecideError::Database(error)) if error.class() == ErrorClass::Again => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn try_decide(
    database: &Database,
    decider: &StockDecider,
    requests: &[Request],
) -> Result<Vec<Decision>, DecideError> {
    let mut tx = database.begin().await?;
    let decisions = decider.answer(&mut tx, requests).await?;
    tx.commit().await?;
    Ok(decisions)
}

/// Waits until the condition holds, at most 60 seconds.
pub(crate) async fn eventually<F>(what: &str, mut condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
