//! The SQL of jobs.

use std::{collections::BTreeSet, time::Duration};

use sqlx::{AssertSqlSafe, FromRow, Row, any::AnyRow};
use uuid::Uuid;

use super::{Attempted, Job, JobResult, JobState, NewJob};
use crate::database::{Database, DatabaseError, Dialect, Tx, sql};
use crate::fault;

/// Most bytes of a stored error.
const MAX_ERROR: usize = 1024;

/// When an unfinished job may be leased. Written as in the index `jobs_open`.
const DUE_AT: &str = "COALESCE(lease_until, next_try_at)";

const OPEN: &str = "state IN ('due', 'leased')";

/// Inserts jobs; those whose id exists are left as they are. Returns how many are new.
///
/// # Errors
/// Those of the database.
pub async fn insert(tx: &mut Tx, dialect: Dialect, jobs: &[NewJob]) -> Result<u64, DatabaseError> {
    const TYPES: [&str; 7] = ["TEXT", "TEXT", "TEXT", "BIGINT", "TEXT", "BIGINT", "BIGINT"];
    let mut jobs: Vec<&NewJob> = jobs.iter().collect();
    // One order of locks for everybody: two transactions with the same ids cannot deadlock.
    jobs.sort_by(|one, other| one.job_id.cmp(&other.job_id));
    let mut inserted = 0;
    for chunk in jobs.chunks(sql::max_rows(TYPES.len())) {
        let mut chunk = chunk.to_vec();
        sql::pad(&mut chunk);
        let text = format!(
            "WITH job(job_id, kind, order_id, partition_id, payload, age_from, due_at) AS (VALUES {rows}), \
             clock(now) AS (SELECT {now}) \
             INSERT INTO jobs (job_id, kind, order_id, partition_id, state, next_try_at, payload, \
             age_from, created_at) \
             SELECT job_id, kind, order_id, partition_id, 'due', COALESCE(due_at, now), payload, \
             COALESCE(age_from, now), now FROM job CROSS JOIN clock WHERE true \
             ON CONFLICT DO NOTHING",
            rows = sql::rows(chunk.len(), &TYPES, 1),
            now = dialect.now_ms(),
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for job in chunk {
            query = query
                .bind(&*job.job_id)
                .bind(&*job.kind)
                .bind(&*job.order_id)
                .bind(i64::from(job.partition))
                .bind(&*job.payload)
                .bind(job.age_from)
                .bind(job.due_at);
        }
        inserted += query.execute(&mut **tx).await?.rows_affected();
    }
    Ok(inserted)
}

/// The due jobs of one partition, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(super) struct DuePartition {
    #[sqlx(rename = "partition_id")]
    pub(super) partition: i32,
    /// That moment, in epoch milliseconds.
    pub(super) now: i64,
    pub(super) jobs: i64,
    /// When the oldest of them fell due.
    pub(super) oldest: i64,
}

/// Looks for due jobs of a kind without leasing them. All rows have the same `now`.
pub(super) async fn due(
    database: &Database,
    kind: &str,
) -> Result<Vec<DuePartition>, DatabaseError> {
    let text = format!(
        "WITH clock(now) AS (SELECT {now}) \
         SELECT partition_id, now, COUNT(*) AS jobs, MIN({DUE_AT}) AS oldest \
         FROM jobs CROSS JOIN clock WHERE kind = $1 AND {OPEN} AND {DUE_AT} <= now \
         GROUP BY partition_id, now ORDER BY partition_id",
        now = database.dialect().now_ms(),
    );
    Ok(sqlx::query_as(AssertSqlSafe(text))
        .bind(kind)
        .fetch_all(database.pool())
        .await?)
}

/// The number of dead jobs of a kind.
pub(super) async fn dead(database: &Database, kind: &str) -> Result<i64, DatabaseError> {
    let text = "SELECT COUNT(*) FROM jobs WHERE kind = $1 AND state = 'dead'";
    Ok(sqlx::query_scalar(text)
        .bind(kind)
        .fetch_one(database.pool())
        .await?)
}

/// Which jobs to lease.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Of this kind.
    pub kind: &'a str,
    /// Of these partitions.
    pub partitions: &'a [i32],
    /// That fell due, or whose lease expired, up to this time (epoch milliseconds).
    pub due_until: i64,
    /// The oldest of them, at most so many.
    pub limit: usize,
    /// For how long.
    pub lease: Duration,
}

