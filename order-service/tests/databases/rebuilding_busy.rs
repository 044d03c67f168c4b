//! A rebuild beside others that keep the database to themselves for a moment.

use std::time::Duration;

use order_service::query::rebuild::{Progress, RebuildParts, rebuild};
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::lifecycle::Shutdown;
use test_support::TestDatabase;
use test_support::{Test, test};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::support::{Source, World, options, parts};

/// How long the rebuild waits for SQLite's lock in one attempt.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longer than one attempt, shorter than all of them.
const BUSY: Duration = Duration::from_secs(3);
/// A rebuild that has written nothing for so long renews its claim.
const RENEWAL: Duration = Duration::from_millis(5_100);

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(leftovers_are_deleted_although_the_database_is_busy_for_a_moment).threads(2),
        test!(the_claim_is_renewed_although_the_database_is_busy_for_a_moment).threads(2),
    ]
}

fn impatient(world: &World) -> RebuildParts<Source> {
    let mut config = DatabaseConfig::new(world.url.as_str());
    if world.url.starts_with("sqlite:") {
        config.acquire_timeout = PATIENCE;
    }
    RebuildParts {
        database: Database::open(&config).unwrap(),
        ..parts(&world.url, world.topic.source(), &Shutdown::new())
    }
}

/// Has the lock of the claim, which on SQLite is that of the database, when it returns, and gives it back later.
fn keep_busy(database: &Database) {
    let handle = Handle::current();
    let tx = block_in_place(|| {
        handle.block_on(async {
            let mut tx = database.begin().await.unwrap();
            sqlx::query("UPDATE read_model_rebuild SET lease_until = lease_until")
                .execute(&mut *tx)
                .await
                .unwrap();
            tx
        })
    });
    handle.spawn(async move {
        tokio::time::sleep(BUSY).await;
        tx.rollback().await.unwrap();
    });
}

async fn leftovers_are_deleted_although_the_database_is_busy_for_a_moment(database: TestDatabase) {
    let world = World::with_orders(database).await;
    let before = world.rows().await;
    // What it tells comes before the old generation is deleted.
    let tell = |_: &_| keep_busy(&world.service.database);
    let report = rebuild(impatient(&world), &options(false), tell).await;
    let report = report.unwrap();
    assert_eq!((report.different, report.switched), (0, true), "{report}");
    assert_eq!(world.generations().await, [2]);
    assert_eq!(world.rows().await, before);
}

/// Keeps the database busy when the comparison begins, and the claim has to be renewed.
struct BusyAtComparison(Database);

impl std::io::Write for BusyAtComparison {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.starts_with(b"comparing") {
            block_in_place(|| std::thread::sleep(RENEWAL));
            keep_busy(&self.0);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn the_claim_is_renewed_although_the_database_is_busy_for_a_moment(database: TestDatabase) {
    let world = World::with_orders(database).await;
    let mut parts = impatient(&world);
    let busy = BusyAtComparison(world.service.database.clone());
    parts.progress = Progress::new(busy, false);
    let report = rebuild(parts, &options(false), |_| {}).await.unwrap();
    assert_eq!((report.different, report.switched), (0, true), "{report}");
    assert_eq!(world.generations().await, [2]);
}
