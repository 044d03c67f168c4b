//! What stands between a client and the handlers.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;

use super::{Problem, ServiceInfo};

/// When a refused client should come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Refuses at once what is above the number of permits.
pub(super) async fn shed_load(
    State(permits): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    match permits.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => {
            metrics::counter!("http_requests_shed_total").increment(1);
            Problem::unavailable("too many requests at a time", RETRY_AFTER).into_response()
        }
    }
}

/// Gives up a request whose answer does not begin in time. What its handler had begun may still
/// happen: a handler that changes something needs a shorter limit of its own.
pub(super) async fn time_out(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable("the request took too long", RETRY_AFTER).into_response(),
    }
}

/// The answer in place of a handler that panicked; the panic itself is logged by the panic hook.
pub(super) fn after_panic(_: Box<dyn Any + Send>) -> Response {
    metrics::counter!("http_handler_panics_total").increment(1);
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR).into_response()
}

/// Makes a problem document of an error without a body: no such route, a method that the route
/// does not take, or a handler's bare status.
pub(super) async fn explain_bare_error(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.headers().contains_key(header::CONTENT_TYPE) {
        return response;
    }
    let mut explained = Problem::new(status).into_response();
    for (name, value) in response.headers() {
        if name != header::CONTENT_LENGTH {
            explained.headers_mut().append(name, value.clone());
        }
    }
    explained
}

/// Counts, times and (at debug level) logs each request by its route, never by its path, which can
/// hold ids and names.
pub(super) async fn observe(
    State(info): State<ServiceInfo>,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let elapsed = start.elapsed();
    tracing::debug!(method, route, status, ?elapsed, "Request answered.");
    metrics::histogram!(
        "http_request_duration_seconds",
        "service" => info.name, "method" => method, "route" => route.clone(),
    )
    .record(elapsed);
    metrics::counter!(
        "http_requests_total",
        "service" => info.name, "method" => method, "route" => route, "status" => status.to_string(),
    )
    .increment(1);
    response
}

/// A client may invent methods; a label must not.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
