//! What a client hears of its order.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base_domains::{OrderId, OrderStatus};
use serde::Serialize;
use service_runtime::http::{Json, Problem};
use service_runtime::kafka::ProduceError;
use utoipa::ToSchema;
use uuid::Uuid;

use super::place::PlaceError;
use crate::{accept, refusal};

/// The tutorial's sentence, to the letter.
const MESSAGE: &str = "Order placed successfully ...";

/// The queue empties as fast as the broker takes records.
const QUEUE_RETRY: Duration = Duration::from_secs(1);
/// A broker that did not answer needs longer than a moment.
const BROKER_RETRY: Duration = Duration::from_secs(5);

/// An order that is in the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "message": "Order placed successfully ...",
    "orderId": "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a",
    "status": "PENDING",
}))]
pub(super) struct Placed {
    /// A sentence for people.
    message: &'static str,
    /// The id.
    order_id: Uuid,
    /// The state it was placed in: always PENDING.
    #[schema(value_type = String)]
    status: OrderStatus,
}

/// 201, in the form that the request prefers.
pub(super) fn placed(order_id: OrderId, headers: &HeaderMap) -> Response {
    let location = [(header::LOCATION, format!("/api/v1/orders/{order_id}"))];
    let body = if accept::prefers(headers, ("text", "plain"), ("application", "json")) {
        MESSAGE.into_response()
    } else {
        let placed = Placed {
            message: MESSAGE,
            order_id: order_id.as_uuid(),
            status: OrderStatus::Pending,
        };
        Json(placed).into_response()
    };
    (StatusCode::CREATED, location, body).into_response()
}

/// Why there is no 201.
pub(super) fn not_placed(error: &PlaceError, order_id: OrderId) -> Problem {
    let problem = match error {
        PlaceError::Taken(field) => {
            return Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
                .with_kind(
                    "urn:problem-type:order-id-reused",
                    "Reused for another order",
                )
                .with_detail(format!(
                    "this {field} was used for an order with other content"
                ))
                .with_error(*field, "was used for another order");
        }
        PlaceError::Encode(error) => Problem::internal(error),
        PlaceError::Storage(error) => refusal::storage(error),
        PlaceError::Produce(ProduceError::QueueFull) => {
            Problem::unavailable("too many orders wait for the broker", QUEUE_RETRY)
        }
        PlaceError::Produce(_) | PlaceError::Deadline => {
            tracing::warn!(%order_id, %error, "It is unknown whether an order was placed.");
            Problem::unavailable("the broker did not confirm the order in time", BROKER_RETRY)
                .with_kind("urn:problem-type:order-unconfirmed", "Order not confirmed")
        }
    };
    // A repetition under this id cannot make a second order, whatever became of the first one.
    problem.with_extension("orderId", order_id.to_string())
}
