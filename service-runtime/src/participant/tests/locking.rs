//! In which order rows are locked (rule R1).

use test_support::TestDatabase;

use super::*;

/// Otherwise two batches could wait for each other.
#[test]
fn no_row_is_held_while_an_earlier_one_is_waited_for() {
    let test = |fresh: &TestDatabase| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { held_while_waiting(world_on(fresh.url()).await).await });
    };
    test_support::on_postgres([test]).unwrap();
}

async fn held_while_waiting(world: World) {
    let (database, store) = (&world.shared.database, &world.shared.store);
    let mut orders = ["a", "b"].map(order);
    orders.sort();
    let [first, last] = orders;
    for id in orders {
        world.row(id).await;
    }
    let mut holder = database.begin().await.unwrap();
    let held = BTreeMap::from([(first, 0)]);
    store.lock_orders(&mut holder, &held).await.unwrap();
    let holding = sqlx::query_scalar("SELECT pg_backend_pid()");
    let holding: i32 = holding.fetch_one(&mut *holder).await.unwrap();
    let waiting = async {
        let mut tx = database.begin().await.unwrap();
        let both = BTreeMap::from([(first, 0), (last, 0)]);
        store.lock_orders(&mut tx, &both).await.unwrap()
    };
    let looking = async {
        until_waited_for(database, holding).await;
        let free =
            "SELECT order_id FROM participant_orders WHERE order_id = $1 FOR UPDATE SKIP LOCKED";
        let free = sqlx::query(free).bind(last.to_string());
        let free = free.fetch_optional(database.pool()).await.unwrap();
        assert!(free.is_some(), "the last row is held already");
        holder.rollback().await.unwrap();
    };
    let (locked, ()) = tokio::join!(waiting, looking);
    assert!(locked.keys().eq([&first, &last]));
}

/// Until somebody waits for a lock of the session `holding`.
async fn until_waited_for(database: &Database, holding: i32) {
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))";
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let count = sqlx::query_scalar(waiting).bind(holding);
            let count: i64 = count.fetch_one(database.pool()).await.unwrap();
            if count > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "nobody waits");
}
