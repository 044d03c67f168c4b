//! Puts a service's routes, the common ones and the limits together.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn_with_state, map_response},
};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::{HttpConfig, limits, operations, receive::receive};
use crate::health::Health;

/// What a service says about itself in its API description and its metrics.
#[derive(Debug, Clone, Copy)]
pub struct ServiceInfo {
    /// Such as `order-service`.
    pub name: &'static str,
    /// Of the crate.
    pub version: &'static str,
    /// One or two sentences for the reader of the API description.
    pub description: &'static str,
}

/// A service's routes behind the limits, with `/health/live`, `/health/ready`, `/metrics`,
/// `/openapi.json` and `/docs` beside them. Only the service's own routes are shed under load.
pub fn router(
    info: ServiceInfo,
    routes: OpenApiRouter,
    health: &Health,
    config: &HttpConfig,
) -> Router {
    let (routes, mut api) = routes.split_for_parts();
    let (operations, operations_api) = operations::operations(health).split_for_parts();
    api.merge(operations_api);
    describe(&mut api, info);
    let permits = Arc::new(Semaphore::new(config.max_in_flight));
    routes
        .layer(from_fn_with_state(permits, limits::shed_load))
        .merge(operations)
        .merge(operations::documentation(api))
        .layer(from_fn_with_state(config.request_timeout, limits::time_out))
        .layer(from_fn_with_state(config.clone(), receive))
        .layer(DefaultBodyLimit::max(config.max_body))
        .layer(CatchPanicLayer::custom(limits::after_panic))
        .layer(map_response(limits::explain_bare_error))
        .layer(from_fn_with_state(info, limits::observe))
}

fn describe(api: &mut OpenApi, info: ServiceInfo) {
    info.name.clone_into(&mut api.info.title);
    info.version.clone_into(&mut api.info.version);
    api.info.description = Some(info.description.to_owned());
}
