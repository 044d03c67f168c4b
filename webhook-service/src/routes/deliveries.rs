//! What was delivered to a webhook and what was not, and trying it again.

use axum::extract::State;
use axum::http::StatusCode;
use base_domains::OrderStatus;
use serde::{Deserialize, Serialize};
use service_runtime::http::{Json, Path, Problem, Query};
use service_runtime::jobs::{self, JobFilter, JobRow, JobState};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Api, bad_parameter, time};
use crate::failure::Answer;
use crate::job::{ID_PREFIX, kind};
use crate::payload::Notification;
use crate::store::{Webhook, WebhookState};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// What became of one notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Waits for its first or next attempt.
    Due,
    /// Is being sent, or was when the process died.
    Leased,
    /// The receiver answered with success.
    Delivered,
    /// Failed for good; can be redriven.
    Dead,
    /// Was not sent on purpose, see `lastError`.
    Skipped,
}

/// One notification to one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The value of its header `webhook-id`, the same at every attempt.
    #[schema(example = "msg_4b0c3f6a2a5e5c0f9d1e8b7a6c5d4e3f")]
    pub id: String,
    /// The order it is about.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    pub order_id: String,
    /// The state of the order that it tells.
    #[schema(value_type = String, example = "SHIPPED")]
    pub status: OrderStatus,
    /// What became of it.
    pub state: DeliveryState,
    /// How often it was tried, since it was last redriven.
    #[schema(example = 1)]
    pub attempts: i64,
    /// The status of the receiver's last answer, if the last attempt got one.
    #[schema(example = 200)]
    pub last_status: Option<u16>,
    /// Why the last attempt failed, or why it was skipped.
    #[schema(example = "the receiver answered 500")]
    pub last_error: Option<String>,
    /// When it is tried next (RFC 3339); only while it is due.
    pub next_try_at: Option<String>,
    /// When the event was read (RFC 3339).
    #[schema(example = "2026-01-01T00:00:00Z")]
    pub created_at: Option<String>,
    /// When it was delivered, skipped or given up (RFC 3339).
    #[schema(example = "2026-01-01T00:00:01Z")]
    pub finished_at: Option<String>,
}

/// Deliveries, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeliveryList {
    /// At most as many as were asked for.
    pub deliveries: Vec<Delivery>,
}

/// How many deliveries are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Redriven {
    /// So many.
    #[schema(example = 1)]
    pub redriven: u64,
}

/// Which deliveries.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveryQuery {
    /// Only in this state: due, leased, delivered, dead or skipped.
    #[param(example = "dead")]
    state: Option<String>,
    /// Most deliveries in the answer.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

impl DeliveryState {
    /// The state of the job of this name for clients.
    fn job_state(name: &str) -> Option<JobState> {
        let named = |state: &JobState| Self::from(*state).as_str() == name;
        JobState::ALL.into_iter().find(named)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Leased => "leased",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Skipped => "skipped",
        }
    }
}

impl From<JobState> for DeliveryState {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Due => Self::Due,
            JobState::Leased => Self::Leased,
            JobState::Done => Self::Delivered,
            JobState::Dead => Self::Dead,
            JobState::Skipped => Self::Skipped,
        }
    }
}

/// List what was delivered to a webhook and what waits, the newest first
#[utoipa::path(get, path = "/api/v1/webhooks/{id}/deliveries", tag = "webhooks",
    params(("id" = String, Path, description = "Id of the webhook"), DeliveryQuery),
    responses(
        (status = 200, description = "The deliveries", body = DeliveryList),
        (status = 400, description = "Not an id, not a state, or not a limit from 1 to 200",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 404, description = "No such webhook", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
pub(super) async fn list(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(query): Query<DeliveryQuery>,
) -> Result<Json<DeliveryList>, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("must be from 1 to {MAX_LIMIT}");
        return Err(bad_parameter("limit", message));
    }
    let state = query.state.as_deref().map(|name| {
        let message = || "must be one of due, leased, delivered, dead, skipped".to_owned();
        DeliveryState::job_state(name).ok_or_else(|| bad_parameter("state", message()))
    });
    let state = state.transpose()?;
    let webhook = api.existing(&id).await?;
    let filter = JobFilter {
        kind: Some(kind(webhook.id)),
        state,
        ..JobFilter::default()
    };
    let rows = jobs::list(&api.database, &filter, limit).await;
    let rows = rows?.into_iter();
    let deliveries = rows.map(delivery).collect::<Result<_, _>>();
    Ok(Json(DeliveryList {
        deliveries: deliveries.map_err(Problem::internal)?,
    }))
}

