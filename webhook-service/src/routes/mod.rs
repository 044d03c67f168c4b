//! HTTP: webhooks, and what was delivered to them.
//!
//! Nobody is authenticated here, as nowhere in this system: who may register webhooks is decided by who
//! reaches the port.

mod deliveries;
mod webhooks;

use std::sync::Arc;

use axum::http::StatusCode;
use jiff::Timestamp;
use service_runtime::database::Database;
use service_runtime::http::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::store::{self, Webhook, WebhookState};
use crate::target::Policy;
use crate::wakes::Wakes;

pub use deliveries::{Delivery, DeliveryList, DeliveryState, Redriven};
pub use webhooks::{RegisterWebhook, RegisteredWebhook, WebhookList, WebhookView};

/// What the routes need.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where webhooks and deliveries are.
    pub database: Database,
    /// Which receivers may be registered.
    pub policy: Policy,
    /// How many.
    pub max_registered: i64,
    /// Who has to hear of changes.
    pub wakes: Arc<Wakes>,
}

/// The routes of this service.
pub fn routes(api: Api) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(webhooks::list, webhooks::register))
        .routes(routes!(webhooks::get, webhooks::delete))
        .routes(routes!(webhooks::enable))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::redrive_all))
        .routes(routes!(deliveries::redrive_one))
        .with_state(api)
}

impl Api {
    /// A webhook that exists.
    async fn existing(&self, id: &str) -> Result<Webhook, Problem> {
        let id = webhook_id(id)?;
        let found = store::find(&self.database, id).await?;
        let exists = |webhook: &Webhook| webhook.state != WebhookState::Deleted;
        found.filter(exists).ok_or_else(no_webhook)
    }
}

fn webhook_id(id: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(id).map_err(|_| bad_parameter("id", "must be a UUID".to_owned()))
}

fn no_webhook() -> Problem {
    Problem::new(StatusCode::NOT_FOUND).with_detail("there is no webhook of this id")
}

fn bad_parameter(name: &str, message: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST)
        .with_detail("a parameter is not valid")
        .with_error(name, message)
}

fn time(millis: i64) -> Option<String> {
    Timestamp::from_millisecond(millis)
        .ok()
        .map(|time| time.to_string())
}
