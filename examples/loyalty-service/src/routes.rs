//! HTTP: the points of an order.

use axum::extract::State;
use axum::http::StatusCode;
use base_domains::{OrderId, ParseOrderIdError};
use serde::Serialize;
use service_runtime::database::Database;
use service_runtime::http::{Json, Path, Problem};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::points;

/// The points of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderPoints {
    /// The order.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    pub order_id: String,
    /// One for each full 10.00 of its total.
    #[schema(example = 5000)]
    pub points: i64,
}

/// The routes of this service.
pub fn routes(database: Database) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(get))
        .with_state(database)
}

/// Get the points of an order
#[utoipa::path(get, path = "/api/v1/points/{orderId}", tag = "points",
    params(("orderId" = String, Path, description = "Id of the order")),
    responses(
        (status = 200, description = "Its points", body = OrderPoints),
        (status = 400, description = "Not an order id", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 404, description = "The order was not shipped, or not yet",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
async fn get(
    State(database): State<Database>,
    Path(order_id): Path<String>,
) -> Result<Json<OrderPoints>, Problem> {
    let id: OrderId = order_id.parse().map_err(|error| bad_id(&error))?;
    let Some(points) = points::find(&database, id).await? else {
        return Err(Problem::new(StatusCode::NOT_FOUND).with_detail("the order has no points"));
    };
    Ok(Json(OrderPoints {
        order_id: id.to_string(),
        points,
    }))
}

fn bad_id(error: &ParseOrderIdError) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST)
        .with_detail("the order id cannot be used")
        .with_error("orderId", error.to_string())
}
