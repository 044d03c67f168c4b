//! HTTP: the shipment of an order, and its dispatch.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use base_domains::{OrderId, ParseOrderIdError};
use jiff::Timestamp;
use serde::Serialize;
use service_runtime::http::{Json, Path, Problem};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::dispatch::Dispatcher;
use crate::shipment;
use crate::store::Kept;

/// How far a shipment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShipmentState {
    /// The order is paid; the parcel is ready.
    Prepared,
    /// The parcel is handed over.
    Dispatched,
    /// The order ended before the parcel was handed over.
    Cancelled,
}

/// The shipment of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderShipment {
    /// The order.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    pub order_id: String,
    /// How far it is.
    pub state: ShipmentState,
    /// By which the parcel can be followed.
    #[schema(example = "OE01890A5DAC96774BBCCEB302099A8057")]
    pub tracking_number: String,
    /// What is in the parcel.
    pub lines: Vec<ParcelLine>,
    /// When the log says that it was dispatched (RFC 3339); once it is.
    #[schema(example = "2026-01-01T00:00:05Z")]
    pub dispatched_at: Option<String>,
    /// When it was prepared (RFC 3339).
    #[schema(example = "2026-01-01T00:00:00Z")]
    pub created_at: Option<String>,
    /// When its state changed last (RFC 3339).
    #[schema(example = "2026-01-01T00:00:05Z")]
    pub updated_at: Option<String>,
}

/// So many pieces of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ParcelLine {
    /// The product.
    #[schema(example = "book order")]
    pub name: String,
    /// Pieces.
    #[schema(example = 5)]
    pub qty: i64,
}

/// The routes of this service.
pub fn routes(dispatcher: Dispatcher) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(get))
        .routes(routes!(dispatch))
        .with_state(dispatcher)
}

/// Get the shipment of an order
#[utoipa::path(get, path = "/api/v1/shipments/{orderId}", tag = "shipments",
    params(("orderId" = String, Path, description = "Id of the order")),
    responses(
        (status = 200, description = "Its shipment", body = OrderShipment),
        (status = 400, description = "Not an order id", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 404, description = "The order has no shipment, or not yet",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
async fn get(
    State(dispatcher): State<Dispatcher>,
    Path(order_id): Path<String>,
) -> Result<Json<OrderShipment>, Problem> {
    let order_id: OrderId = order_id.parse().map_err(bad_id)?;
    let kept = dispatcher.find(order_id).await?;
    Ok(Json(kept.ok_or_else(unknown)?.into()))
}

/// Dispatch the shipment of an order now
///
/// Only the log decides: the answer is what was read back from it. To ask again is harmless.
#[utoipa::path(post, path = "/api/v1/shipments/{orderId}/dispatch", tag = "shipments",
    params(("orderId" = String, Path, description = "Id of the order")),
    responses(
        (status = 200, description = "It is dispatched, by this request or before", body = OrderShipment),
        (status = 202, description = "It will be dispatched, unless a cancellation comes first in the log; ask again",
            body = OrderShipment),
        (status = 400, description = "Not an order id", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 404, description = "The order has no shipment, or not yet",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 409, description = "Too late: the order was cancelled or rejected",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available; say it again",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
async fn dispatch(
    State(dispatcher): State<Dispatcher>,
    Path(order_id): Path<String>,
) -> Result<Response, Problem> {
    let order_id: OrderId = order_id.parse().map_err(bad_id)?;
    let kept = dispatcher.dispatch(order_id).await?;
    let kept = kept.ok_or_else(unknown)?;
    let status = match kept.shipment.state {
        shipment::State::Dispatched => StatusCode::OK,
        shipment::State::Prepared => StatusCode::ACCEPTED,
        shipment::State::Cancelled => {
            let detail = "the order ended before its shipment was dispatched";
            return Err(Problem::new(StatusCode::CONFLICT).with_detail(detail));
        }
    };
    Ok((status, Json(OrderShipment::from(kept))).into_response())
}

impl From<Kept> for OrderShipment {
    fn from(kept: Kept) -> Self {
        let shipment = kept.shipment;
        let lines = shipment.lines.into_iter();
        Self {
            order_id: shipment.order_id.to_string(),
            state: shipment.state.into(),
            tracking_number: shipment.tracking_number,
            lines: lines
                .map(|shipment::Line { name, qty }| ParcelLine { name, qty })
                .collect(),
            dispatched_at: shipment.dispatched_at.and_then(time),
            created_at: time(kept.created_at),
            updated_at: time(kept.updated_at),
        }
    }
}

impl From<shipment::State> for ShipmentState {
    fn from(state: shipment::State) -> Self {
        match state {
            shipment::State::Prepared => Self::Prepared,
            shipment::State::Dispatched => Self::Dispatched,
            shipment::State::Cancelled => Self::Cancelled,
        }
    }
}

fn time(millis: i64) -> Option<String> {
    Timestamp::from_millisecond(millis)
        .ok()
        .map(|time| time.to_string())
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND).with_detail("there is no shipment of this order")
}

fn bad_id(error: ParseOrderIdError) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST)
        .with_detail("the order id cannot be used")
        .with_error("orderId", error.to_string())
}
