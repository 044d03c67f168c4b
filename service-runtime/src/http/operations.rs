//! Endpoints for the people and machines that run the service.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::Json;
use crate::{
    health::{Health, Report},
    telemetry,
};

/// Health and metrics.
pub(super) fn operations(health: &Health) -> OpenApiRouter {
    OpenApiRouter::default()
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(metrics))
        .with_state(health.clone())
}

/// `/openapi.json` and the page that shows it. The page's files are in the binary, and nothing of it
/// asks another host: the validator badge, which would, is switched off.
pub(super) fn documentation(api: OpenApi) -> Router {
    let config = Config::from("/openapi.json").validator_url("none");
    SwaggerUi::new("/docs")
        .config(config)
        .url("/openapi.json", api)
        .into()
}

/// Whether the process should go on
#[utoipa::path(get, path = "/health/live", tag = "operations", responses(
    (status = 200, description = "Live", body = Report),
    (status = 503, description = "Only a restart helps", body = Report),
))]
async fn live(State(health): State<Health>) -> impl IntoResponse {
    answer(health.liveness())
}

/// Whether requests should come here
#[utoipa::path(get, path = "/health/ready", tag = "operations", responses(
    (status = 200, description = "Ready", body = Report),
    (status = 503, description = "Not ready, with the reasons", body = Report),
))]
async fn ready(State(health): State<Health>) -> impl IntoResponse {
    answer(health.readiness())
}

/// Metrics in Prometheus text form
#[utoipa::path(get, path = "/metrics", tag = "operations", responses(
    (status = 200, description = "All metrics of the process", body = String),
))]
async fn metrics() -> impl IntoResponse {
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (content_type, telemetry::metrics_text())
}

fn answer(report: Report) -> impl IntoResponse {
    let status = match report.ok {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(report))
}