/// Leases jobs; those that others are just leasing are passed over.
///
/// # Errors
/// Those of the database.
pub async fn claim(
    tx: &mut Tx,
    dialect: Dialect,
    claim: Claim<'_>,
) -> Result<Vec<Job>, DatabaseError> {
    let mut partitions = claim.partitions.to_vec();
    if partitions.is_empty() || claim.limit == 0 {
        return Ok(Vec::new());
    }
    sql::pad(&mut partitions);
    // MATERIALIZED: PostgreSQL might otherwise run the sub-select more than once, and lock more.
    let text = format!(
        "WITH picked AS MATERIALIZED (SELECT job_id FROM jobs WHERE kind = $1 AND {OPEN} \
         AND {DUE_AT} <= $2 AND partition_id IN ({partitions}) \
         ORDER BY {DUE_AT}, job_id LIMIT $3{skip_locked}) \
         UPDATE jobs SET state = 'leased', attempts = attempts + 1, lease_token = $4, \
         lease_until = {now} + $5 WHERE job_id IN (SELECT job_id FROM picked) \
         RETURNING job_id, kind, order_id, partition_id, attempts, next_try_at, payload, age_from, \
         created_at, lease_until - $5 AS leased_at, lease_token",
        partitions = sql::placeholders(partitions.len(), 6),
        skip_locked = dialect.skip_locked(),
        now = dialect.now_ms(),
    );
    let mut query = sqlx::query(AssertSqlSafe(text))
        .bind(claim.kind)
        .bind(claim.due_until)
        .bind(i64::try_from(claim.limit).unwrap_or(i64::MAX))
        .bind(Uuid::now_v7().to_string())
        .bind(millis(claim.lease));
    for partition in partitions {
        query = query.bind(i64::from(partition));
    }
    let rows = query.fetch_all(&mut **tx).await?;
    let mut jobs = rows.iter().map(leased).collect::<Result<Vec<_>, _>>()?;
    jobs.sort_by(|(one_due, one), (other_due, other)| {
        (one_due, &one.job_id).cmp(&(other_due, &other.job_id))
    });
    Ok(jobs.into_iter().map(|(_, job)| job).collect())
}

/// When it fell due, and the job.
fn leased(row: &AnyRow) -> Result<(i64, Job), sqlx::Error> {
    let attempts: i64 = row.try_get("attempts")?;
    let job = Job {
        job_id: row.try_get("job_id")?,
        kind: row.try_get("kind")?,
        order_id: row.try_get("order_id")?,
        partition: row.try_get("partition_id")?,
        attempt: u32::try_from(attempts).unwrap_or(u32::MAX),
        payload: row.try_get("payload")?,
        age_from: row.try_get("age_from")?,
        created_at: row.try_get("created_at")?,
        leased_at: row.try_get("leased_at")?,
        lease_token: row.try_get("lease_token")?,
    };
    Ok((row.try_get("next_try_at")?, job))
}

/// Records what became of an attempt. `false`: the lease is lost and nothing was changed.
///
/// # Errors
/// Those of the database.
pub async fn record(
    tx: &mut Tx,
    dialect: Dialect,
    attempted: &Attempted<'_>,
) -> Result<bool, DatabaseError> {
    let job = attempted.job;
    match attempted.result {
        JobResult::Done { result } => finish(tx, dialect, job, result.as_deref()).await,
        JobResult::Dead { error } => die(tx, dialect, job, error).await,
        JobResult::Skipped { reason } => skip(tx, dialect, job, reason).await,
        JobResult::Retry { error } => retry(tx, dialect, job, attempted.delay, error).await,
    }
}

/// Takes back jobs whose effect is not wanted any more: those of `job_ids` that nobody ever leased
/// are recorded as skipped, and returned. What was leased once may have had its effect; it is left
/// as it is and runs until its result is known (rule R5).
///
/// # Errors
/// Those of the database.
pub async fn withdraw(
    tx: &mut Tx,
    dialect: Dialect,
    job_ids: &[String],
    reason: &str,
) -> Result<BTreeSet<String>, DatabaseError> {
    let mut withdrawn = BTreeSet::new();
    for chunk in job_ids.chunks(sql::max_rows(2)) {
        let mut ids: Vec<&str> = chunk.iter().map(String::as_str).collect();
        sql::pad(&mut ids);
        // An operator's retry of a dead job counts its attempts anew, but leaves its error.
        let never_leased = match fault::mutated("r5.leased-charge-runs") {
            false => "state = 'due' AND attempts = 0 AND last_error IS NULL",
            true => "state = 'due'",
        };
        let text = format!(
            "UPDATE jobs SET state = 'skipped', result = $1, finished_at = {now} \
             WHERE {never_leased} AND job_id IN ({ids}) \
             RETURNING job_id",
            now = dialect.now_ms(),
            ids = sql::placeholders(ids.len(), 2),
        );
        let mut query = sqlx::query_scalar(AssertSqlSafe(text)).bind(without_nul(reason));
        for id in ids {
            query = query.bind(id);
        }
        withdrawn.extend(query.fetch_all(&mut **tx).await?);
    }
    Ok(withdrawn)
}

