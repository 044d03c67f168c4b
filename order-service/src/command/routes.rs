//! The routes, of which `POST /api/v1/orders` and `PUT /api/v1/orders/{id}` stand here.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use base_domains::{NewOrder, OrderId, header};
use service_runtime::fault;
use service_runtime::http::{Json, Path, Problem};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Command;
use super::answer::{Placed, not_placed, placed};
use super::caller::caller;
use super::cancel_route;
use super::deadline::Deadline;
use super::idempotency_key::IdempotencyKey;
use super::place::IdOrigin;
use super::request::PlaceOrder;
use crate::refusal;

pub(super) fn routes(command: Command) -> OpenApiRouter {
    OpenApiRouter::default()
        .routes(routes!(place_order))
        .routes(routes!(put_order))
        .routes(routes!(cancel_route::cancel_order))
        .with_state(command)
}

/// Place an order
///
/// 201 means that the order is in the log. 503 with an `orderId` means that it may be: repeat the request
/// with the same `Idempotency-Key`, or as PUT under that id, and there will be one order.
#[utoipa::path(
    post,
    path = "/api/v1/orders",
    tag = "orders",
    params(
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
            description = "The client's name for this order, printable ASCII. Repeating a request with the \
                same key and content gives the same answer and no second order",
            example = "3f0c7a52-basket-17"),
        ("traceparent" = Option<String>, Header, description = "W3C trace context, handed on with the event"),
    ),
    request_body(content = PlaceOrder, examples(
        ("one line" = (value = json!({"name": "book order", "qty": 5, "price": 10000}))),
        ("several lines" = (value = json!({
            "email": "reader@example.org",
            "items": [
                {"name": "book order", "qty": 5, "price": 10000},
                {"name": "pen", "qty": 1, "price": 2.5},
            ],
        }))),
    )),
    responses(
        (status = 201, description = "Placed; with `Accept: text/plain` only the sentence",
            content(
                (Placed = "application/json"),
                (String = "text/plain", example = "Order placed successfully ..."),
            ),
            headers(("Location" = String, description = "Path of the order"))),
        (status = 400, description = "Not JSON, or an unusable Idempotency-Key",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 408, description = "The body came too slowly", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 413, description = "The body is too large", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 415, description = "The body is not declared as JSON",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 422, description = "Fields that break a rule, or a key that was used for another order",
            body = Problem, content_type = Problem::CONTENT_TYPE, example = json!({
                "type": "about:blank", "title": "Unprocessable Entity", "status": 422,
                "detail": "the request has fields that are not valid",
                "errors": [{"field": "qty", "message": "must be from 1 to 1000000"}],
            })),
        (status = 503, description = "Not confirmed, perhaps placed: repeat it under the same id",
            body = Problem, content_type = Problem::CONTENT_TYPE,
            headers(("Retry-After" = u64, description = "Seconds to wait")),
            example = json!({
                "type": "urn:problem-type:order-unconfirmed", "title": "Order not confirmed", "status": 503,
                "detail": "the broker did not confirm the order in time",
                "orderId": "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a",
            })),
    ),
)]
async fn place_order(
    State(command): State<Command>,
    deadline: Deadline,
    headers: HeaderMap,
    Json(body): Json<PlaceOrder>,
) -> Result<Response, Problem> {
    let key = IdempotencyKey::of(&headers)
        .map_err(|error| refusal::bad_request(IdempotencyKey::HEADER, error.to_string()))?;
    let (order_id, origin) = match key.filter(|_| !fault::mutated("r7.key-names-order")) {
        Some(key) => {
            let id = OrderId::from_idempotency_key(caller(), key.as_str());
            (id, IdOrigin::Client(IdempotencyKey::HEADER))
        }
        None => (OrderId::new(Uuid::now_v7()), IdOrigin::Fresh),
    };
    command
        .place(order_id, origin, body, deadline, &headers)
        .await
}

/// Place an order under an id of your own
///
/// Repeating a request gives the same answer and no second order. Contents are compared with those of earlier
/// requests that chose the id, or a key, and with the order that the log has under the id. Only in the moment
/// before that is read, another content is answered with 201; the first one stays all the same.
#[utoipa::path(
    put,
    path = "/api/v1/orders/{id}",
    tag = "orders",
    params(
        ("id" = Uuid, Path, description = "The order's id, chosen by the client or named by a 503",
            example = "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a"),
        ("traceparent" = Option<String>, Header, description = "W3C trace context, handed on with the event"),
    ),
    request_body = PlaceOrder,
    responses(
        (status = 201, description = "Placed, by this request or by an earlier one; with \
            `Accept: text/plain` only the sentence",
            content(
                (Placed = "application/json"),
                (String = "text/plain", example = "Order placed successfully ..."),
            ),
            headers(("Location" = String, description = "Path of the order"))),
        (status = 400, description = "Not JSON, or the id is not a hyphenated UUID",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 408, description = "The body came too slowly", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 413, description = "The body is too large", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 415, description = "The body is not declared as JSON",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 422, description = "Fields that break a rule, or an id that stands for another order",
            body = Problem, content_type = Problem::CONTENT_TYPE, example = json!({
                "type": "urn:problem-type:order-id-reused", "title": "Reused for another order", "status": 422,
                "detail": "this id was used for an order with other content",
                "errors": [{"field": "id", "message": "was used for another order"}],
            })),
        (status = 503, description = "Not confirmed, perhaps placed: repeat it",
            body = Problem, content_type = Problem::CONTENT_TYPE,
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
    ),
)]
async fn put_order(
    State(command): State<Command>,
    deadline: Deadline,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<PlaceOrder>,
) -> Result<Response, Problem> {
    let order_id = refusal::order_id(&id)?;
    let origin = IdOrigin::Client("id");
    command
        .place(order_id, origin, body, deadline, &headers)
        .await
}

impl Command {
    async fn place(
        &self,
        order_id: OrderId,
        origin: IdOrigin,
        body: PlaceOrder,
        Deadline(deadline): Deadline,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        let order = NewOrder::from(body)
            .into_order(order_id)
            .map_err(|errors| {
                let errors = errors.into_iter().map(|error| (error.field, error.message));
                Problem::invalid_fields(errors)
            })?;
        let traceparent = headers
            .get(header::TRACEPARENT)
            .and_then(|value| value.to_str().ok());
        match self
            .placing
            .place(&order, origin, traceparent, deadline)
            .await
        {
            Ok(()) => Ok(placed(order_id, headers)),
            Err(error) => Err(not_placed(&error, order_id)),
        }
    }
}
