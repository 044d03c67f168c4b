//! A server that vanished from the network: nothing is refused and nothing is closed, there is only
//! no answer.

use std::time::{Duration, Instant};

use service_runtime::database::{Database, DatabaseConfig, DatabaseError, ErrorClass, within};
use service_runtime::health::Health;
use service_runtime::lifecycle::Shutdown;
use service_runtime::service::migrate_when_up;
use sqlx::Executor;
use test_support::{Kind, Proxy, Test, TestDatabase, test};
use tokio::time::timeout;

use crate::support::eventually;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(requests_that_got_no_answer_give_their_connections_back).only(Kind::Postgres),
        test!(closing_is_bounded).only(Kind::Postgres),
        test!(a_look_whether_the_database_answers_is_bounded).only(Kind::Postgres),
        test!(a_shutdown_does_not_wait_for_a_migration).only(Kind::Postgres),
    ]
}

/// Longer than every bound below, shorter than any patience of the operating system.
const DEADLINE: Duration = Duration::from_secs(15);

async fn behind_a_proxy(database: &TestDatabase) -> (Proxy, Database) {
    let proxy = Proxy::to(database.url()).await.unwrap();
    let mut config = DatabaseConfig::new(proxy.url());
    config.max_connections = 2;
    config.acquire_timeout = Duration::from_secs(2);
    (proxy, Database::open(&config).unwrap())
}

async fn requests_that_got_no_answer_give_their_connections_back(database: TestDatabase) {
    let (proxy, database) = behind_a_proxy(&database).await;
    let all = [
        database.begin().await.unwrap(),
        database.begin().await.unwrap(),
    ];
    proxy.vanish();
    for mut tx in all {
        let request = async { Ok(tx.execute("SELECT 1").await?) };
        let error = within(Duration::from_millis(100), request).await;
        assert!(matches!(error, Err(DatabaseError::NoAnswer(_))));
    }
    proxy.come_back();
    eventually("a connection", async || database.ping().await.is_ok()).await;
    let both = (database.begin().await, database.begin().await);
    assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
}

async fn closing_is_bounded(database: TestDatabase) {
    let (proxy, database) = behind_a_proxy(&database).await;
    let held = database.begin().await.unwrap();
    proxy.vanish();
    timeout(DEADLINE, database.close()).await.unwrap();
    drop(held);
}

async fn a_look_whether_the_database_answers_is_bounded(database: TestDatabase) {
    let (proxy, database) = behind_a_proxy(&database).await;
    database.ping().await.unwrap();
    proxy.vanish_at("SELECT 1");
    let error = timeout(DEADLINE, database.ping()).await.unwrap();
    assert_eq!(error.unwrap_err().class(), ErrorClass::Unavailable);
    assert!(proxy.has_vanished());
}

async fn a_shutdown_does_not_wait_for_a_migration(database: TestDatabase) {
    let (proxy, database) = behind_a_proxy(&database).await;
    proxy.vanish_at("CREATE TABLE");
    let shutdown = Shutdown::new();
    let component = Health::new(&shutdown).component("database");
    let migration = migrate_when_up(&database, &[], &component, &shutdown);
    let stop = async {
        eventually("the outage", async || proxy.has_vanished()).await;
        shutdown.trigger();
    };
    let started = Instant::now();
    let (migrated, ()) = timeout(DEADLINE, async { tokio::join!(migration, stop) })
        .await
        .unwrap_or_else(|_| panic!("still waiting after {:?}", started.elapsed()));
    assert!(!migrated.unwrap());
}
