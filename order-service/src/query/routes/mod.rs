//! What can be asked of the read model over HTTP.

mod all_events;
mod events;
mod order;
mod orders;

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use service_runtime::http::Problem;
use tokio::sync::OwnedSemaphorePermit;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::lookup::{Lookup, LookupError};
use super::parameters::BadParameter;
use super::store;
use super::stream::Position;
use crate::refusal;

/// The query of a request as it came.
type Parameters = Vec<(String, String)>;

pub(super) fn routes(lookup: Lookup) -> OpenApiRouter {
    OpenApiRouter::default()
        .routes(routes!(orders::list_orders))
        .routes(routes!(order::get_order))
        .routes(routes!(events::get_events))
        .routes(routes!(all_events::stream_events))
        .with_state(lookup)
}

fn bad_parameter(bad: BadParameter) -> Problem {
    refusal::bad_request(bad.name, bad.problem)
}

/// Where a stream goes on: `Last-Event-ID` of the request.
async fn last_event_id(lookup: &Lookup, headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    const NAME: &str = "Last-Event-ID";
    let Some(value) = headers.get(NAME) else {
        return Ok(None);
    };
    let bad = |message: &str| refusal::bad_request(NAME, message);
    let told: Option<Position> = value.to_str().ok().and_then(|text| text.parse().ok());
    let told = told.ok_or_else(|| bad("must be the id of an event of these streams"))?;
    let newest = store::newest(&lookup.storage).await;
    if told.is_ahead_of(&newest.map_err(|error| refusal::storage(&error))?) {
        return Err(bad("names events that this log does not have"));
    }
    Ok(Some(told))
}

/// A place for one more stream.
fn stream_seat(lookup: &Lookup) -> Result<OwnedSemaphorePermit, Problem> {
    let seat = Arc::clone(&lookup.stream_seats).try_acquire_owned();
    seat.map_err(|_| refusal::crowded())
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
