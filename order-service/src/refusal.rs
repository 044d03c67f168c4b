//! Problems that both sides of the service answer with.

use std::time::Duration;

use axum::http::StatusCode;
use base_domains::OrderId;
use service_runtime::http::Problem;

use crate::storage::StorageError;

/// When a client should come back after the database could not be used.
const DATABASE_RETRY: Duration = Duration::from_secs(5);

/// Reads the order id of a path.
pub(crate) fn order_id(text: &str) -> Result<OrderId, Problem> {
    text.parse()
        .map_err(|error: base_domains::ParseOrderIdError| bad_request("id", error.to_string()))
}

/// 400 that names a header or parameter.
pub(crate) fn bad_request(name: &str, message: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST)
        .with_detail(format!("{name} cannot be used"))
        .with_error(name, message)
}

/// What a client hears of a database that failed: come back, or 500 where that would not help.
pub(crate) fn storage(error: &StorageError) -> Problem {
    if error.is_temporary() {
        tracing::warn!(%error, "A request could not use the database.");
        Problem::unavailable("the database cannot be used now", DATABASE_RETRY)
    } else {
        Problem::internal(error)
    }
}

/// 503 for a wait that there is no room for.
pub(crate) fn crowded() -> Problem {
    Problem::unavailable("too many requests are waiting", Duration::from_secs(1))
}
