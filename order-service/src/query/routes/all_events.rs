//! `GET /api/v1/orders/events`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use service_runtime::http::Problem;

use super::{last_event_id, stream_seat};
use crate::query::lookup::Lookup;
use crate::query::stream::{self, Notice};
use crate::refusal;

/// All orders, live
///
/// Server-Sent Events: one for each event that moves an order on, from now on. The id of an event says how much of
/// the log was told with it, so a client that comes back with `Last-Event-ID` misses nothing, whichever instance
/// answers. Events come by time, those of one order in order (but for a first one without key, if its writer's
/// clock is wrong). A client that falls behind is dropped, and resumes in the same way.
#[utoipa::path(
    get,
    path = "/api/v1/orders/events",
    tag = "orders",
    params(
        ("Last-Event-ID" = Option<String>, Header,
            description = "Id of the last event that the client has seen; `-` for the very beginning",
            example = "0:17,1:3,2:9"),
    ),
    responses(
        (status = 200, description = "The stream; a comment every 15 s while nothing happens",
            body = Notice, content_type = "text/event-stream"),
        (status = 400, description = "Last-Event-ID cannot be read, or is of another log",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The read model cannot be used now, or there are too many streams",
            body = Problem, content_type = Problem::CONTENT_TYPE,
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
    ),
)]
pub(super) async fn stream_events(
    State(lookup): State<Lookup>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let told = last_event_id(&lookup, &headers).await?;
    let seat = stream_seat(&lookup)?;
    let stream = stream::of_all(lookup, told, seat).await;
    stream.map_err(|error| refusal::storage(&error))
}
