//! Every error is a problem document with the right members.

use serde_json::json;
use service_runtime::http::HttpConfig;

use crate::support::Server;

async fn server() -> Server {
    Server::start(HttpConfig::default()).await
}

#[tokio::test]
async fn a_valid_request_is_answered_as_json() {
    let answer = server()
        .await
        .post(br#"{"name":"book","qty":5,"more":1}"#)
        .await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.json(),
        json!({"name": "book", "qty": 5, "items": []})
    );
}

#[tokio::test]
async fn a_wrong_type_is_422_and_names_the_path_of_the_field() {
    let server = server().await;
    let body = br#"{"name":"book","qty":5,"items":[{"price":1},{"price":"x"}]}"#;
    let problem = server.post(body).await.problem(422);
    assert_eq!(
        problem,
        json!({
            "type": "about:blank",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "the body does not have the expected form",
            "errors": [{
                "field": "items[1].price",
                "message": "invalid type: string, expected f64",
            }],
        })
    );
    let problem = server
        .post(br#"{"name":"book","qty":-1}"#)
        .await
        .problem(422);
    assert_eq!(problem["errors"][0]["field"], "qty");
}

#[tokio::test]
async fn a_missing_field_is_422_and_named() {
    let server = server().await;
    let problem = server.post(br#"{"name":"book"}"#).await.problem(422);
    let expected = json!([{"field": "qty", "message": "missing field `qty`"}]);
    assert_eq!(problem["errors"], expected);
    let body = br#"{"name":"book","qty":5,"items":[{}]}"#;
    let problem = server.post(body).await.problem(422);
    assert_eq!(problem["errors"][0]["field"], "items[0].price");
}

#[tokio::test]
async fn a_body_that_is_no_object_is_422_without_a_field() {
    let problem = server().await.post(b"7").await.problem(422);
    assert_eq!(problem["errors"][0]["field"], "");
}

#[tokio::test]
async fn what_the_client_sent_is_not_repeated() {
    let server = server().await;
    for body in [
        r#"{"name":"book","qty":"secret"}"#,
        r#"{"name":"book","qty":"a\", expected secret"}"#,
        r#"{"name":"book","qty":5,"items":["secret"]}"#,
    ] {
        let problem = server.post(body.as_bytes()).await.problem(422);
        let message = problem["errors"][0]["message"].as_str().unwrap();
        assert!(
            message.starts_with("invalid type: string, expected "),
            "{message}"
        );
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
    for path in ["/items/secret", "/items/7?limit=secret"] {
        let problem = server.get(path).await.problem(400);
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
}

#[tokio::test]
async fn what_is_not_json_or_not_utf_8_is_400() {
    let server = server().await;
    for body in [
        &b"{\"name\":"[..],
        b"",
        b"{\"name\":\"book\",\"qty\":5} x",
        b"{\"name\":\"book\",\"qty\":NaN}",
        b"{\"name\":\"bo\xff\",\"qty\":5}",
        b"{\"name\":\"book\",\"qty\":5,\"skipped\":\"\xff\"}",
    ] {
        let problem = server.post(body).await.problem(400);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("the body is not "), "{detail}");
    }
}

#[tokio::test]
async fn a_body_without_a_json_content_type_is_415() {
    let server = server().await;
    for (header, status) in [
        ("", 415),
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: application/jsonx\r\n", 415),
        ("Content-Type: Application/JSON; charset=utf-8\r\n", 201),
        ("Content-Type: application/vnd.order+json\r\n", 201),
    ] {
        let body = r#"{"name":"book","qty":5}"#;
        let length = body.len();
        let mut client = server.connect().await;
        let request = format!(
            "POST /orders HTTP/1.1\r\nHost: t\r\n{header}Content-Length: {length}\r\n\r\n{body}"
        );
        client.send(request.as_bytes()).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{header:?}");
        if status == 415 {
            let problem = answer.problem(415);
            assert_eq!(
                problem["detail"],
                "the content type must be application/json"
            );
        }
    }
}

#[tokio::test]
async fn wrong_path_and_query_parameters_are_400_and_named() {
    let server = server().await;
    let answer = server.get("/items/7?limit=3").await;
    assert_eq!(answer.json(), json!({"id": 7, "limit": 3}));
    let problem = server.get("/items/x").await.problem(400);
    assert!(
        problem["detail"].as_str().unwrap().contains("Cannot parse"),
        "{problem}"
    );
    let problem = server.get("/items/7?limit=300").await.problem(400);
    assert!(
        problem["detail"].as_str().unwrap().contains("limit"),
        "{problem}"
    );
}

#[tokio::test]
async fn an_unknown_path_is_404() {
    let problem = server().await.get("/nowhere").await.problem(404);
    assert_eq!(
        problem,
        json!({"type": "about:blank", "title": "Not Found", "status": 404})
    );
}

#[tokio::test]
async fn a_wrong_method_is_405_and_names_the_allowed_ones() {
    let answer = server().await.get("/orders").await;
    assert_eq!(answer.problem(405)["title"], "Method Not Allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
}

#[tokio::test]
async fn a_bare_status_of_a_handler_becomes_a_problem() {
    let problem = server().await.get("/bare").await.problem(409);
    assert_eq!(problem["title"], "Conflict");
}

#[tokio::test]
async fn a_panic_and_an_internal_error_are_500_without_details() {
    let server = server().await;
    for path in ["/panic", "/fail"] {
        let problem = server.get(path).await.problem(500);
        let expected = json!({
            "type": "about:blank",
            "title": "Internal Server Error",
            "status": 500,
        });
        assert_eq!(problem, expected);
    }
    assert_eq!(server.get("/items/1").await.status, 200);
}

#[tokio::test]
async fn a_problem_carries_its_kind_its_extensions_and_when_to_retry() {
    let answer = server().await.get("/unavailable").await;
    assert_eq!(
        answer.problem(503),
        json!({
            "type": "urn:problem:order:unknown",
            "title": "Unknown result",
            "status": 503,
            "detail": "the result is unknown",
            "orderId": "o-1",
        })
    );
    assert_eq!(answer.header("retry-after"), Some("2"));
}
