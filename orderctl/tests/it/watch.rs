//! Following orders live.

use serde_json::{Value, json};

use crate::support::{Server, orderctl};

const ID: &str = "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a";
const STREAM: &str = "text/event-stream";

fn event(id: &str, status: &str) -> String {
    format!(
        ": heartbeat\n\nid: {id}\ndata: {{\"orderId\":\"{ID}\",\"status\":\"{status}\",\"link\":\"/x\"}}\n\n"
    )
}

fn notice(id: &str, status: &str) -> Value {
    json!({"id": id, "orderId": ID, "status": status, "link": "/x"})
}

#[tokio::test]
async fn an_order_is_followed_to_its_end_over_a_broken_connection() {
    let server = Server::start().await;
    server.then_text(200, STREAM, &event("0:1", "PENDING"));
    // Down for a moment, and a part of an event is lost with the connection.
    server.then(503, json!({}));
    server.then_text(
        200,
        STREAM,
        &format!("{}id: 0:3\ndata: {{", event("0:2", "RESERVED")),
    );
    server.then_text(200, STREAM, &event("0:3", "SHIPPED"));
    let environment = [("ORDER_URL", server.url.as_str())];
    let run = orderctl(&["watch", ID, "--json"], &environment).await;
    assert_eq!(run.code, 0, "{run:?}");
    let told = [
        notice("0:1", "PENDING"),
        notice("0:2", "RESERVED"),
        notice("0:3", "SHIPPED"),
    ];
    assert_eq!(run.documents(), told);
    let asked = server.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.line == format!("GET /api/v1/orders/{ID}/events"))
    );
    let resumed: Vec<_> = asked
        .iter()
        .map(|asked| asked.header("last-event-id"))
        .collect();
    assert_eq!(resumed, [None, Some("0:1"), Some("0:1"), Some("0:2")]);
    assert_eq!(asked[0].header("accept"), Some(STREAM));
}

#[tokio::test]
async fn a_stream_that_was_told_to_its_end_is_not_asked_for_again() {
    let server = Server::start().await;
    server.then_text(204, STREAM, "");
    let line = ["watch", ID, "--since", "0:3", "--order-url", &server.url];
    let run = orderctl(&line, &[]).await;
    assert_eq!((run.code, &*run.stdout), (0, ""));
    assert_eq!(server.asked()[0].header("last-event-id"), Some("0:3"));
}

#[tokio::test]
async fn all_orders_are_followed_from_where_it_is_said_until_the_service_refuses() {
    let server = Server::start().await;
    server.then_text(200, STREAM, &event("0:1,2:3", "SHIPPED"));
    server.then(
        400,
        json!({"detail": "names events that this log does not have"}),
    );
    let line = ["watch", "--since", "-", "--order-url", &server.url];
    let run = orderctl(&line, &[]).await;
    assert_eq!((run.code, run.stdout), (2, format!("{ID}  SHIPPED\n")));
    let asked = server.asked();
    assert_eq!(asked[1].line, "GET /api/v1/orders/events");
    let resumed: Vec<_> = asked
        .iter()
        .map(|asked| asked.header("last-event-id"))
        .collect();
    assert_eq!(resumed, [Some("-"), Some("0:1,2:3")]);
}

#[tokio::test]
async fn what_cannot_be_followed_is_an_error_at_once() {
    let server = Server::answering(404, json!({})).await;
    let missing = orderctl(&["watch", ID, "--order-url", &server.url], &[]).await;
    assert_eq!(missing.code, 3, "{missing:?}");
    let down = orderctl(&["watch", "--order-url", "http://127.0.0.1:1"], &[]).await;
    assert_eq!(down.code, 5, "{down:?}");
}
