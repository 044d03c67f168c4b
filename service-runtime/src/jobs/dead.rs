//! Putting dead jobs back: one, or those of a kind.

use sqlx::AssertSqlSafe;

use crate::database::{Database, DatabaseError};

/// Makes a dead job due again, as if it were new: no attempts, and of no age. `false` when there is
/// no dead job of this id.
///
/// # Errors
/// Those of the database.
pub async fn retry_dead(database: &Database, job_id: &str) -> Result<bool, DatabaseError> {
    Ok(put_back(database, None, Some(job_id)).await? == 1)
}

/// Does to all dead jobs of a kind, or to the one of this id, what [`retry_dead`] does to one. Returns
/// how many there were.
///
/// # Errors
/// Those of the database.
pub async fn retry_dead_of(
    database: &Database,
    kind: &str,
    job_id: Option<&str>,
) -> Result<u64, DatabaseError> {
    put_back(database, Some(kind), job_id).await
}

async fn put_back(
    database: &Database,
    kind: Option<&str>,
    job_id: Option<&str>,
) -> Result<u64, DatabaseError> {
    let mut text = format!(
        "UPDATE jobs SET state = 'due', attempts = 0, next_try_at = {now}, age_from = {now}, \
         finished_at = NULL WHERE state = 'dead'",
        now = database.dialect().now_ms(),
    );
    let wanted = [("kind", kind), ("job_id", job_id)];
    let mut values = Vec::new();
    for (column, value) in wanted {
        if let Some(value) = value {
            values.push(value);
            text.push_str(&format!(" AND {column} = ${}", values.len()));
        }
    }
    let mut tx = database.begin().await?;
    let mut query = sqlx::query(AssertSqlSafe(text));
    for value in values {
        query = query.bind(value);
    }
    let done = query.execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(done.rows_affected())
}
