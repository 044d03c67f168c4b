//! HTTP: the jobs of a service, for its operator.
//!
//! - A job's id may have a `/` in it, so in a path it is percent-encoded: `charge%2F0193a5b8-…`.
//! - The payload is not shown: it may hold personal data and credentials. Errors and results are.

use axum::{extract::State, http::StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{JobCursor, JobFilter, JobRow, JobState, find, page, retry_dead};
use crate::database::Database;
use crate::http::{Json, Path, Problem, Query};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// One job.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Job)]
pub struct JobView {
    /// Names the effect; a second job of this id does not exist.
    #[schema(example = "charge/01890a5d-ac96-774b-bcce-b302099a8057")]
    pub job_id: String,
    /// Which worker takes it.
    #[schema(example = "charge")]
    pub kind: String,
    /// The order it belongs to.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    pub order_id: String,
    /// `due`, `leased`, `done`, `dead` or `skipped`.
    #[schema(example = "dead")]
    pub state: &'static str,
    /// How often it was tried, since an operator's last retry.
    #[schema(example = 1)]
    pub attempts: i64,
    /// When it is tried next (RFC 3339); only while it is due.
    pub next_try_at: Option<String>,
    /// When it was recorded (RFC 3339).
    #[schema(example = "2026-01-01T00:00:00Z")]
    pub created_at: Option<String>,
    /// When it was done, skipped or given up (RFC 3339).
    #[schema(example = "2026-01-01T00:00:01Z")]
    pub finished_at: Option<String>,
    /// Why the last attempt that failed did.
    pub last_error: Option<String>,
    /// What it came to, or why it was skipped.
    pub result: Option<String>,
}

/// Jobs, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobPage {
    /// At most as many as were asked for.
    pub jobs: Vec<JobView>,
    /// `cursor` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub next_cursor: Option<String>,
}

/// Which jobs.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct JobQuery {
    /// Only in this state: due, leased, done, dead or skipped.
    #[param(example = "dead")]
    state: Option<String>,
    /// Only of this kind.
    #[param(example = "charge")]
    kind: Option<String>,
    /// Only of this order.
    #[param(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    order_id: Option<String>,
    /// Most jobs on the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

impl std::fmt::Debug for JobView {
    /// Leaves out what may be personal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobView")
            .field("job_id", &self.job_id)
            .field("state", &self.state)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// The routes for the jobs in `database`.
pub fn routes(database: Database) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_jobs))
        .routes(routes!(get_job))
        .routes(routes!(retry_job))
        .with_state(database)
}

/// List the jobs of this service, the newest first
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(JobQuery), responses(
    (status = 200, description = "A page, perhaps an empty one", body = JobPage),
    (status = 400, description = "A parameter cannot be read",
        body = Problem, content_type = Problem::CONTENT_TYPE),
    (status = 503, description = "The database is not available",
        body = Problem, content_type = Problem::CONTENT_TYPE),
))]
async fn list_jobs(
    State(database): State<Database>,
    Query(query): Query<JobQuery>,
) -> Result<Json<JobPage>, Problem> {
    let state = query.state.as_deref().map(str::parse::<JobState>);
    let state = state
        .transpose()
        .map_err(|error| bad_parameter("state", error.to_string()))?;
    let after = query.cursor.as_deref().map(str::parse::<JobCursor>);
    let after = after
        .transpose()
        .map_err(|error| bad_parameter("cursor", error.to_string()))?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("must be from 1 to {MAX_LIMIT}");
        return Err(bad_parameter("limit", message));
    }
    let filter = JobFilter {
        kind: text("kind", query.kind)?,
        order_id: text("orderId", query.order_id)?,
        state,
    };
    // One more than asked for tells whether there is another page.
    let found = page(&database, &filter, after.as_ref(), limit + 1).await;
    let mut rows = found?;
    let whole = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > whole;
    rows.truncate(whole);
    let last = rows.last().filter(|_| more);
    Ok(Json(JobPage {
        next_cursor: last.map(|row| JobCursor::from(row).to_string()),
        jobs: rows.into_iter().map(JobView::from).collect(),
    }))
}

/// Get one job
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs",
    params(("id" = String, Path, description = "Id of the job, URL-encoded: `/` is `%2F`",
        example = "charge%2F01890a5d-ac96-774b-bcce-b302099a8057")),
    responses(
        (status = 200, description = "The job", body = JobView),
        (status = 404, description = "No such job", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
async fn get_job(
    State(database): State<Database>,
    Path(id): Path<String>,
) -> Result<Json<JobView>, Problem> {
    Ok(Json(JobView::from(existing(&database, &id).await?)))
}

/// Try a dead job again
///
/// It is due at once and as new: no attempts, and of no age.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/retry", tag = "jobs",
    params(("id" = String, Path, description = "Id of the job, URL-encoded: `/` is `%2F`",
        example = "charge%2F01890a5d-ac96-774b-bcce-b302099a8057")),
    responses(
        (status = 200, description = "The job, which is due now", body = JobView),
        (status = 404, description = "No such job", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 409, description = "The job is not dead", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
async fn retry_job(
    State(database): State<Database>,
    Path(id): Path<String>,
) -> Result<Json<JobView>, Problem> {
    let put_back = retry_dead(&database, without_nul(&id)?).await;
    let put_back = put_back?;
    let row = existing(&database, &id).await?;
    if !put_back {
        let state = row.state.as_str();
        let detail = format!("the job is {state}, and only a dead one can be tried again");
        return Err(Problem::new(StatusCode::CONFLICT).with_detail(detail));
    }
    tracing::info!(
        kind = row.kind,
        order_id = row.order_id,
        "A dead job is tried again."
    );
    Ok(Json(JobView::from(row)))
}

async fn existing(database: &Database, id: &str) -> Result<JobRow, Problem> {
    let found = find(database, without_nul(id)?).await;
    found?.ok_or_else(no_job)
}

/// The id; PostgreSQL takes no NUL in a text, so no job has one.
fn without_nul(id: &str) -> Result<&str, Problem> {
    if id.contains('\0') {
        return Err(no_job());
    }
    Ok(id)
}

fn no_job() -> Problem {
    Problem::new(StatusCode::NOT_FOUND).with_detail("there is no job of this id")
}

impl From<JobRow> for JobView {
    fn from(row: JobRow) -> Self {
        let next_try_at = (row.state == JobState::Due).then_some(row.next_try_at);
        Self {
            state: row.state.as_str(),
            job_id: row.job_id,
            kind: row.kind,
            order_id: row.order_id,
            attempts: row.attempts,
            next_try_at: next_try_at.and_then(time),
            created_at: time(row.created_at),
            finished_at: row.finished_at.and_then(time),
            last_error: row.last_error,
            result: row.result,
        }
    }
}

fn time(millis: i64) -> Option<String> {
    let time = Timestamp::from_millisecond(millis).ok()?;
    Some(time.to_string())
}

/// PostgreSQL takes no NUL in a text.
fn text(name: &str, value: Option<String>) -> Result<Option<String>, Problem> {
    match value {
        Some(value) if value.contains('\0') => {
            Err(bad_parameter(name, "must not have a NUL in it".to_owned()))
        }
        value => Ok(value),
    }
}

fn bad_parameter(name: &str, message: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST)
        .with_detail("a query parameter is not valid")
        .with_error(name, message)
}
