//! `POST /api/v1/orders/{id}/cancel`.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base_domains::{OrderId, OrderStatus, header};
use serde::Serialize;
use service_runtime::http::{Json, Path, Problem};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Command;
use super::cancel::{CancelError, Outcome};
use super::deadline::Deadline;
use crate::refusal;
use service_runtime::participant::AppendError;

/// When a client should come back after an order was not seen to end.
const RETRY: Duration = Duration::from_secs(5);

/// An order that is cancelled.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "orderId": "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a",
    "status": "CANCELLED",
    "reason": "cancelled_on_request",
}))]
pub(super) struct Cancelled {
    /// The id.
    order_id: Uuid,
    /// The state: always CANCELLED.
    #[schema(value_type = String)]
    status: OrderStatus,
    /// Why: `cancelled_on_request`, `deadline`, or what another writer gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Cancel an order
///
/// 200 means that the log says so: the order is CANCELLED, by this request or by an earlier one, and stays so.
/// What was reserved or charged is released and refunded afterwards. 409 means that the order ended otherwise
/// first. After 503 the order may be cancelled a moment later: repeating the request is harmless and tells.
/// Nothing is read from the request's body.
#[utoipa::path(
    post,
    path = "/api/v1/orders/{id}/cancel",
    tag = "orders",
    params(
        ("id" = Uuid, Path, description = "The order's id",
            example = "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a"),
        ("traceparent" = Option<String>, Header, description = "W3C trace context, handed on with the event"),
    ),
    responses(
        (status = 200, description = "The order is cancelled", body = Cancelled),
        (status = 400, description = "The id is not a hyphenated UUID",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 404, description = "No such order", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 409, description = "Too late: the order ended otherwise. Or nothing can be appended to it, \
            because no event that says what was ordered could be read",
            body = Problem, content_type = Problem::CONTENT_TYPE, example = json!({
                "type": "urn:problem-type:order-ended", "title": "Order ended", "status": 409,
                "detail": "the order is SHIPPED and cannot be cancelled any more",
                "orderId": "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a", "orderStatus": "SHIPPED",
            })),
        (status = 503, description = "Not confirmed, perhaps cancelled: repeat it",
            body = Problem, content_type = Problem::CONTENT_TYPE,
            headers(("Retry-After" = u64, description = "Seconds to wait")),
            example = json!({
                "type": "urn:problem-type:cancellation-unconfirmed", "title": "Cancellation not confirmed",
                "status": 503, "detail": "the order was not seen to end in time",
                "orderId": "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a",
            })),
    ),
)]
pub(super) async fn cancel_order(
    State(command): State<Command>,
    Deadline(deadline): Deadline,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Cancelled>, Problem> {
    let order_id = refusal::order_id(&id)?;
    let traceparent = headers.get(header::TRACEPARENT);
    let traceparent = traceparent.and_then(|value| value.to_str().ok());
    let cancelling = command
        .cancellations
        .cancel(order_id, traceparent, deadline);
    let problem = match cancelling.await {
        Ok(Outcome::Ended(OrderStatus::Cancelled, reason)) => {
            return Ok(Json(Cancelled {
                order_id: order_id.as_uuid(),
                status: OrderStatus::Cancelled,
                reason,
            }));
        }
        Ok(outcome) => refused(order_id, outcome),
        Err(error) => unconfirmed(order_id, &error),
    };
    Err(problem.with_extension("orderId", order_id.to_string()))
}

fn refused(order_id: OrderId, outcome: Outcome) -> Problem {
    let conflict = |status: OrderStatus| {
        Problem::new(StatusCode::CONFLICT).with_extension("orderStatus", status.as_str())
    };
    match outcome {
        Outcome::Ended(status, reason) => {
            let problem = conflict(status)
                .with_kind("urn:problem-type:order-ended", "Order ended")
                .with_detail(format!(
                    "the order is {status} and cannot be cancelled any more"
                ));
            match reason {
                Some(reason) => problem.with_extension("reason", reason),
                None => problem,
            }
        }
        Outcome::Unreadable(status) => conflict(status)
            .with_kind("urn:problem-type:order-unreadable", "Order not readable")
            .with_detail("no event that says what was ordered could be read"),
        Outcome::Unknown => {
            Problem::new(StatusCode::NOT_FOUND).with_detail(format!("there is no order {order_id}"))
        }
    }
}

fn unconfirmed(order_id: OrderId, error: &CancelError) -> Problem {
    let detail = match error {
        CancelError::Storage(error) => return refusal::storage(error),
        CancelError::Crowded => return refusal::crowded(),
        CancelError::Append(AppendError::Bug(error)) => return Problem::internal(error),
        CancelError::Append(_) | CancelError::Behind => "the log is not read to its end",
        CancelError::Produce(_) => "the broker did not confirm the cancellation in time",
        CancelError::OutOfTime => "the order was not seen to end in time",
    };
    tracing::warn!(%order_id, %error, "It is unknown whether an order is cancelled.");
    Problem::unavailable(detail, RETRY).with_kind(
        "urn:problem-type:cancellation-unconfirmed",
        "Cancellation not confirmed",
    )
}
