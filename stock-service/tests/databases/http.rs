//! The HTTP interface.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use base_domains::OrderStatus;
use serde_json::{Value, json};
use service_runtime::health::Health;
use service_runtime::http::{HttpConfig, ServiceInfo, router};
use service_runtime::lifecycle::Shutdown;
use stock_service::decider::StockDecider;
use stock_service::inventory::Inventory;
use stock_service::routes::routes;
use stock_service::unknown_product::UnknownProduct;
use test_support::{Test, TestDatabase, test};
use tower::ServiceExt as _;

use super::support::{Fresh, assert_conserved, catalogue, decide, number, order, request};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(the_list_is_sorted_by_name),
        test!(a_product_is_found_by_its_encoded_name),
        test!(a_product_that_is_not_there_is_a_problem),
        test!(an_operator_sets_what_is_available_and_the_ledger_keeps_the_difference),
        test!(setting_the_same_again_adds_nothing_to_the_ledger),
        test!(an_operator_creates_a_product_with_any_name_that_an_order_may_have),
        test!(only_the_put_that_creates_a_product_is_answered_with_201),
        test!(of_puts_at_once_one_creates_the_product),
        test!(what_is_reserved_or_shipped_stays_so_when_an_operator_counts),
        test!(a_number_that_is_out_of_range_or_no_number_is_refused_by_field),
        test!(a_name_that_no_order_could_have_is_refused_by_field),
        test!(before_the_stock_is_seeded_clients_are_asked_to_come_back),
        test!(the_api_description_names_the_routes_and_their_bodies),
    ]
}

struct World {
    fresh: Fresh,
    router: Router,
}

struct Answer {
    status: StatusCode,
    content_type: String,
    retry_after: Option<String>,
    location: Option<String>,
    body: Value,
}

/// A service without stock that was not seeded yet.
async fn unseeded(database: TestDatabase) -> (World, Inventory) {
    let fresh = Fresh::new(database).await;
    let inventory = Inventory::new(fresh.database.clone());
    let info = ServiceInfo {
        name: "stock-service",
        version: "0.0.0",
        description: "",
    };
    let health = Health::new(&Shutdown::new());
    let routes = routes(inventory.clone());
    let router = router(info, routes, &health, &HttpConfig::default());
    (World { fresh, router }, inventory)
}

async fn world(database: TestDatabase) -> World {
    let (world, inventory) = unseeded(database).await;
    let products = catalogue(&[("pen", 3), ("book order", 1000), ("Zebra", 1)]);
    inventory.seed(&products).await.unwrap();
    world
}

impl World {
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let text = |name| {
            let value = response.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        Answer {
            status: response.status(),
            content_type: text(header::CONTENT_TYPE).unwrap_or_default(),
            retry_after: text(header::RETRY_AFTER),
            location: text(header::LOCATION),
            body: {
                let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
                serde_json::from_slice(&bytes).unwrap()
            },
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    async fn deltas(&self, cause: &str) -> i64 {
        let sum = format!(
            "SELECT COALESCE(SUM(delta), 0) FROM stock_adjustments WHERE cause = '{cause}'"
        );
        number(&self.fresh.database, &sum).await
    }

    async fn end(self) {
        assert_conserved(&self.fresh.database).await;
    }
}

fn product(name: &str, available: i64, reserved: i64, shipped: i64) -> Value {
    json!({ "name": name, "available": available, "reserved": reserved, "shipped": shipped })
}

fn wrong_fields(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.content_type, "application/problem+json");
    let errors = answer.body["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect()
}

async fn the_list_is_sorted_by_name(database: TestDatabase) {
    let world = world(database).await;
    let answer = world.get("/api/v1/stock").await;
    assert_eq!(answer.status, StatusCode::OK);
    let products = [
        product("Zebra", 1, 0, 0),
        product("book order", 1000, 0, 0),
        product("pen", 3, 0, 0),
    ];
    assert_eq!(answer.body, json!({ "products": products }));
    world.end().await;
}

async fn a_product_is_found_by_its_encoded_name(database: TestDatabase) {
    let world = world(database).await;
    for path in [
        "/api/v1/stock/book%20order",
        "/api/v1/stock/%20book%20order",
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, product("book order", 1000, 0, 0));
    }
    world.end().await;
}

async fn a_product_that_is_not_there_is_a_problem(database: TestDatabase) {
    let world = world(database).await;
    let answer = world.get("/api/v1/stock/eraser").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.content_type, "application/problem+json");
    assert_eq!(answer.body["detail"], "there is no product of this name");
    world.end().await;
}

async fn an_operator_sets_what_is_available_and_the_ledger_keeps_the_difference(
    database: TestDatabase,
) {
    let world = world(database).await;
    let answer = world
        .put("/api/v1/stock/pen", json!({ "available": 10 }))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, product("pen", 10, 0, 0));
    assert_eq!(world.deltas("operator").await, 7);
    world
        .put("/api/v1/stock/pen", json!({ "available": 0 }))
        .await;
    assert_eq!(world.deltas("operator").await, -3);
    world.end().await;
}

