//! The read model made anew, beside a running one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use base_domains::{OrderEvent, OrderId, OrderStatus, header, reason};
use order_service::query::rebuild::{Progress, RebuildError, rebuild};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use service_runtime::kafka::Record;
use service_runtime::lifecycle::Shutdown;
use sqlx::Row as _;
use test_support::{Test, TestDatabase, test};
use tokio::task::block_in_place;

use crate::support::{
    DEADLINE, GROUP, PARTITIONS, Request, Topic, World, execute, options, order, order_id, parts,
    plain, rebuilt,
};

use OrderStatus::{Cancelled, Paid, Pending, Rejected, Reserved, Shipped};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(what_is_rebuilt_is_what_was_folded_whatever_the_log_holds).threads(2),
        test!(what_was_tampered_with_is_told_and_repaired),
        test!(a_dry_run_tells_the_differences_and_changes_nothing),
        test!(what_is_folded_while_it_is_compared_and_switched_is_not_lost).threads(3),
        test!(a_rebuild_that_died_holds_the_next_one_up_only_until_its_lease_is_over),
        test!(a_rebuild_that_was_asleep_too_long_changes_nothing).threads(2),
        test!(a_rebuild_that_is_asked_to_end_leaves_everything_as_it_was),
        test!(it_comes_as_far_as_the_running_one_and_that_goes_on_from_there),
        test!(a_fold_that_is_not_the_logs_is_brought_in_line),
    ]
}

/// Appends one of all the records that there may be about an order.
fn append_any(topic: &Topic, id: OrderId, random: &mut StdRng) -> Record {
    let status = OrderStatus::ALL[random.random_range(0..OrderStatus::ALL.len())];
    let mut event = OrderEvent::new(status, plain(id));
    event.order.qty = random.random_range(1..100);
    if matches!(status, Rejected | Cancelled) {
        event = event.with_reason([reason::OUT_OF_STOCK, "a\0b"][random.random_range(0..2)]);
    }
    let value = event.to_json().unwrap().into_bytes();
    let redriven = |group: &str| {
        let mut record = Topic::default().event(&event);
        let header = (header::REDRIVE_GROUP.to_owned(), group.into());
        record.headers.push(header);
        record
    };
    let append = |record: Record| topic.append(record.partition, record.headers, record.value);
    match random.random_range(0..20) {
        // The id and the status are in the headers.
        0 | 1 => {
            let record = Topic::default().event(&event);
            topic.append(record.partition, record.headers, Some(b"{".to_vec()))
        }
        2 | 3 => append(redriven(GROUP)),
        4 => append(redriven("another")),
        5 => topic.append(0, Vec::new(), Some(b"garbage".to_vec())),
        // The tutorial's: counts as PENDING wherever it is, and is bad as anything else.
        6 | 7 => topic.append(random.random_range(0..PARTITIONS), Vec::new(), Some(value)),
        8 => {
            let mut record = Topic::default().event(&event);
            for (name, value) in &mut record.headers {
                if name == header::CE_TYPE {
                    *value = b"order.packed".to_vec();
                }
            }
            append(record)
        }
        _ => topic.event(&event),
    }
}

async fn what_is_rebuilt_is_what_was_folded_whatever_the_log_holds(database: TestDatabase) {
    let world = World::new(database).await;
    let mut random = StdRng::seed_from_u64(7);
    let records: Vec<Record> = (0..2_500)
        .map(|_| {
            let id = order(random.random_range(0..400));
            append_any(&world.topic, id, &mut random)
        })
        .collect();
    let mut rest = &records[..];
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(random.random_range(1..=rest.len().min(150)));
        world.live.handle(batch).await;
        rest = later;
    }
    let live = world.rows().await;
    assert!(live.len() > 1_000, "{} rows", live.len());
    for (round, generation) in [(1, 2), (2, 3)] {
        let report = rebuilt(&world.url, world.topic.source(), false)
            .await
            .unwrap();
        assert_eq!(report.differences, [], "round {round}");
        assert_eq!((report.different, report.refolded), (0, 0));
        assert_eq!(report.events, 2_500);
        assert_eq!(report.orders, report.old_orders);
        assert!(report.orders > 350, "{report}");
        assert_eq!(world.rows().await, live);
        assert_eq!(world.generations().await, [generation]);
    }
}

