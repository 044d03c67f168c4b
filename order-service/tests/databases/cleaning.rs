//! The statements by which `docs/operations.md` lets operators clean up: they take what they name, and
//! nothing that anybody still needs.

use service_runtime::database::Database;
use sqlx::{AssertSqlSafe, Row};
use test_support::{Test, TestDatabase, test};

use crate::support::Service;

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(
        what_operations_says_can_be_deleted_is_deleted_and_nothing_else
    )]
}

const DOCUMENT: &str = include_str!("../../../docs/operations.md");

const OLD: i64 = 1_600_000_000_000;
const NEW: i64 = 1_800_000_000_000;

fn statements() -> impl Iterator<Item = String> {
    let (_, block) = DOCUMENT.split_once("```sql\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let lines = block.lines().filter(|line| !line.starts_with("--"));
    let text = lines.collect::<Vec<_>>().join(" ");
    let statements: Vec<String> = text.split_terminator(';').map(str::to_owned).collect();
    statements.into_iter()
}

async fn texts(database: &Database, select: &'static str) -> Vec<String> {
    let rows = sqlx::query(select)
        .fetch_all(database.pool())
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn execute(database: &Database, statement: String) {
    let statement = sqlx::query(AssertSqlSafe(statement));
    statement.execute(database.pool()).await.unwrap();
}

async fn fill(database: &Database) {
    for (id, state, finished) in [
        ("done long ago", "done", Some(OLD)),
        ("skipped long ago", "skipped", Some(OLD)),
        ("done lately", "done", Some(NEW)),
        ("dead long ago", "dead", Some(OLD)),
        ("due", "due", None),
    ] {
        let finished = finished.map_or_else(|| "NULL".to_owned(), |at| at.to_string());
        let insert = format!(
            "INSERT INTO jobs (job_id, kind, order_id, partition_id, state, next_try_at, payload, age_from, \
             created_at, finished_at) VALUES ('{id}', 'mail', 'o', 0, '{state}', {OLD}, '{{}}', {OLD}, {OLD}, {finished})"
        );
        execute(database, insert).await;
    }
    for (id, rank, outcome) in [("ended", 100, 100), ("open", 2, 2), ("unconfirmed", 1, 100)] {
        let insert = format!(
            "INSERT INTO participant_orders (participant, order_id, home_partition, status, state_rank, \
             outcome_rank, outcome) VALUES ('p', '{id}', 0, '', {rank}, {outcome}, '{{}}')"
        );
        execute(database, insert).await;
    }
    for (id, acknowledged, created) in [("old", 1, OLD), ("new", 1, NEW), ("unknown", 0, OLD)] {
        let insert = format!(
            "INSERT INTO placements (order_id, content_sha256, acknowledged, created_at) \
             VALUES ('{id}', '', {acknowledged}, {created})"
        );
        execute(database, insert).await;
    }
}

async fn what_operations_says_can_be_deleted_is_deleted_and_nothing_else(database: TestDatabase) {
    let service = Service::start(database).await;
    let database = &service.database;
    fill(database).await;
    assert_eq!(statements().count(), 3);
    for statement in statements() {
        execute(database, statement).await;
    }
    let jobs = texts(database, "SELECT job_id FROM jobs ORDER BY job_id").await;
    assert_eq!(jobs, ["dead long ago", "done lately", "due"]);
    let kept = "SELECT order_id FROM participant_orders WHERE outcome <> '' ORDER BY order_id";
    assert_eq!(texts(database, kept).await, ["open", "unconfirmed"]);
    let all = "SELECT order_id FROM participant_orders";
    assert_eq!(texts(database, all).await.len(), 3);
    let placements = texts(
        database,
        "SELECT order_id FROM placements ORDER BY order_id",
    )
    .await;
    assert_eq!(placements, ["new", "unknown"]);
}
