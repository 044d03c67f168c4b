//! Registering, showing and deleting webhooks.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base_domains::OrderStatus;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use service_runtime::http::{Json, Path, Problem};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Api, no_webhook, time, webhook_id};
use crate::secret::Secret;
use crate::store::{self, NewWebhook, Webhook};
use crate::target::shown;

/// Who wants to be told of what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhook, example = json!({"url": "https://example.com/orders", "states": ["SHIPPED"]}))]
pub struct RegisterWebhook {
    /// Where notifications go: https, and at a public address.
    #[schema(max_length = 2048, example = "https://example.com/orders")]
    url: String,
    /// Which states of an order; all of them if absent.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, example = json!(["SHIPPED"]))]
    states: Option<Vec<OrderStatus>>,
    /// What requests are signed with: `whsec_` and the base64 form of 24 to 64 bytes. One is made if absent.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: Option<String>,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub struct WebhookView {
    /// Its id.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    pub id: String,
    /// Where notifications go; `***` stands for all that may be secret: user, password, path and query.
    #[schema(example = "https://example.com/***")]
    pub url: String,
    /// Which states of an order it is told of.
    #[schema(value_type = Vec<String>, example = json!(["SHIPPED"]))]
    pub states: Vec<OrderStatus>,
    /// `enabled`, or `disabled` after its receiver answered 410 Gone.
    #[schema(example = "enabled")]
    pub state: &'static str,
    /// Why it is disabled.
    pub reason: Option<String>,
    /// When it was registered (RFC 3339).
    #[schema(example = "2026-01-01T00:00:00Z")]
    pub created_at: Option<String>,
}

/// A new webhook, with its secret, which is shown here and nowhere else.
#[derive(Clone, Serialize, ToSchema)]
pub struct RegisteredWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: WebhookView,
    /// What requests are signed with, as Standard Webhooks has it.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: String,
}

/// All webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WebhookList {
    /// In the order of their registration.
    pub webhooks: Vec<WebhookView>,
}

impl std::fmt::Debug for RegisterWebhook {
    /// Leaves out what may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisterWebhook")
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RegisteredWebhook {
    /// Leaves out the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisteredWebhook")
            .field("webhook", &self.webhook)
            .finish_non_exhaustive()
    }
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id.to_string(),
            url: shown(webhook.url.expose_secret()),
            states: webhook.states,
            state: webhook.state.as_str(),
            reason: webhook.reason,
            created_at: time(webhook.created_at),
        }
    }
}

/// Register a webhook
///
/// It is told of events that are read from now on. Each notification is a POST of
/// `{"type":"order.shipped","timestamp":"…","data":{"orderId":"…","status":"SHIPPED","link":"…"}}` with the headers
/// `webhook-id`, `webhook-timestamp` and `webhook-signature` of Standard Webhooks. It arrives at least once, always
/// under the same `webhook-id`, and in no order; an answer from 200 to 299 ends it.
#[utoipa::path(post, path = "/api/v1/webhooks", tag = "webhooks", request_body = RegisterWebhook, responses(
    (status = 201, description = "It is registered; the secret is shown only here", body = RegisteredWebhook,
        headers(("Location" = String, description = "Path of the webhook"))),
    (status = 400, description = "The body is not JSON", body = Problem, content_type = Problem::CONTENT_TYPE),
    (status = 409, description = "There are as many webhooks as allowed",
        body = Problem, content_type = Problem::CONTENT_TYPE),
    (status = 413, description = "The body is too large", body = Problem, content_type = Problem::CONTENT_TYPE),
    (status = 415, description = "The body is not declared as JSON",
        body = Problem, content_type = Problem::CONTENT_TYPE),
    (status = 422, description = "A field breaks a rule", body = Problem, content_type = Problem::CONTENT_TYPE),
    (status = 503, description = "The database is not available",
        body = Problem, content_type = Problem::CONTENT_TYPE),
))]
pub(super) async fn register(
    State(api): State<Api>,
    Json(body): Json<RegisterWebhook>,
) -> Result<Response, Problem> {
    let new = checked(&api, body)?;
    let registered = store::register(&api.database, &new, api.max_registered);
    if !registered.await? {
        let detail = format!(
            "there are {} webhooks, as many as allowed",
            api.max_registered
        );
        return Err(Problem::new(StatusCode::CONFLICT).with_detail(detail));
    }
    api.wakes.change();
    let webhook = store::find(&api.database, new.id).await?;
    let webhook = WebhookView::from(webhook.ok_or_else(no_webhook)?);
    tracing::info!(webhook = webhook.id, "A webhook was registered.");
    let location = [(header::LOCATION, format!("/api/v1/webhooks/{}", webhook.id))];
    let secret = new.secret.expose_secret().to_owned();
    let body = Json(RegisteredWebhook { webhook, secret });
    Ok((StatusCode::CREATED, location, body).into_response())
}