/// Makes a job due now that waits for its time. `false`: there is none of this id that was never
/// leased and waits.
///
/// # Errors
/// Those of the database.
pub async fn expedite(tx: &mut Tx, dialect: Dialect, job_id: &str) -> Result<bool, DatabaseError> {
    let text = format!(
        "UPDATE jobs SET next_try_at = {now} \
         WHERE job_id = $1 AND state = 'due' AND attempts = 0 AND next_try_at > {now}",
        now = dialect.now_ms(),
    );
    let done = sqlx::query(AssertSqlSafe(text))
        .bind(job_id)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Records that the effect happened. `false`: the lease is lost and nothing was changed.
///
/// # Errors
/// Those of the database.
pub async fn finish(
    tx: &mut Tx,
    dialect: Dialect,
    job: &Job,
    result: Option<&str>,
) -> Result<bool, DatabaseError> {
    end(tx, dialect, job, JobState::Done, result, None).await
}

/// Records that the job never works. `false`: the lease is lost and nothing was changed.
///
/// # Errors
/// Those of the database.
pub async fn die(
    tx: &mut Tx,
    dialect: Dialect,
    job: &Job,
    error: &str,
) -> Result<bool, DatabaseError> {
    end(tx, dialect, job, JobState::Dead, None, Some(error)).await
}

/// Records that the effect is not wanted any more. `false`: the lease is lost and nothing was
/// changed.
///
/// # Errors
/// Those of the database.
pub async fn skip(
    tx: &mut Tx,
    dialect: Dialect,
    job: &Job,
    reason: &str,
) -> Result<bool, DatabaseError> {
    end(tx, dialect, job, JobState::Skipped, Some(reason), None).await
}

async fn end(
    tx: &mut Tx,
    dialect: Dialect,
    job: &Job,
    state: JobState,
    result: Option<&str>,
    error: Option<&str>,
) -> Result<bool, DatabaseError> {
    let text = format!(
        "UPDATE jobs SET state = $1, result = $2, last_error = COALESCE($3, last_error), \
         lease_token = NULL, lease_until = NULL, finished_at = {now} \
         WHERE job_id = $4 AND {token}",
        now = dialect.now_ms(),
        token = holds_lease(5),
    );
    let done = sqlx::query(AssertSqlSafe(text))
        .bind(state.as_str())
        .bind(result.map(without_nul))
        .bind(error.map(capped))
        .bind(&*job.job_id)
        .bind(&*job.lease_token)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Makes the job due again after a delay. `false`: the lease is lost and nothing was changed.
///
/// # Errors
/// Those of the database.
pub async fn retry(
    tx: &mut Tx,
    dialect: Dialect,
    job: &Job,
    delay: Duration,
    error: &str,
) -> Result<bool, DatabaseError> {
    let text = format!(
        "UPDATE jobs SET state = 'due', next_try_at = {now} + $1, last_error = $2, \
         lease_token = NULL, lease_until = NULL WHERE job_id = $3 AND {token}",
        now = dialect.now_ms(),
        token = holds_lease(4),
    );
    let done = sqlx::query(AssertSqlSafe(text))
        .bind(millis(delay))
        .bind(capped(error))
        .bind(&*job.job_id)
        .bind(&*job.lease_token)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Who lost the lease of a job may not write its result (rule R5).
fn holds_lease(parameter: usize) -> String {
    match fault::mutated("r5.lease-token") {
        false => format!("lease_token = ${parameter}"),
        true => format!("${parameter} = ${parameter}"),
    }
}

fn millis(duration: Duration) -> i64 {
    // Within a century, so that a sum with the clock cannot overflow.
    const CENTURY: u128 = 100 * 365 * 24 * 60 * 60 * 1000;
    i64::try_from(duration.as_millis().min(CENTURY)).unwrap_or(i64::MAX)
}

/// PostgreSQL has no NUL in a TEXT, and an error with one could not be recorded.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

fn capped(error: &str) -> String {
    let mut error = without_nul(error);
    error.truncate(error.floor_char_boundary(MAX_ERROR));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_is_cut_at_a_character() {
        assert_eq!(capped("a\0b"), "ab");
        let cut = capped(&format!("{}é", "x".repeat(1023)));
        assert_eq!(cut, "x".repeat(1023));
    }

    #[test]
    fn a_huge_duration_stays_addable_to_the_clock() {
        assert_eq!(millis(Duration::from_millis(1500)), 1500);
        assert!(millis(Duration::MAX).checked_add(i64::MAX / 2).is_some());
    }
}