async fn tamper(world: &World) {
    let database = &world.service.database;
    // By their ids, so that they are not those of this process alone.
    let (moved, gone, lost) = (order(0), order(1), order(2));
    for statement in [
        format!(
            "UPDATE order_views SET status = 'SHIPPED', updated_at = 9 WHERE order_id = '{moved}'"
        ),
        format!("DELETE FROM order_views WHERE order_id = '{gone}'"),
        format!("DELETE FROM order_history WHERE order_id = '{gone}'"),
        format!("DELETE FROM order_history WHERE order_id = '{lost}' AND status = 'REJECTED'"),
        format!(
            "INSERT INTO order_views (generation, order_id, status, reason, content, created_at, updated_at) \
             VALUES (1, '{}', 'PAID', '', '', 5, 5)",
            order_id("invented")
        ),
    ] {
        let statement = sqlx::query(sqlx::AssertSqlSafe(statement));
        statement.execute(database.pool()).await.unwrap();
    }
}

fn told(differences: &[order_service::query::rebuild::Difference], id: OrderId) -> Vec<String> {
    let of_order = differences.iter().filter(|found| found.order_id == id);
    of_order
        .map(|found| format!("{}: {} -> {}", found.field, found.old, found.new))
        .collect()
}

async fn what_was_tampered_with_is_told_and_repaired(database: TestDatabase) {
    let world = World::with_orders(database).await;
    let before = world.rows().await;
    tamper(&world).await;
    assert_ne!(world.rows().await, before);
    let report = rebuilt(&world.url, world.topic.source(), false)
        .await
        .unwrap();
    assert_eq!((report.different, report.switched), (4, true), "{report}");
    assert_eq!((report.orders, report.old_orders), (40, 40));
    let found = &report.differences;
    assert_eq!(
        told(found, order(0)),
        ["status: SHIPPED -> PENDING", "updatedAt: 9 -> 1000"]
    );
    let gone = told(found, order(1));
    assert!(
        gone.contains(&"status:  -> RESERVED".to_owned()),
        "{gone:?}"
    );
    assert!(
        gone.iter()
            .any(|line| line.starts_with("event PENDING:  -> "))
    );
    let lost = told(found, order(2));
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(lost[0].starts_with("event REJECTED:  -> "), "{lost:?}");
    let invented = told(found, order_id("invented"));
    assert!(
        invented.contains(&"status: PAID -> ".to_owned()),
        "{invented:?}"
    );
    assert_eq!(world.rows().await, before);
    assert_eq!(world.generations().await, [2]);
}

async fn a_dry_run_tells_the_differences_and_changes_nothing(database: TestDatabase) {
    let world = World::with_orders(database).await;
    let equal = rebuilt(&world.url, world.topic.source(), true)
        .await
        .unwrap();
    assert_eq!((equal.different, equal.switched), (0, false));
    tamper(&world).await;
    let tampered = world.rows().await;
    let report = rebuilt(&world.url, world.topic.source(), true)
        .await
        .unwrap();
    assert_eq!((report.different, report.switched), (4, false));
    assert_eq!(world.rows().await, tampered);
    assert_eq!(world.generations().await, [1]);
}

