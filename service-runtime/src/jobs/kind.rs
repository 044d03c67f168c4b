//! What is done to all jobs of one kind.

use sqlx::AssertSqlSafe;

use crate::database::{DatabaseError, Dialect, Tx};

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