/// What is registered, or all that is wrong with it.
fn checked(api: &Api, body: RegisterWebhook) -> Result<NewWebhook, Problem> {
    let url = api.policy.check(&body.url);
    let secret = body.secret.as_deref().map(Secret::parse).transpose();
    let mut states = body.states.unwrap_or_else(|| OrderStatus::ALL.to_vec());
    states.sort_by_key(|status| OrderStatus::ALL.iter().position(|known| known == status));
    states.dedup();
    match (url, secret) {
        (Ok(url), Ok(secret)) if !states.is_empty() => {
            let secret = secret.map_or_else(Secret::generate, Ok);
            Ok(NewWebhook {
                id: Uuid::now_v7(),
                url: String::from(url).into(),
                secret: secret.map_err(Problem::internal)?.text(),
                states,
            })
        }
        (url, secret) => {
            let url = url.err().map(|error| ("url", error.to_string()));
            let none = states.is_empty();
            let states = none.then(|| ("states", "must name at least one state".to_owned()));
            let secret = secret.err().map(|error| ("secret", error.to_string()));
            Err(Problem::invalid_fields(
                url.into_iter().chain(states).chain(secret),
            ))
        }
    }
}

/// List all webhooks
#[utoipa::path(get, path = "/api/v1/webhooks", tag = "webhooks", responses(
    (status = 200, description = "The webhooks, in the order of their registration", body = WebhookList),
    (status = 503, description = "The database is not available",
        body = Problem, content_type = Problem::CONTENT_TYPE),
))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<WebhookList>, Problem> {
    let webhooks = store::list(&api.database).await?;
    let webhooks = webhooks.into_iter().map(WebhookView::from).collect();
    Ok(Json(WebhookList { webhooks }))
}

/// Get a webhook
#[utoipa::path(get, path = "/api/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Id of the webhook")),
    responses(
        (status = 200, description = "The webhook, without its secret", body = WebhookView),
        (status = 400, description = "Not an id", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 404, description = "No such webhook", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
pub(super) async fn get(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<WebhookView>, Problem> {
    Ok(Json(api.existing(&id).await?.into()))
}

/// Delete a webhook
///
/// Deliveries that wait are skipped; a request that is under way is not called back.
#[utoipa::path(delete, path = "/api/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Id of the webhook")),
    responses(
        (status = 204, description = "It does not exist any more"),
        (status = 400, description = "Not an id", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 404, description = "No such webhook", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
pub(super) async fn delete(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = webhook_id(&id)?;
    match store::delete(&api.database, id).await? {
        true => {
            api.wakes.change();
            tracing::info!(webhook = %id, "A webhook was deleted.");
            Ok(StatusCode::NO_CONTENT)
        }
        false => Err(no_webhook()),
    }
}

/// Enable a webhook again
///
/// After its receiver answered 410 Gone by mistake. What it was not told of meanwhile it will not be told of; its dead
/// deliveries can be redriven.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/enable", tag = "webhooks",
    params(("id" = String, Path, description = "Id of the webhook")),
    responses(
        (status = 200, description = "The webhook, which is enabled", body = WebhookView),
        (status = 400, description = "Not an id", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 404, description = "No such webhook", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
pub(super) async fn enable(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<WebhookView>, Problem> {
    let uuid = webhook_id(&id)?;
    store::enable(&api.database, uuid).await?;
    let webhook = api.existing(&id).await?;
    Ok(Json(webhook.into()))
}
