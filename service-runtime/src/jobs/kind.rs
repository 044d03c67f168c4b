//! What is done to all jobs of one kind.

use sqlx::AssertSqlSafe;

use crate::database::{Database, DatabaseError, Dialect, Tx};

/// Records the jobs that wait as skipped, whether they were tried before or not: for effects that may
/// be left out at any time. What is leased stays with its worker. Returns how many there were.
///
/// # Errors
/// Those of the database.
pub async fn skip_due(
    tx: &mut Tx,
    dialect: Dialect,
    kind: &str,
    reason: &str,
) -> Result<u64, DatabaseError> {
    let text = format!(
        "UPDATE jobs SET state = 'skipped', result = $1, finished_at = {now} \
         WHERE kind = $2 AND state = 'due'",
        now = dialect.now_ms(),
    );
    let done = sqlx::query(AssertSqlSafe(text))
        .bind(reason)
        .bind(kind)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected())
}

/// Does to all dead jobs of a kind, or to the one of this id, what
/// [`retry_dead`](super::retry_dead) does to one. Returns how many there were.
///
/// # Errors
/// Those of the database.
pub async fn retry_dead_of(
    database: &Database,
    kind: &str,
    job_id: Option<&str>,
) -> Result<u64, DatabaseError> {
    let text = format!(
        "UPDATE jobs SET state = 'due', attempts = 0, next_try_at = {now}, age_from = {now}, \
         finished_at = NULL WHERE kind = $1 AND state = 'dead'{one}",
        now = database.dialect().now_ms(),
        one = job_id.map_or("", |_| " AND job_id = $2"),
    );
    let mut tx = database.begin().await?;
    let mut query = sqlx::query(AssertSqlSafe(text)).bind(kind);
    if let Some(job_id) = job_id {
        query = query.bind(job_id);
    }
    let done = query.execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(done.rows_affected())
}