/// One batch is committed after the last look at how far the running one has come, and one is begun while the
/// switch holds its locks.
async fn what_is_folded_while_it_is_compared_and_switched_is_not_lost(database: TestDatabase) {
    let world = World::with_orders(database).await;
    let (before, during) = (order_id("before the switch"), order_id("during the switch"));
    let (begin, begun) = mpsc::channel::<Vec<Record>>();
    let (end, ended) = mpsc::channel::<()>();
    let done = Arc::new(AtomicUsize::new(0));
    let compared = Arc::new(AtomicBool::new(false));

    let mut source = world.topic.source();
    let (topic, look) = (world.topic.clone(), Arc::clone(&compared));
    let (first, ended) = (begin.clone(), Mutex::new(ended));
    source.on_remaining = Box::new(move || {
        if look.swap(false, Ordering::SeqCst) {
            let records = topic.story(before, &[Pending, Reserved]);
            first.send(records).unwrap();
            block_in_place(|| ended.lock().unwrap().recv().unwrap());
        }
    });
    let (topic, seen) = (world.topic.clone(), Arc::clone(&done));
    let mut under_lock = false;
    source.on_next = Box::new(move |_| {
        // The first batch is only read under the lock.
        let was_under_lock = std::mem::replace(&mut under_lock, seen.load(Ordering::SeqCst) == 1);
        if under_lock && !was_under_lock {
            let records = topic.story(during, &[Pending, Rejected]);
            begin.send(records).unwrap();
            let asked = Instant::now();
            while asked.elapsed() < Duration::from_millis(300) {
                assert_eq!(seen.load(Ordering::SeqCst), 1, "committed under the lock");
                block_in_place(|| std::thread::sleep(Duration::from_millis(5)));
            }
        }
    });
    let shutdown = Shutdown::new();
    let mut parts = parts(&world.url, source, &shutdown);
    parts.progress = Progress::new(Comparing(Arc::clone(&compared)), false);
    let rebuilding = tokio::spawn(async move { rebuild(parts, &options(false), |_| {}).await });
    let folding = async {
        for _ in 0..2 {
            let records = loop {
                match begun.try_recv() {
                    Ok(records) => break records,
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            };
            world.live.handle(&records).await;
            done.fetch_add(1, Ordering::SeqCst);
            end.send(()).ok();
        }
    };
    tokio::time::timeout(DEADLINE, folding).await.unwrap();
    let report = rebuilding.await.unwrap().unwrap();
    assert_eq!((report.different, report.orders), (0, 41), "{report}");
    for id in [before, during] {
        let get = Request::get(&format!("/api/v1/orders/{id}"));
        assert_eq!(get.send(world.service.address).await.status, 200, "{id}");
    }
    let again = rebuilt(&world.url, world.topic.source(), true)
        .await
        .unwrap();
    assert_eq!((again.different, again.orders), (0, 42), "{again}");
}

/// Notes when the comparison begins.
struct Comparing(Arc<AtomicBool>);

impl std::io::Write for Comparing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.starts_with(b"comparing") {
            self.0.store(true, Ordering::SeqCst);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Ends a rebuild as a kill does, once it has written something.
async fn killed(world: &World) {
    let (reached, wait) = tokio::sync::oneshot::channel();
    let mut reached = Some(reached);
    let mut source = world.topic.source();
    source.on_next = Box::new(move |handed_out| {
        if handed_out > 0
            && let Some(reached) = reached.take()
        {
            reached.send(()).unwrap();
        }
    });
    let parts = parts(&world.url, source, &Shutdown::new());
    let choice = options(false);
    tokio::select! {
        _ = wait => {}
        ended = rebuild(parts, &choice, |_| {}) => panic!("{ended:?}"),
    }
}

async fn a_rebuild_that_died_holds_the_next_one_up_only_until_its_lease_is_over(
    database: TestDatabase,
) {
    let world = World::with_orders(database).await;
    let before = world.rows().await;
    killed(&world).await;
    assert_eq!(world.generations().await, [1, 2]);
    assert_eq!(world.rows().await, before);
    let busy = rebuilt(&world.url, world.topic.source(), false).await;
    assert!(busy.as_ref().unwrap_err().is_refusal(), "{busy:?}");
    assert!(matches!(busy, Err(RebuildError::Busy(_))), "{busy:?}");
    // As if that time had passed.
    execute(
        &world.service.database,
        "UPDATE read_model_rebuild SET lease_until = 1",
    )
    .await;
    let report = rebuilt(&world.url, world.topic.source(), false)
        .await
        .unwrap();
    assert_eq!((report.new, report.different), (3, 0));
    assert_eq!(world.generations().await, [3]);
    assert_eq!(world.rows().await, before);
}

async fn a_rebuild_that_was_asleep_too_long_changes_nothing(database: TestDatabase) {
    let world = World::with_orders(database).await;
    let (wake, woken) = mpsc::channel::<()>();
    let (asleep, fell_asleep) = tokio::sync::oneshot::channel();
    let mut sleep = Some((asleep, woken));
    let mut source = world.topic.source();
    source.on_next = Box::new({
        let sleep = Mutex::new(sleep.take());
        move |handed_out| {
            let slept = sleep.lock().unwrap().take_if(|_| handed_out > 0);
            if let Some((asleep, woken)) = slept {
                asleep.send(()).unwrap();
                block_in_place(|| woken.recv().unwrap());
            }
        }
    });
    let parts = parts(&world.url, source, &Shutdown::new());
    let first = tokio::spawn(async move { rebuild(parts, &options(false), |_| {}).await });
    fell_asleep.await.unwrap();
    execute(
        &world.service.database,
        "UPDATE read_model_rebuild SET lease_until = 1",
    )
    .await;
    let second = rebuilt(&world.url, world.topic.source(), false)
        .await
        .unwrap();
    assert_eq!((second.new, second.switched), (3, true));
    let made = world.rows().await;
    wake.send(()).unwrap();
    let overtaken = first.await.unwrap();
    assert!(
        matches!(overtaken, Err(RebuildError::Overtaken)),
        "{overtaken:?}"
    );
    assert_eq!(world.rows().await, made);
    assert_eq!(world.generations().await, [3]);
}

async fn a_rebuild_that_is_asked_to_end_leaves_everything_as_it_was(database: TestDatabase) {
    let world = World::with_orders(database).await;
    let before = world.rows().await;
    let shutdown = Shutdown::new();
    let mut source = world.topic.source();
    let asked = shutdown.clone();
    source.on_next = Box::new(move |handed_out| {
        if handed_out > 0 {
            asked.trigger();
        }
    });
    let ended = rebuild(
        parts(&world.url, source, &shutdown),
        &options(false),
        |_| {},
    )
    .await;
    assert!(matches!(ended, Err(RebuildError::Interrupted)), "{ended:?}");
    assert_eq!(world.rows().await, before);
    // The next one need not wait, and tidies up.
    rebuilt(&world.url, world.topic.source(), false)
        .await
        .unwrap();
    assert_eq!(world.rows().await, before);
    assert_eq!(world.generations().await, [3]);
}

async fn it_comes_as_far_as_the_running_one_and_that_goes_on_from_there(database: TestDatabase) {
    let world = World::new(database).await;
    let first = world.topic.story(order(1), &[Pending, Reserved]);
    let later = world.topic.story(order(1), &[Paid, Shipped]);
    let other = world.topic.story(order(2), &[Pending]);
    world.live.handle(&first).await;
    let report = rebuilt(&world.url, world.topic.source(), false)
        .await
        .unwrap();
    assert_eq!((report.events, report.orders, report.different), (2, 1, 0));
    world.live.handle(&later).await;
    world.live.handle(&other).await;
    let live = world.rows().await;
    let report = rebuilt(&world.url, world.topic.source(), false)
        .await
        .unwrap();
    assert_eq!((report.events, report.orders, report.different), (5, 2, 0));
    assert_eq!(world.rows().await, live);
}

async fn a_fold_that_is_not_the_logs_is_brought_in_line(database: TestDatabase) {
    let world = World::with_orders(database).await;
    let before = world.rows().await;
    let database = &world.service.database;
    execute(
        database,
        "UPDATE participant_orders SET status = 'PENDING', state_rank = 1 WHERE status <> 'PENDING'",
    )
    .await;
    let report = rebuilt(&world.url, world.topic.source(), false)
        .await
        .unwrap();
    assert_eq!((report.different, report.refolded), (0, 26), "{report}");
    assert_eq!(world.rows().await, before);
    let select = "SELECT p.order_id FROM participant_orders p JOIN order_views v ON v.order_id = p.order_id \
        WHERE p.status <> v.status OR (p.status = 'RESERVED' AND p.state_rank <> 2)";
    let rows = sqlx::query(select)
        .fetch_all(database.pool())
        .await
        .unwrap();
    let wrong: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(wrong, [""; 0]);
    // A repeated event has no effect again.
    let late = world.topic.story(order(1), &[Reserved]);
    world.live.handle(&late).await;
    assert_eq!(world.rows().await, before);
}