/// Try all dead deliveries of a webhook again
///
/// They are due at once and as new: no attempts, and of no age.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/redrive", tag = "webhooks",
    params(("id" = String, Path, description = "Id of the webhook")),
    responses(
        (status = 202, description = "They are due, perhaps none", body = Redriven),
        (status = 400, description = "Not an id", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 404, description = "No such webhook", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 409, description = "The webhook is disabled", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
pub(super) async fn redrive_all(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Redriven>), Problem> {
    let webhook = enabled(api.existing(&id).await?)?;
    redrive(&api, webhook, None).await
}

/// Try a dead delivery again
///
/// It is due at once and as new: no attempts, and of no age. Its `webhook-id` stays the same.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/deliveries/{deliveryId}/redrive", tag = "webhooks",
    params(
        ("id" = String, Path, description = "Id of the webhook"),
        ("deliveryId" = String, Path, description = "Id of the delivery"),
    ),
    responses(
        (status = 202, description = "It is due", body = Redriven),
        (status = 400, description = "Not an id", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 404, description = "No such webhook, or it has no dead delivery of this id",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 409, description = "The webhook is disabled", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
pub(super) async fn redrive_one(
    State(api): State<Api>,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Redriven>), Problem> {
    let well_formed = delivery
        .strip_prefix(ID_PREFIX)
        .is_some_and(|id| Uuid::try_parse(id).is_ok());
    if !well_formed {
        let message = format!("must begin with {ID_PREFIX}, as the list of deliveries has it");
        return Err(bad_parameter("deliveryId", message));
    }
    let webhook = enabled(api.existing(&id).await?)?;
    redrive(&api, webhook, Some(&delivery)).await
}

async fn redrive(
    api: &Api,
    webhook: Uuid,
    delivery: Option<&str>,
) -> Result<(StatusCode, Json<Redriven>), Problem> {
    let redriven = jobs::retry_dead_of(&api.database, &kind(webhook), delivery).await;
    let redriven = redriven?;
    if redriven == 0 && delivery.is_some() {
        let detail = "the webhook has no dead delivery of this id";
        return Err(Problem::new(StatusCode::NOT_FOUND).with_detail(detail));
    }
    tracing::info!(%webhook, redriven, "Dead deliveries are tried again.");
    api.wakes.deliver(webhook);
    Ok((StatusCode::ACCEPTED, Json(Redriven { redriven })))
}

fn enabled(webhook: Webhook) -> Result<Uuid, Problem> {
    match webhook.state {
        WebhookState::Enabled => Ok(webhook.id),
        _ => {
            let detail = "the webhook is disabled; enable it first";
            Err(Problem::new(StatusCode::CONFLICT).with_detail(detail))
        }
    }
}

fn delivery(row: JobRow) -> Result<Delivery, serde_json::Error> {
    let notification: Notification = serde_json::from_str(&row.payload)?;
    let state = DeliveryState::from(row.state);
    let failed = |text: &String| text.parse::<Answer>().ok();
    let failed = row.last_error.as_ref().and_then(failed);
    let delivered = row.result.as_deref().and_then(|result| result.parse().ok());
    Ok(Delivery {
        id: row.job_id,
        order_id: row.order_id,
        status: notification.data.status,
        state,
        attempts: row.attempts,
        last_status: match state {
            DeliveryState::Delivered => delivered,
            _ => failed.map(|answer| answer.status.as_u16()),
        },
        last_error: match state {
            DeliveryState::Skipped => row.result,
            DeliveryState::Delivered => None,
            _ => row.last_error,
        },
        next_try_at: Some(row.next_try_at)
            .filter(|_| state == DeliveryState::Due)
            .and_then(time),
        created_at: time(row.created_at),
        finished_at: row.finished_at.and_then(time),
    })
}
