//! Takes a request in before anything is done with it.
//!
//! A body that drips must hold up nobody but its sender: it takes none of the requests that may be under way, and
//! the time for an answer begins when it is here. All bodies are small (`HTTP_MAX_BODY`), so the most that
//! they use together is that times `HTTP_MAX_CONNECTIONS`.

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{FromRequest as _, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{HttpConfig, Problem, extract::unread_body};

/// Answers with 413 as soon as a body is, or says it will be, too large, and with 408 when it takes too long.
pub(super) async fn receive(
    State(config): State<HttpConfig>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    if request.body().size_hint().lower() > u64::try_from(config.max_body).unwrap_or(u64::MAX) {
        return unread_body(StatusCode::PAYLOAD_TOO_LARGE).into_response();
    }
    let (parts, body) = request.into_parts();
    let body = Bytes::from_request(Request::from_parts(parts.clone(), body), &());
    match tokio::time::timeout(config.request_timeout, body).await {
        Ok(Ok(body)) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Ok(Err(rejection)) => unread_body(rejection.status()).into_response(),
        Err(_) => Problem::new(StatusCode::REQUEST_TIMEOUT)
            .with_detail("the request's body did not arrive in time")
            .into_response(),
    }
}
