//! The endpoints that every service has.

use std::time::Duration;

use serde_json::json;
use service_runtime::{http::HttpConfig, telemetry};

use crate::support::{DEADLINE, Server};

async fn server() -> Server {
    Server::start(HttpConfig::default()).await
}

#[tokio::test]
async fn readiness_lists_every_component_and_why_it_is_not_ready() {
    let server = server().await;
    server.health.component("database").set_ready();
    let consumer = server.health.component("consumer");
    let answer = server.get("/health/ready").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let expected = json!({
        "status": "not ready",
        "components": {
            "consumer": {"status": "not ready", "reason": "starting"},
            "database": {"status": "ready"},
        },
    });
    assert_eq!(answer.json(), expected);
    consumer.set_ready();
    assert_eq!(server.get("/health/ready").await.status, 200);
}

#[tokio::test]
async fn liveness_fails_when_heartbeats_stop_and_comes_back_with_them() {
    let server = server().await;
    let name = "consumer";
    let consumer = server.health.component(name).with_deadline(Duration::ZERO);
    let live = async || server.get("/health/live").await;
    tokio::time::timeout(DEADLINE, async { while live().await.status != 503 {} })
        .await
        .unwrap();
    assert_eq!(live().await.json()["components"][name]["status"], "stalled");
    let consumer = consumer.with_deadline(DEADLINE);
    consumer.heartbeat();
    assert_eq!(live().await.status, 200);
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_never_by_path() {
    telemetry::install_metrics();
    let server = server().await;
    server.get("/items/4711").await;
    server.get("/nowhere/4711").await;
    let mut client = server.connect().await;
    client
        .send(b"BREW /items/1 HTTP/1.1\r\nHost: t\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 405);
    let answer = server.get("/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4")
    );
    let text = answer.text();
    for (method, route, status) in [
        ("GET", "/items/{id}", 200),
        ("GET", "none", 404),
        ("other", "/items/{id}", 405),
    ] {
        let series = format!(
            "http_requests_total{{service=\"test-service\",method=\"{method}\",\
             route=\"{route}\",status=\"{status}\"}}"
        );
        assert!(text.contains(&series), "{series} in {text}");
    }
    assert!(
        text.contains("http_request_duration_seconds_bucket{"),
        "{text}"
    );
    assert!(!text.contains("4711") && !text.contains("BREW"), "{text}");
}

#[tokio::test]
async fn the_api_description_holds_own_and_common_routes_and_the_problem_schema() {
    let api = server().await.get("/openapi.json").await.json();
    assert_eq!(api["info"]["title"], "test-service");
    assert_eq!(api["info"]["version"], "1.2.3");
    assert_eq!(api["info"]["description"], "A service for tests.");
    for path in ["/orders", "/health/live", "/health/ready", "/metrics"] {
        assert!(api["paths"][path].is_object(), "{path}");
    }
    let problem = &api["components"]["schemas"]["Problem"];
    for member in ["type", "title", "status", "detail", "errors"] {
        assert!(
            problem["properties"][member].is_object(),
            "{member}: {problem}"
        );
    }
    let error = &api["components"]["schemas"]["FieldError"];
    assert!(error["properties"]["field"].is_object(), "{error}");
}

#[tokio::test]
async fn the_docs_page_is_complete_and_asks_no_other_host() {
    let server = server().await;
    let redirect = server.get("/docs").await;
    assert_eq!(redirect.header("location"), Some("/docs/"));
    let page = server.get("/docs/").await;
    let html = page.text();
    assert!(!html.contains("://"), "{html}");
    let mut files = 0;
    for part in html.split(['"']).filter(|part| part.contains('.')) {
        let file = part.trim_start_matches("./");
        if !["css", "js", "png"].iter().any(|end| file.ends_with(end)) {
            continue;
        }
        let answer = server.get(&format!("/docs/{file}")).await;
        assert_eq!(answer.status, 200, "{file}");
        assert!(!answer.body.is_empty(), "{file}");
        files += 1;
    }
    assert_eq!(files, 7);
    let start = server.get("/docs/swagger-initializer.js").await;
    assert!(
        start.text().contains("\"/openapi.json\""),
        "{}",
        start.text()
    );
    assert!(
        start.text().contains("\"validatorUrl\": \"none\""),
        "{}",
        start.text()
    );
    server.get("/docs/no-such-file.js").await.problem(404);
}
