//! `GET /api/v1/orders/{id}`.

use axum::extract::State;
use service_runtime::http::{Json, Path, Problem, Query};

use super::{Parameters, refused};
use crate::query::lookup::Lookup;
use crate::query::view::OrderView;
use crate::query::wish::Wish;
use crate::refusal;

/// One order
///
/// The read model follows the log by some milliseconds, so an order that is not in it yet is waited for, one
/// second unless `wait` says how long.
#[utoipa::path(
    get,
    path = "/api/v1/orders/{id}",
    tag = "orders",
    params(
        ("id" = Uuid, Path, description = "The order's id",
            example = "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a"),
        ("wait" = Option<String>, Query,
            description = "Wait so long, at most 30s, for the order to end; then the state it is in is \
                answered. A server may wait shorter: a little less than its HTTP_REQUEST_TIMEOUT",
            example = "5s"),
        ("until" = Option<String>, Query,
            description = "With `wait`: do not wait for the end, but for this state, a later one, or an end",
            example = "RESERVED"),
    ),
    responses(
        (status = 200, description = "The state of the order, also when a wait was in vain", body = OrderView),
        (status = 400, description = "The id or a parameter cannot be read",
            body = Problem, content_type = Problem::CONTENT_TYPE, example = json!({
                "type": "about:blank", "title": "Bad Request", "status": 400, "detail": "wait cannot be used",
                "errors": [{"field": "wait", "message": "must be at most 30s"}],
            })),
        (status = 404, description = "No such order", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The read model cannot be used now",
            body = Problem, content_type = Problem::CONTENT_TYPE,
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
    ),
)]
pub(super) async fn get_order(
    State(lookup): State<Lookup>,
    Path(id): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<OrderView>, Problem> {
    let order_id = refusal::order_id(&id)?;
    let wish = Wish::of(&parameters).map_err(super::bad_parameter)?;
    match lookup.find(order_id, wish).await {
        Ok(Some(view)) => Ok(Json(view)),
        Ok(None) => Err(super::not_found(format!("there is no order {order_id}"))),
        Err(error) => Err(refused(&error)),
    }
}