async fn setting_the_same_again_adds_nothing_to_the_ledger(database: TestDatabase) {
    let world = world(database).await;
    for _ in 0..2 {
        let answer = world
            .put("/api/v1/stock/pen", json!({ "available": 5 }))
            .await;
        assert_eq!(answer.body, product("pen", 5, 0, 0));
    }
    let rows = "SELECT COUNT(*) FROM stock_adjustments WHERE cause = 'operator'";
    assert_eq!(number(&world.fresh.database, rows).await, 1);
    world.end().await;
}

async fn an_operator_creates_a_product_with_any_name_that_an_order_may_have(
    database: TestDatabase,
) {
    let world = world(database).await;
    for (path, name) in [
        ("/api/v1/stock/a%2Fb%3Fc", "a/b?c"),
        ("/api/v1/stock/B%C3%BCcher-1.0_a~", "Bücher-1.0_a~"),
        (
            "/api/v1/stock/B%C3%BCcher%20%2F%20%22%25%22",
            "Bücher / \"%\"",
        ),
    ] {
        let answer = world.put(path, json!({ "available": 2 })).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.location.as_deref(), Some(path));
        assert_eq!(answer.body, product(name, 2, 0, 0));
        assert_eq!(world.get(path).await.body, answer.body);
    }
    world.end().await;
}

async fn only_the_put_that_creates_a_product_is_answered_with_201(database: TestDatabase) {
    let world = world(database).await;
    let path = "/api/v1/stock/eraser";
    for (available, status) in [
        (0, StatusCode::CREATED),
        (0, StatusCode::OK),
        (7, StatusCode::OK),
    ] {
        let answer = world.put(path, json!({ "available": available })).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.body, product("eraser", available, 0, 0));
        let created = status == StatusCode::CREATED;
        assert_eq!(answer.location.as_deref(), created.then_some(path));
    }
    world.end().await;
}

async fn of_puts_at_once_one_creates_the_product(database: TestDatabase) {
    let world = world(database).await;
    let put = || world.put("/api/v1/stock/eraser", json!({ "available": 2 }));
    let answers = tokio::join!(put(), put(), put(), put());
    let mut statuses = [answers.0, answers.1, answers.2, answers.3].map(|answer| answer.status);
    statuses.sort();
    let (created, ok) = (StatusCode::CREATED, StatusCode::OK);
    assert_eq!(statuses, [ok, ok, ok, created]);
    world.end().await;
}

async fn what_is_reserved_or_shipped_stays_so_when_an_operator_counts(database: TestDatabase) {
    let world = world(database).await;
    let database = &world.fresh.database;
    let decider = StockDecider::new(database.dialect(), UnknownProduct::Reject);
    let (held, shipped) = (order(&["pen"]), order(&["pen"]));
    let requests = [
        request(&held, OrderStatus::Pending),
        request(&shipped, OrderStatus::Pending),
        request(&shipped, OrderStatus::Shipped),
    ];
    decide(database, &decider, &requests).await;
    let answer = world
        .put("/api/v1/stock/pen", json!({ "available": 8 }))
        .await;
    assert_eq!(answer.body, product("pen", 8, 1, 1));
    assert_eq!(world.deltas("operator").await, 7);
    world.end().await;
}

async fn a_number_that_is_out_of_range_or_no_number_is_refused_by_field(database: TestDatabase) {
    let world = world(database).await;
    for available in [
        json!(-1),
        json!(1_000_000_001),
        json!(1.5),
        json!("5"),
        json!(null),
    ] {
        let body = json!({ "available": available });
        let answer = world.put("/api/v1/stock/pen", body).await;
        assert_eq!(wrong_fields(&answer), ["available"], "{available}");
    }
    let answer = world.put("/api/v1/stock/pen", json!({})).await;
    assert_eq!(wrong_fields(&answer), ["available"]);
    let answer = world
        .put("/api/v1/stock/pen", json!({ "available": 1_000_000_000 }))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    world.end().await;
}

async fn a_name_that_no_order_could_have_is_refused_by_field(database: TestDatabase) {
    let world = world(database).await;
    for name in ["%20", "a%0Ab", &"x".repeat(201)] {
        let path = format!("/api/v1/stock/{name}");
        assert_eq!(wrong_fields(&world.get(&path).await), ["name"]);
        let answer = world.put(&path, json!({ "available": -1 })).await;
        assert_eq!(wrong_fields(&answer), ["name", "available"]);
    }
    world.end().await;
}

async fn before_the_stock_is_seeded_clients_are_asked_to_come_back(database: TestDatabase) {
    let (world, _) = unseeded(database).await;
    for answer in [
        world.get("/api/v1/stock").await,
        world.get("/api/v1/stock/pen").await,
        world
            .put("/api/v1/stock/pen", json!({ "available": 1 }))
            .await,
    ] {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.retry_after.as_deref(), Some("1"));
    }
    world.end().await;
}

async fn the_api_description_names_the_routes_and_their_bodies(database: TestDatabase) {
    let world = world(database).await;
    let api = world.get("/openapi.json").await.body;
    let one = &api["paths"]["/api/v1/stock/{name}"];
    assert!(api["paths"]["/api/v1/stock"]["get"].is_object());
    assert!(one["get"]["responses"]["404"].is_object());
    assert!(one["put"]["requestBody"].is_object());
    assert!(one["put"]["responses"]["201"]["headers"]["Location"].is_object());
    let field = &api["components"]["schemas"]["NewAvailable"]["properties"]["available"];
    assert_eq!(field["maximum"], 1_000_000_000);
    world.end().await;
}
