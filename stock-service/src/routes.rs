//! HTTP: the stock of each product, to read and to set.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use service_runtime::http::{Json, Path, Problem};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::inventory::{Inventory, InventoryError};
use crate::level::{Level, MAX_AVAILABLE};
use crate::product::check_name;

/// All but the characters that RFC 3986, section 2.3, leaves unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The pieces of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProductStock {
    /// The product, as order lines name it.
    #[schema(example = "book order")]
    pub name: String,
    /// Pieces that can be reserved.
    #[schema(example = 995)]
    pub available: i64,
    /// Pieces held for orders that did not end yet.
    #[schema(example = 5)]
    pub reserved: i64,
    /// Pieces of orders that were shipped.
    #[schema(example = 0)]
    pub shipped: i64,
}

/// All products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StockList {
    /// Sorted by name.
    pub products: Vec<ProductStock>,
}

/// How many pieces shall be available.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct NewAvailable {
    /// Pieces that can be reserved from now on; those that are reserved come on top.
    #[schema(minimum = 0, maximum = 1_000_000_000, example = 1000)]
    pub available: i64,
}

impl ProductStock {
    fn new(name: String, level: Level) -> Self {
        Self {
            name,
            available: level.available,
            reserved: level.reserved,
            shipped: level.shipped,
        }
    }
}

/// The routes of this service.
pub fn routes(inventory: Inventory) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, put))
        .with_state(inventory)
}

/// List the stock of all products
#[utoipa::path(get, path = "/api/v1/stock", tag = "stock", responses(
    (status = 200, description = "All products, sorted by name", body = StockList),
    (status = 503, description = "The database is not available", body = Problem, content_type = Problem::CONTENT_TYPE),
))]
async fn list(State(inventory): State<Inventory>) -> Result<Json<StockList>, Problem> {
    let levels = inventory.all().await.map_err(problem)?;
    let products = levels
        .into_iter()
        .map(|(name, level)| ProductStock::new(name, level))
        .collect();
    Ok(Json(StockList { products }))
}

/// Get the stock of one product
#[utoipa::path(get, path = "/api/v1/stock/{name}", tag = "stock",
    params(("name" = String, Path, description = "Name of the product, URL-encoded")),
    responses(
        (status = 200, description = "Its pieces", body = ProductStock),
        (status = 404, description = "No such product", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 422, description = "No order line could name it so",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
async fn get(
    State(inventory): State<Inventory>,
    Path(name): Path<String>,
) -> Result<Json<ProductStock>, Problem> {
    let name = check_name(&name).map_err(|message| invalid("name", message))?;
    match inventory.find(&name).await.map_err(problem)? {
        Some(level) => Ok(Json(ProductStock::new(name, level))),
        None => {
            Err(Problem::new(StatusCode::NOT_FOUND).with_detail("there is no product of this name"))
        }
    }
}

/// Set how many pieces of a product are available
///
/// Creates the product if it is missing, answered with 201. What is reserved or shipped stays so, and the difference
/// goes to the ledger.
#[utoipa::path(put, path = "/api/v1/stock/{name}", tag = "stock", request_body = NewAvailable,
    params(("name" = String, Path, description = "Name of the product, URL-encoded")),
    responses(
        (status = 200, description = "Its pieces from now on", body = ProductStock),
        (status = 201, description = "The product is new", body = ProductStock,
            headers(("Location" = String, description = "Path of the product"))),
        (status = 400, description = "The body is not JSON", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 413, description = "The body is too large", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 415, description = "The body is not declared as JSON",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 422, description = "A field breaks a rule", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available; say it again",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
async fn put(
    State(inventory): State<Inventory>,
    Path(name): Path<String>,
    Json(body): Json<NewAvailable>,
) -> Result<Response, Problem> {
    let in_range = (0..=MAX_AVAILABLE).contains(&body.available);
    let name = match check_name(&name) {
        Ok(name) if in_range => name,
        checked => return Err(invalid_fields(checked.err(), in_range)),
    };
    let adjusted = inventory
        .set_available(&name, body.available)
        .await
        .map_err(problem)?;
    let location = [(header::LOCATION, path_of(&name))];
    let product = Json(ProductStock::new(name, adjusted.level));
    Ok(match adjusted.created {
        true => (StatusCode::CREATED, location, product).into_response(),
        false => product.into_response(),
    })
}

fn path_of(product: &str) -> String {
    format!("/api/v1/stock/{}", utf8_percent_encode(product, ESCAPED))
}

fn invalid_fields(name: Option<String>, in_range: bool) -> Problem {
    let name = name.map(|message| ("name", message));
    let rule = || format!("must be from 0 to {MAX_AVAILABLE}");
    let available = (!in_range).then(|| ("available", rule()));
    Problem::invalid_fields(name.into_iter().chain(available))
}

fn invalid(field: &str, message: String) -> Problem {
    Problem::invalid_fields([(field, message)])
}

fn problem(error: InventoryError) -> Problem {
    match error {
        InventoryError::NotSeeded => Problem::no_database(),
        InventoryError::Database(error) => error.into(),
    }
}
