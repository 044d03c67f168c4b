//! `GET /api/v1/orders`.

use axum::extract::State;
use service_runtime::http::{Json, Problem, Query};

use super::{Parameters, bad_parameter};
use crate::query::lookup::Lookup;
use crate::query::page::{Page, PageRequest};
use crate::query::store;
use crate::refusal;

/// Orders, newest first
///
/// Pages are read one after the other by `nextCursor`. An order that moves on stays in its place; with `status` it
/// is listed where it is when its page is read.
#[utoipa::path(
    get,
    path = "/api/v1/orders",
    tag = "orders",
    params(
        ("status" = Option<String>, Query,
            description = "Only orders in one of these states, separated by commas", example = "RESERVED,PAID"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 200,
            description = "Most orders on the page; 50 unless given", example = 20),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page, perhaps an empty one", body = Page),
        (status = 400, description = "A parameter cannot be read",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The read model cannot be used now",
            body = Problem, content_type = Problem::CONTENT_TYPE,
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
    ),
)]
pub(super) async fn list_orders(
    State(lookup): State<Lookup>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Page>, Problem> {
    let request = PageRequest::of(&parameters).map_err(bad_parameter)?;
    let page = store::page(&lookup.storage, &request).await;
    page.map(Json).map_err(|error| refusal::storage(&error))
}
