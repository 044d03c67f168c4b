//! `GET /api/v1/orders/{id}/events`.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use base_domains::OrderId;
use service_runtime::http::{Json, Path, Problem, Query};

use super::{Parameters, bad_parameter, last_event_id, not_found, refused, stream_seat};
use crate::query::history::History;
use crate::query::lookup::Lookup;
use crate::query::moment::Moment;
use crate::query::store;
use crate::query::stream::{self, Notice};
use crate::query::wish::Wish;
use crate::{accept, refusal};

/// The life of one order
///
/// The events that moved it on, with their places in the log, and the state they come to. With `at` only those that
/// had happened by then, so the state is that of then.
///
/// With `Accept: text/event-stream` they are told live (Server-Sent Events), those that happened first, until the
/// order ends. A client that comes back with `Last-Event-ID` goes on after that event.
#[utoipa::path(
    get,
    path = "/api/v1/orders/{id}/events",
    tag = "orders",
    params(
        ("id" = Uuid, Path, description = "The order's id",
            example = "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a"),
        ("at" = Option<String>, Query,
            description = "A time, or an offset in the order's partition: the order as it was then",
            example = "2026-11-21T10:15:30Z"),
        ("Last-Event-ID" = Option<String>, Header,
            description = "Id of the last event of the stream that the client has seen", example = "1:18"),
    ),
    responses(
        (status = 200, description = "The events in the order of the log",
            content((History = "application/json"), (Notice = "text/event-stream"))),
        (status = 204, description = "A stream that was told to its end: do not come back"),
        (status = 400, description = "The id or a parameter cannot be read",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 404, description = "No such order, or not yet at that moment",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The read model cannot be used now",
            body = Problem, content_type = Problem::CONTENT_TYPE,
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
    ),
)]
pub(super) async fn get_events(
    State(lookup): State<Lookup>,
    Path(id): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let order_id = refusal::order_id(&id)?;
    let moment = Moment::of(&parameters).map_err(bad_parameter)?;
    // Waits for an order that is not in the read model yet, as a request for the order itself does.
    let known = lookup.find(order_id, Wish::any()).await;
    if known.map_err(|error| refused(&error))?.is_none() {
        return Err(not_found(format!("there is no order {order_id}")));
    }
    let vary = [(header::VARY, "accept")];
    if accept::prefers(&headers, ("text", "event-stream"), ("application", "json")) {
        let told = last_event_id(&lookup, &headers).await?.unwrap_or_default();
        let seat = stream_seat(&lookup)?;
        let stream = stream::of_one(lookup, order_id, told, seat).await;
        let stream = stream.map_err(|error| refusal::storage(&error))?;
        return Ok((vary, stream).into_response());
    }
    let history = history(&lookup, order_id, moment).await?;
    Ok((vary, Json(history)).into_response())
}

async fn history(
    lookup: &Lookup,
    order_id: OrderId,
    moment: Option<Moment>,
) -> Result<History, Problem> {
    let entries = store::history(&lookup.storage, order_id).await;
    let entries = entries.map_err(|error| refusal::storage(&error))?;
    History::of(order_id, entries, moment).ok_or_else(|| match moment {
        Some(moment) => not_found(format!("there was no order {order_id} at {moment}")),
        None => not_found(format!("there is no order {order_id}")),
    })
}
