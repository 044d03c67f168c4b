//! A database of the version before the read model had generations.

use order_service::MIGRATIONS;
use service_runtime::database::{Database, DatabaseConfig};
use sqlx::Row as _;
use sqlx::migrate::Migrator;
use test_support::{Test, TestDatabase, test};

use crate::support::{Request, Service, execute};

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(
        the_read_model_that_is_there_becomes_the_first_generation
    )]
}

/// The last version without generations.
const BEFORE: i64 = 1005;

async fn the_read_model_that_is_there_becomes_the_first_generation(database: TestDatabase) {
    let known = MIGRATIONS.iter().filter(|known| known.version <= BEFORE);
    let before = Migrator::with_migrations(known.cloned().collect());
    let before: &'static Migrator = Box::leak(Box::new(before));
    let old = Database::open(&DatabaseConfig::new(database.url())).unwrap();
    old.migrate(&[before]).await.unwrap();
    execute(
        &old,
        "INSERT INTO order_views VALUES \
         ('01890a5d-ac96-774b-bcce-b302099a8057', 'REJECTED', 'out_of_stock', '', 1000, 2000)",
    )
    .await;
    execute(
        &old,
        "INSERT INTO order_history VALUES \
         ('01890a5d-ac96-774b-bcce-b302099a8057', 'PENDING', '', 1, 7, 1000), \
         ('01890a5d-ac96-774b-bcce-b302099a8057', 'REJECTED', 'out_of_stock', 1, 9, 2000)",
    )
    .await;
    old.close().await;

    let service = Service::start(database).await;
    let get = Request::get("/api/v1/orders/01890a5d-ac96-774b-bcce-b302099a8057/events");
    let history = get.send(service.address).await.json();
    assert_eq!(history["status"], "REJECTED");
    let places: Vec<_> = history["events"].as_array().unwrap().iter().collect();
    assert_eq!(
        (&places[0]["offset"], &places[1]["offset"]),
        (&7.into(), &9.into())
    );
    let list = Request::get("/api/v1/orders?status=REJECTED");
    let list = list.send(service.address).await.json();
    assert_eq!(list["orders"][0]["reason"], "out_of_stock");
    let rows = sqlx::query("SELECT generation FROM read_model")
        .fetch_all(service.database.pool())
        .await;
    let generations: Vec<i64> = rows.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(generations, [1]);
}
