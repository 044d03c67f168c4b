//! Which generation of the read model is in use, and who makes the next one.

use std::time::Duration;

use service_runtime::database::{Database, DatabaseError, Dialect, Tx};
use sqlx::{AnyConnection, AssertSqlSafe, Row};

/// Condition of a query that reads the generation in use. In the statement itself, so that a running instance
/// notices a switch with its next query.
pub(super) const IN_USE: &str = "generation = (SELECT generation FROM read_model)";

/// Most rows that are deleted in one transaction.
const DELETED_AT_ONCE: usize = 2_000;

/// The right to make a generation; at most one has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::query) struct Claim {
    /// The generation to make; nobody ever wrote to it.
    pub(in crate::query) generation: i64,
    /// The generation in use.
    pub(in crate::query) in_use: i64,
    token: String,
}

/// The generation that a batch writes to. It stays in use until the end of `tx`.
pub(in crate::query) async fn in_use(tx: &mut Tx) -> Result<i64, DatabaseError> {
    let lock = tx.dialect().for_share();
    read_in_use(tx, lock).await
}

/// The generation in use, once no batch is writing to it; none begins to before the end of `tx`.
pub(in crate::query) async fn lock_in_use(tx: &mut Tx) -> Result<i64, DatabaseError> {
    let lock = tx.dialect().for_update();
    read_in_use(tx, lock).await
}

/// Gives up a wait for a lock in `tx` after `limit`, as a race that was lost. On SQLite `tx` has all locks already.
pub(in crate::query) async fn limit_waits(
    tx: &mut Tx,
    limit: Duration,
) -> Result<(), DatabaseError> {
    if tx.dialect() == Dialect::Postgres {
        let limit = format!("SET LOCAL lock_timeout = {}", milliseconds(limit).max(1));
        sqlx::query(AssertSqlSafe(limit)).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn read_in_use(tx: &mut Tx, lock: &str) -> Result<i64, DatabaseError> {
    let select = format!("SELECT generation FROM read_model WHERE only_row = 1{lock}");
    let row = sqlx::query(AssertSqlSafe(select))
        .fetch_one(&mut **tx)
        .await?;
    Ok(row.try_get(0)?)
}

/// Has everybody read `generation` from the commit on.
pub(in crate::query) async fn switch_to(tx: &mut Tx, generation: i64) -> Result<(), DatabaseError> {
    sqlx::query("UPDATE read_model SET generation = $1 WHERE only_row = 1")
        .bind(generation)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The generation in use; fails where there are none yet.
pub(in crate::query) async fn read(database: &Database) -> Result<i64, DatabaseError> {
    let row = sqlx::query("SELECT generation FROM read_model")
        .fetch_one(database.pool())
        .await?;
    Ok(row.try_get(0)?)
}

/// Takes the right to make a generation for `lease`; `None` while somebody else has it.
pub(in crate::query) async fn claim(
    database: &Database,
    token: &str,
    lease: Duration,
) -> Result<Option<Claim>, DatabaseError> {
    let now = database.dialect().now_ms();
    let mut tx = database.begin().await?;
    let taken = sqlx::query(AssertSqlSafe(format!(
        "UPDATE read_model_rebuild SET token = $1, last_generation = last_generation + 1, \
         lease_until = {now} + $2 WHERE token = '' OR lease_until < {now}"
    )))
    .bind(token)
    .bind(milliseconds(lease))
    .execute(&mut *tx)
    .await?;
    if taken.rows_affected() == 0 {
        return Ok(None);
    }
    let row = sqlx::query(
        "SELECT last_generation, (SELECT generation FROM read_model) FROM read_model_rebuild",
    )
    .fetch_one(&mut *tx)
    .await?;
    let claim = Claim {
        generation: row.try_get(0)?,
        in_use: row.try_get(1)?,
        token: token.to_owned(),
    };
    tx.commit().await?;
    Ok(Some(claim))
}

impl Claim {
    /// Renews the lease; whether it was still ours. In the transaction of every write, so that nothing is written
    /// by one that was asleep for longer than its lease.
    pub(in crate::query) async fn renew(
        &self,
        tx: &mut Tx,
        lease: Duration,
    ) -> Result<bool, DatabaseError> {
        let now = tx.dialect().now_ms();
        let renewed = sqlx::query(AssertSqlSafe(format!(
            "UPDATE read_model_rebuild SET lease_until = {now} + $2 WHERE token = $1"
        )))
        .bind(self.token.as_str())
        .bind(milliseconds(lease))
        .execute(&mut **tx)
        .await?;
        Ok(renewed.rows_affected() == 1)
    }

    /// Gives the right back.
    pub(in crate::query) async fn release(self, database: &Database) -> Result<(), DatabaseError> {
        let mut tx = database.begin().await?;
        sqlx::query("UPDATE read_model_rebuild SET token = '', lease_until = 0 WHERE token = $1")
            .bind(self.token.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}

/// A generation, other than these two, that still has rows.
pub(in crate::query) async fn leftover(
    connection: &mut AnyConnection,
    first: i64,
    second: i64,
) -> Result<Option<i64>, DatabaseError> {
    let (low, high) = (first.min(second), first.max(second));
    for table in TABLES {
        // Three ranges of the index: what lies between would be read row by row otherwise.
        for (after, before) in [(i64::MIN, low), (low, high), (high, i64::MAX)] {
            let row = sqlx::query(AssertSqlSafe(format!(
                "SELECT MIN(generation) FROM {table} WHERE generation > $1 AND generation < $2"
            )))
            .bind(after)
            .bind(before)
            .fetch_one(&mut *connection)
            .await?;
            if let Some(generation) = row.try_get(0)? {
                return Ok(Some(generation));
            }
        }
    }
    Ok(None)
}

/// Tells PostgreSQL's planner about a generation that has grown. It takes one that its statistics do not know for empty,
/// and would read all of it through any index that begins with the generation. SQLite goes by the columns.
pub(in crate::query) async fn refresh_statistics(
    connection: &mut AnyConnection,
    dialect: Dialect,
) -> Result<(), DatabaseError> {
    if dialect == Dialect::Postgres {
        for table in TABLES {
            let analyze = AssertSqlSafe(format!("ANALYZE {table}"));
            sqlx::query(analyze).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Deletes some rows of `generation` in `table`, those of the first orders after `after`. Returns the last of these,
/// to go on after it: what is deleted stays in an index for a while. `None` when there are none left.
pub(in crate::query) async fn delete_some(
    tx: &mut Tx,
    table: &'static str,
    generation: i64,
    after: &str,
) -> Result<Option<String>, DatabaseError> {
    let first = format!(
        "SELECT order_id FROM {table} WHERE generation = $1 AND order_id > $2 \
         ORDER BY order_id LIMIT {DELETED_AT_ONCE}"
    );
    let last = format!("SELECT MAX(order_id) FROM ({first}) AS first");
    let row = sqlx::query(AssertSqlSafe(last))
        .bind(generation)
        .bind(after)
        .fetch_one(&mut **tx)
        .await?;
    let last: Option<String> = row.try_get(0)?;
    if last.is_some() {
        // By their ids: for a range PostgreSQL would read the whole table each time.
        let delete = format!("DELETE FROM {table} WHERE generation = $1 AND order_id IN ({first})");
        sqlx::query(AssertSqlSafe(delete))
            .bind(generation)
            .bind(after)
            .execute(&mut **tx)
            .await?;
    }
    Ok(last)
}

/// The tables that have generations.
pub(in crate::query) const TABLES: [&str; 2] = ["order_history", "order_views"];

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
