//! What can be asked of the read model over HTTP.

mod events;
mod order;
mod orders;

use axum::http::StatusCode;
use service_runtime::http::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::lookup::{Lookup, LookupError};
use super::parameters::BadParameter;
use crate::refusal;

/// The query of a request as it came.
type Parameters = Vec<(String, String)>;

pub(super) fn routes(lookup: Lookup) -> OpenApiRouter {
    OpenApiRouter::default()
        .routes(routes!(orders::list_orders))
        .routes(routes!(order::get_order))
        .routes(routes!(events::get_events))
        .with_state(lookup)
}

fn bad_parameter(bad: BadParameter) -> Problem {
    refusal::bad_request(bad.name, bad.problem)
}

fn not_found(detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND).with_detail(detail)
}

fn refused(error: &LookupError) -> Problem {
    match error {
        LookupError::Storage(error) => refusal::storage(error),
        LookupError::Crowded => refusal::crowded(),
    }
}
