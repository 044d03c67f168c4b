//! Placing, reading and cancelling orders.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Run, Server, orderctl};

const ID: &str = "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a";

async fn run(server: &Server, arguments: &[&str]) -> Run {
    orderctl(arguments, &[("ORDER_URL", &server.url)]).await
}

fn placed() -> Value {
    json!({"message": "Order placed successfully ...", "orderId": ID, "status": "PENDING"})
}

fn order(status: &str) -> Value {
    json!({
        "orderId": ID, "status": status,
        "order": {"name": "book order", "qty": 5, "price": 10000.0},
        "createdAt": "2026-11-21T10:15:30.123Z", "updatedAt": "2026-11-21T10:15:30.187Z",
    })
}

#[tokio::test]
async fn an_order_of_one_line_is_placed_and_its_id_printed() {
    let server = Server::answering(201, placed()).await;
    let line = [
        "place",
        "--name",
        "book order",
        "--qty",
        "5",
        "--price",
        "10000",
    ];
    let run = run(&server, &line).await;
    assert_eq!((run.code, run.stdout), (0, format!("{ID}  PENDING\n")));
    let asked = server.asked().remove(0);
    let id: Uuid = asked.line["PUT /api/v1/orders/".len()..].parse().unwrap();
    assert_eq!(asked.line, format!("PUT /api/v1/orders/{id}"));
    assert_eq!(id.get_version_num(), 7);
    assert_eq!(
        asked.body,
        json!({"name": "book order", "qty": 5, "price": 10000.0})
    );
    assert_eq!(asked.header("idempotency-key"), None);
}

#[tokio::test]
async fn an_order_of_several_lines_takes_a_key_and_an_address() {
    let server = Server::answering(201, placed()).await;
    let run = run(
        &server,
        &[
            "--json",
            "place",
            "--item",
            "book order:5:10000",
            "--item",
            "pen:1:2.5",
            "--email",
            "ann@example.org",
            "--idempotency-key",
            "basket-17",
        ],
    )
    .await;
    assert_eq!(run.json(), placed());
    let asked = server.asked().remove(0);
    assert_eq!(asked.line, "POST /api/v1/orders");
    assert_eq!(asked.header("idempotency-key"), Some("basket-17"));
    let items = json!([
        {"name": "book order", "qty": 5, "price": 10000.0},
        {"name": "pen", "qty": 1, "price": 2.5},
    ]);
    assert_eq!(
        asked.body,
        json!({"email": "ann@example.org", "items": items})
    );
}

/// The id that a failed attempt names.
fn named(run: &Run) -> &str {
    let (_, rest) = run.stderr.split_once("--id ").unwrap();
    &rest[..ID.len()]
}

#[tokio::test]
async fn an_order_of_unknown_fate_is_told_with_the_way_to_repeat_it() {
    let line = ["place", "--item", "pen:1:2.5"];
    for status in [503, 504, 500] {
        let server = Server::answering(status, json!({"detail": "not confirmed"})).await;
        let first = run(&server, &line).await;
        assert_eq!(first.code, if status == 500 { 1 } else { 5 }, "{first:?}");
        assert_eq!(first.stdout, "");
        let id = named(&first);
        assert_eq!(server.lines(), [format!("PUT /api/v1/orders/{id}")]);
        server.then(201, placed());
        let second = run(&server, &[&line[..], &["--id", id]].concat()).await;
        assert_eq!(second.code, 0, "{second:?}");
        assert_eq!(server.lines()[1], server.lines()[0]);
    }
}

#[tokio::test]
async fn an_order_without_an_answer_is_named_by_the_id_that_was_sent() {
    // It takes the request, and goes away without a word.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::task::spawn_blocking(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    });
    let line = ["place", "--item", "pen:1:2.5", "--order-url", &url];
    let first = orderctl(&line, &[]).await;
    assert_eq!(first.code, 5, "{first:?}");
    let id = named(&first);
    let asked = asked.await.unwrap();
    assert_eq!(asked, format!("PUT /api/v1/orders/{id} HTTP/1.1\r\n"));
}

