//! A fresh database per test, orders, and the sums that must hold.

use std::env;
use std::future::Future;
use std::time::{Duration, Instant};

use base_domains::{OrderEvent, OrderId, OrderStatus, WireLine, WireOrder};
use service_runtime::database::{Database, DatabaseConfig, ErrorClass};
use service_runtime::participant::{DecideError, Decision};
use sqlx::{AssertSqlSafe, Executor};
use stock_service::catalogue::Catalogue;
use stock_service::decider::StockDecider;
use stock_service::decision::{Action, Request};
use stock_service::store::MIGRATIONS;
use tempfile::TempDir;
use uuid::Uuid;

/// A database that exists for one test; its configuration opens it again, like a second process.
pub(crate) struct Fresh {
    pub(crate) config: DatabaseConfig,
    pub(crate) database: Database,
    schema: Option<(String, String)>,
    _folder: TempDir,
}

impl Fresh {
    /// One migrated database of each kind that there is here.
    pub(crate) async fn of_each_kind() -> Vec<Self> {
        let mut all = vec![Self::sqlite().await];
        if let Ok(server) = env::var("TEST_POSTGRES") {
            all.push(Self::postgres(server).await);
        }
        all
    }

    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("stock.db").display());
        Self::migrated(url, None, folder).await
    }

    async fn postgres(server: String) -> Self {
        let schema = format!("stock_{}", Uuid::now_v7().simple());
        run(&server, format!("CREATE SCHEMA {schema}")).await;
        let url = format!("{server}?options[search_path]={schema}");
        let folder = tempfile::tempdir().unwrap();
        Self::migrated(url, Some((server, schema)), folder).await
    }

    async fn migrated(url: String, schema: Option<(String, String)>, folder: TempDir) -> Self {
        let config = DatabaseConfig::new(url);
        let database = Database::open(&config).unwrap();
        database.migrate(&[&MIGRATIONS]).await.unwrap();
        Self {
            config,
            database,
            schema,
            _folder: folder,
        }
    }

    /// A handle of its own, as another process would have.
    pub(crate) fn another(&self) -> Database {
        Database::open(&self.config).unwrap()
    }

    /// Removes what the test left on a server.
    pub(crate) async fn remove(self) {
        self.database.close().await;
        if let Some((server, schema)) = self.schema {
            run(&server, format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }
}

async fn run(server: &str, sql: String) {
    let database = Database::open(&DatabaseConfig::new(server)).unwrap();
    database.pool().execute(AssertSqlSafe(sql)).await.unwrap();
    database.close().await;
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
