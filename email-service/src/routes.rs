//! HTTP: what was sent, to whom, and what waits.

use axum::extract::State;
use axum::http::StatusCode;
use base_domains::{OrderId, OrderStatus};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service_runtime::database::Database;
use service_runtime::http::{Json, Problem, Query};
use service_runtime::jobs::{self, JobFilter, JobRow, JobState};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::job::KIND;
use crate::mail::Mail;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// What became of one mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EmailState {
    /// Waits for its first or next attempt.
    Due,
    /// Is being handed over, or was when the process died.
    Leased,
    /// Was handed over.
    Sent,
    /// Was refused for good.
    Dead,
    /// Was not sent on purpose, see `lastError`.
    Skipped,
}

/// One mail.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Email {
    /// The order it is about.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    pub order_id: String,
    /// The state of the order that it tells.
    #[schema(value_type = String, example = "PENDING")]
    pub status: OrderStatus,
    /// What became of it.
    pub state: EmailState,
    /// How often it was tried.
    #[schema(example = 1)]
    pub attempts: i64,
    /// The same for every attempt.
    pub message_id: String,
    /// Its subject.
    pub subject: String,
    /// Whom it goes to.
    #[schema(example = "customer@example.com")]
    pub recipient: Option<String>,
    /// When it was handed over (RFC 3339).
    #[schema(example = "2026-01-01T00:00:00Z")]
    pub sent_at: Option<String>,
    /// When it is tried next (RFC 3339); only while it is due.
    pub next_try_at: Option<String>,
    /// Why the last attempt failed, with the server's words, or why it was skipped.
    pub last_error: Option<String>,
}

/// Mails, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EmailList {
    /// At most as many as were asked for.
    pub emails: Vec<Email>,
}

/// Which mails.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct EmailQuery {
    /// Only those about this order.
    #[param(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    order_id: Option<String>,
    /// Most mails in the answer.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

impl std::fmt::Debug for Email {
    /// Leaves out what is personal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Email")
            .field("order_id", &self.order_id)
            .field("status", &self.status)
            .field("state", &self.state)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// The routes of this service.
pub fn routes(database: Database) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list))
        .with_state(database)
}

/// List what was sent and what waits, the newest first
#[utoipa::path(get, path = "/api/v1/emails", tag = "emails", params(EmailQuery), responses(
    (status = 200, description = "The mails", body = EmailList),
    (status = 400, description = "Not an order id, or not a limit from 1 to 200",
        body = Problem, content_type = Problem::CONTENT_TYPE),
    (status = 503, description = "The database is not available", body = Problem, content_type = Problem::CONTENT_TYPE),
))]
async fn list(
    State(database): State<Database>,
    Query(query): Query<EmailQuery>,
) -> Result<Json<EmailList>, Problem> {
    let order_id = query.order_id.as_deref().map(str::parse::<OrderId>);
    let order_id = order_id
        .transpose()
        .map_err(|error| bad_parameter("orderId", error.to_string()))?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(bad_parameter(
            "limit",
            format!("must be from 1 to {MAX_LIMIT}"),
        ));
    }
    let filter = JobFilter {
        kind: Some(KIND.to_owned()),
        order_id: order_id.map(|id| id.to_string()),
        state: None,
    };
    let rows = jobs::list(&database, &filter, limit).await?;
    let emails = rows.into_iter().map(email).collect::<Result<_, _>>();
    Ok(Json(EmailList {
        emails: emails.map_err(Problem::internal)?,
    }))
}

fn email(row: JobRow) -> Result<Email, serde_json::Error> {
    let mail: Mail = serde_json::from_str(&row.payload)?;
    let state = match row.state {
        JobState::Due => EmailState::Due,
        JobState::Leased => EmailState::Leased,
        JobState::Done => EmailState::Sent,
        JobState::Dead => EmailState::Dead,
        JobState::Skipped => EmailState::Skipped,
    };
    Ok(Email {
        order_id: row.order_id,
        status: mail.status,
        state,
        attempts: row.attempts,
        message_id: mail.message_id.to_string(),
        subject: mail.subject(),
        recipient: mail.recipient,
        sent_at: row
            .finished_at
            .filter(|_| state == EmailState::Sent)
            .and_then(time),
        next_try_at: Some(row.next_try_at)
            .filter(|_| state == EmailState::Due)
            .and_then(time),
        last_error: match state {
            EmailState::Skipped => row.result,
            _ => row.last_error,
        },
    })
}

fn time(millis: i64) -> Option<String> {
    Timestamp::from_millisecond(millis)
        .ok()
        .map(|time| time.to_string())
}

fn bad_parameter(name: &str, message: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST)
        .with_detail("a query parameter is not valid")
        .with_error(name, message)
}
