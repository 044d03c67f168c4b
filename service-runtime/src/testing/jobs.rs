//! Jobs, one step at a time.

use std::time::Duration;

use base_domains::OrderId;
use futures_util::future::BoxFuture;

use super::PARTITIONS;
use crate::database::Database;
use crate::jobs::{
    self, Attempted, Claim, Job, JobFilter, JobHandler, JobResult, JobRow, Recorded,
};

/// Leases a job whatever it waits for, or one whose lease was [expired](expire); none that ended.
pub async fn lease(database: &Database, kind: &str, job_id: &str) -> Option<Job> {
    // Before all others, and nobody else's.
    let first = "UPDATE jobs SET next_try_at = -1, \
                 lease_until = CASE WHEN lease_until = 0 THEN -1 ELSE lease_until END \
                 WHERE job_id = $1 AND state IN ('due', 'leased')";
    let update = sqlx::query(first).bind(job_id);
    update.execute(database.pool()).await.unwrap();
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    let mut tx = database.begin().await.unwrap();
    let claim = Claim {
        kind,
        partitions: &partitions,
        due_until: -1,
        limit: 1,
        lease: Duration::from_secs(60),
    };
    let leased = jobs::claim(&mut tx, database.dialect(), claim).await;
    tx.commit().await.unwrap();
    leased.unwrap().pop()
}

/// As if the process that leased this job had died: its lease has run out.
pub async fn expire(database: &Database, job: &Job) {
    sqlx::query("UPDATE jobs SET lease_until = 0 WHERE job_id = $1 AND state = 'leased'")
        .bind(&*job.job_id)
        .execute(database.pool())
        .await
        .unwrap();
}

/// Records a result. What follows the commit (the outcome is published) is left to the caller, who
/// may drop it; `None`: the lease was lost.
pub async fn record(
    handler: &impl JobHandler,
    database: &Database,
    job: &Job,
    result: &JobResult,
) -> Option<BoxFuture<'static, ()>> {
    let delay = Duration::ZERO;
    let attempted = Attempted { job, result, delay };
    match handler.record(database, &attempted).await.unwrap() {
        Recorded::LeaseLost => None,
        Recorded::Committed(publishing) => Some(publishing),
    }
}

/// The jobs of one order, by their ids.
pub async fn jobs_of(database: &Database, order_id: OrderId) -> Vec<JobRow> {
    let filter = JobFilter {
        order_id: Some(order_id.to_string()),
        ..JobFilter::default()
    };
    let mut jobs = jobs::list(database, &filter, 100).await.unwrap();
    jobs.sort_by(|one, other| one.job_id.cmp(&other.job_id));
    jobs
}