#[tokio::test]
async fn an_order_with_a_key_is_repeated_with_the_same_key() {
    let server = Server::answering(503, json!({"detail": "not confirmed", "orderId": ID})).await;
    let line = [
        "place",
        "--item",
        "pen:1:2.5",
        "--idempotency-key",
        "basket-17",
    ];
    let nobody = [&line[..], &["--order-url", "http://127.0.0.1:1"]].concat();
    for first in [run(&server, &line).await, orderctl(&nobody, &[]).await] {
        assert_eq!(first.code, 5, "{first:?}");
        let words = "repeat the command with the same --idempotency-key";
        assert!(first.stderr.contains(words), "{first:?}");
    }
}

#[tokio::test]
async fn an_order_that_was_refused_is_not_to_be_repeated() {
    let server = Server::answering(422, json!({"detail": "not valid"})).await;
    let refused = run(&server, &["place", "--item", "pen:0:2.5"]).await;
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(!refused.stderr.contains("repeat"), "{refused:?}");
}

#[tokio::test]
async fn waiting_for_the_end_tells_by_the_exit_code_what_it_was() {
    for (status, code) in [("SHIPPED", 0), ("REJECTED", 4), ("CANCELLED", 4)] {
        let server = Server::answering(201, placed()).await;
        // The read model may be behind, and a wait may be cut short.
        server.then(404, json!({}));
        server.then(200, order("RESERVED"));
        server.then(200, order(status));
        let run = run(&server, &["place", "--item", "pen:1:2.5", "--wait"]).await;
        assert_eq!(run.code, code, "{run:?}");
        assert!(
            run.stdout.contains(&format!("status   {status}")),
            "{run:?}"
        );
        let lines = server.lines();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[3].starts_with(&format!("GET /api/v1/orders/{ID}?wait=")));
    }
}

#[tokio::test]
async fn a_wait_in_vain_has_an_exit_code_of_its_own() {
    let server = Server::answering(201, placed()).await;
    for _ in 0..50 {
        server.then(200, order("PENDING"));
    }
    let line = [
        "place",
        "--item",
        "pen:1:2.5",
        "--wait=100ms",
        "--until",
        "RESERVED",
    ];
    let run = run(&server, &line).await;
    assert_eq!(run.code, 6, "{run:?}");
    assert!(server.lines()[1].ends_with("&until=RESERVED"));
}

#[tokio::test]
async fn a_state_is_enough_where_one_is_asked_for() {
    let server = Server::answering(200, order("PAID")).await;
    let run = run(
        &server,
        &["get", ID, "--wait=5s", "--until", "RESERVED", "--json"],
    )
    .await;
    assert_eq!(run.json(), order("PAID"));
}

#[tokio::test]
async fn an_order_is_shown_in_both_forms() {
    let server = Server::answering(200, order("RESERVED")).await;
    server.then(200, order("RESERVED"));
    let text = run(&server, &["get", ID]).await;
    let expected = format!(
        "order    {ID}\nstatus   RESERVED\nline     5 x book order at 10000.0\n\
         created  2026-11-21T10:15:30.123Z\nupdated  2026-11-21T10:15:30.187Z\n"
    );
    assert_eq!((text.code, text.stdout), (0, expected));
    let json = run(&server, &["get", ID, "--json"]).await;
    assert_eq!(json.json(), order("RESERVED"));
}

#[tokio::test]
async fn the_history_of_an_order_has_the_places_in_the_log() {
    let events = json!({"orderId": ID, "events": [
        {"status": "PENDING", "partition": 2, "offset": 1, "at": "2026-11-21T11:19:23.886Z"},
    ]});
    let server = Server::answering(200, events).await;
    let run = run(&server, &["get", ID, "--history"]).await;
    assert_eq!(
        run.stdout,
        "AT                        STATUS   PARTITION  OFFSET\n\
         2026-11-21T11:19:23.886Z  PENDING  2          1\n"
    );
    assert_eq!(server.lines(), [format!("GET /api/v1/orders/{ID}/events")]);
}

#[tokio::test]
async fn orders_are_listed_by_page_or_all_of_them() {
    let page = |status, next: Option<&str>| {
        let mut page = json!({"orders": [order(status)]});
        if let Some(next) = next {
            page["nextCursor"] = next.into();
        }
        page
    };
    let server = Server::answering(200, page("PAID", Some("1.a"))).await;
    let one = run(
        &server,
        &["list", "--status", "PAID,RESERVED", "--limit", "1"],
    )
    .await;
    assert!(one.stdout.starts_with("ORDER "), "{one:?}");
    assert!(one.stderr.contains("--cursor 1.a"), "{one:?}");
    server.then(200, page("PAID", Some("1.a")));
    server.then(200, page("RESERVED", None));
    let all = run(&server, &["list", "--all", "--json"]).await;
    assert_eq!(
        all.json(),
        json!({"orders": [order("PAID"), order("RESERVED")]})
    );
    assert_eq!(
        server.lines(),
        [
            "GET /api/v1/orders?limit=1&status=PAID%2CRESERVED",
            "GET /api/v1/orders?limit=50",
            "GET /api/v1/orders?limit=50&cursor=1.a",
        ]
    );
}

#[tokio::test]
async fn an_order_is_cancelled_unless_it_is_too_late() {
    let server = Server::answering(200, order("CANCELLED")).await;
    let cancelled = run(&server, &["cancel", ID, "--json"]).await;
    assert_eq!(cancelled.json(), order("CANCELLED"));
    assert_eq!(server.lines(), [format!("POST /api/v1/orders/{ID}/cancel")]);
    server.then(409, json!({"detail": "the order is SHIPPED"}));
    let late = run(&server, &["cancel", ID]).await;
    assert_eq!(late.code, 4);
    assert_eq!(
        late.stderr,
        "orderctl: order-service: 409 Conflict: the order is SHIPPED\n"
    );
}

#[tokio::test]
async fn what_goes_wrong_has_its_exit_code_and_leaves_stdout_empty() {
    for (status, code) in [(400, 2), (404, 3), (409, 4), (422, 4), (500, 1), (503, 5)] {
        let server = Server::answering(status, json!({"detail": "a reason"})).await;
        let run = run(&server, &["get", ID]).await;
        assert_eq!((run.code, &*run.stdout), (code, ""), "{run:?}");
        assert!(run.stderr.contains("a reason"), "{run:?}");
    }
    let server = Server::start().await;
    server.then_text(200, "text/html", "<html>");
    assert_eq!(run(&server, &["get", ID]).await.code, 1);
    for usage in [
        &["get", "42"][..],
        &["place"],
        &["place", "--name", "pen"],
        &["place", "--item", "pen:1"],
        &["list", "--status", "paid"],
        &["place", "--item", "pen:1:1", "--until", "PAID"],
    ] {
        assert_eq!(run(&server, usage).await.code, 2, "{usage:?}");
    }
    let unusable = orderctl(&["get", ID, "--order-url", "nowhere"], &[]).await;
    assert_eq!(unusable.code, 2, "{unusable:?}");
}

#[tokio::test]
async fn a_service_that_is_not_there_or_silent_is_unavailable() {
    let nobody = orderctl(&["get", ID, "--order-url", "http://127.0.0.1:1"], &[]).await;
    assert_eq!(nobody.code, 5, "{nobody:?}");
    assert!(nobody.stderr.contains("refused"), "{nobody:?}");
    // It takes the connection, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let line = ["--timeout", "300ms", "get", ID, "--order-url", &url];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_orderctl"));
    command.env_clear().args(line);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(5));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("no answer in time"), "{words}");
}
