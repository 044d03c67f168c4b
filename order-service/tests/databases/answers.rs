//! What a client hears of the order it sends, and what is in the log then.

use base_domains::header;
use serde_json::{Value, json};
use test_support::{Test, TestDatabase, test};

use crate::support::{Request, Service};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(an_order_is_answered_with_201_and_is_in_the_log_as_pending),
        test!(email_and_items_go_into_the_event),
        test!(every_request_without_a_key_is_another_order),
        test!(who_accepts_plain_text_gets_the_tutorials_sentence_and_nothing_else),
        test!(who_accepts_anything_gets_json),
        test!(an_error_is_a_problem_document_whatever_is_accepted),
        test!(a_valid_traceparent_is_handed_on_and_another_one_is_left_out),
        test!(an_invalid_order_is_answered_with_422_and_all_of_its_faults),
        test!(a_field_of_another_type_is_answered_with_422_and_its_name),
        test!(what_is_not_json_is_answered_with_400),
        test!(what_is_not_declared_as_json_is_answered_with_415),
        test!(a_body_above_the_limit_is_answered_with_413),
        test!(the_largest_order_is_far_below_what_a_broker_takes),
    ]
}

fn book() -> Value {
    json!({"name": "book order", "qty": 5, "price": 10000})
}

async fn an_order_is_answered_with_201_and_is_in_the_log_as_pending(database: TestDatabase) {
    let service = Service::start(database).await;
    let id = Request::post(&book()).send(service.address).await.placed();
    let taken = service.producer.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].topic, "orders");
    assert_eq!(taken[0].partition, None);
    assert_eq!(taken[0].key.as_deref(), Some(id.as_bytes()));
    let body = String::from_utf8(taken[0].value.clone().unwrap()).unwrap();
    assert_eq!(
        body,
        format!(
            r#"{{"message":"order status is in pending state","status":"PENDING","order":{{"orderId":"{id}","name":"book order","qty":5,"price":10000.0}}}}"#
        )
    );
    let header = |name: &str| {
        let mut values = taken[0].headers.iter().filter(|(known, _)| known == name);
        let (_, value) = values.next()?;
        Some(String::from_utf8(value.clone()).unwrap())
    };
    assert_eq!(header(header::CE_TYPE).as_deref(), Some("order.pending"));
    assert_eq!(header(header::CE_SUBJECT), Some(id));
    assert_eq!(header(header::CE_SOURCE).as_deref(), Some("/order-service"));
    assert_eq!(header(header::TRACEPARENT), None);
}

async fn email_and_items_go_into_the_event(database: TestDatabase) {
    let service = Service::start(database).await;
    let body = json!({
        "email": "reader@example.org",
        "items": [
            {"name": "book order", "qty": 5, "price": 10000},
            {"name": "pen", "qty": 1, "price": 2.5},
        ],
    });
    let id = Request::post(&body).send(service.address).await.placed();
    assert_eq!(
        service.producer.events()[0]["order"],
        json!({
            "orderId": id, "name": "book order", "qty": 5, "price": 10000.0,
            "email": "reader@example.org",
            "items": [
                {"name": "book order", "qty": 5, "price": 10000.0},
                {"name": "pen", "qty": 1, "price": 2.5},
            ],
        })
    );
}

async fn every_request_without_a_key_is_another_order(database: TestDatabase) {
    let service = Service::start(database).await;
    let request = Request::post(&book());
    let first = request.send(service.address).await.placed();
    let second = request.send(service.address).await.placed();
    assert_ne!(first, second);
    assert!(first < second, "ids of version 7 are ordered by time");
    assert_eq!(service.producer.taken().len(), 2);
}

async fn who_accepts_plain_text_gets_the_tutorials_sentence_and_nothing_else(
    database: TestDatabase,
) {
    let service = Service::start(database).await;
    let text = Request::post(&book()).header("Accept", "text/plain");
    let answer = text.send(service.address).await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(answer.body, "Order placed successfully ...");
    let location = answer.header("location").unwrap();
    assert!(location.starts_with("/api/v1/orders/"), "{location}");
}

async fn who_accepts_anything_gets_json(database: TestDatabase) {
    let service = Service::start(database).await;
    for accept in [
        "*/*",
        "application/json",
        "text/plain;q=0.5, application/json",
    ] {
        let request = Request::post(&book()).header("Accept", accept);
        request.send(service.address).await.placed();
    }
}

async fn an_error_is_a_problem_document_whatever_is_accepted(database: TestDatabase) {
    let service = Service::start(database).await;
    let request = Request::post(&json!({"name": "x", "qty": 0, "price": 1}));
    let answer = request
        .header("Accept", "text/plain")
        .send(service.address)
        .await;
    assert_eq!(answer.fields(422), ["qty"]);
}

async fn a_valid_traceparent_is_handed_on_and_another_one_is_left_out(database: TestDatabase) {
    let service = Service::start(database).await;
    let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for traceparent in [valid, "00-zzz-1-01"] {
        let request = Request::post(&book()).header("traceparent", traceparent);
        request.send(service.address).await.placed();
    }
    let handed_on: Vec<_> = service
        .producer
        .taken()
        .iter()
        .map(|record| {
            let mut headers = record.headers.iter();
            let found = headers.find(|(name, _)| name == header::TRACEPARENT);
            found.map(|(_, value)| value.clone())
        })
        .collect();
    assert_eq!(handed_on, [Some(valid.as_bytes().to_vec()), None]);
}

async fn an_invalid_order_is_answered_with_422_and_all_of_its_faults(database: TestDatabase) {
    let service = Service::start(database).await;
    let body = json!({"name": " ", "qty": 0, "price": -1, "email": "nobody"});
    let answer = Request::post(&body).send(service.address).await;
    assert_eq!(answer.fields(422), ["name", "qty", "price", "email"]);
    let empty = Request::post(&json!({})).send(service.address).await;
    assert_eq!(empty.fields(422), ["name", "qty", "price"]);
    let lines = json!({"items": [
        {"name": "pen", "qty": 1, "price": 1},
        {"name": "ink", "qty": 1_000_001, "price": 0.001},
    ]});
    let answer = Request::post(&lines).send(service.address).await;
    assert_eq!(answer.fields(422), ["items[1].qty", "items[1].price"]);
    assert_eq!(service.producer.taken(), []);
}

async fn a_field_of_another_type_is_answered_with_422_and_its_name(database: TestDatabase) {
    let service = Service::start(database).await;
    let body = json!({"name": "pen", "qty": "five", "price": 1});
    let answer = Request::post(&body).send(service.address).await;
    assert_eq!(answer.fields(422), ["qty"]);
    let body = json!({"items": [{"name": "pen", "qty": 1}]});
    let answer = Request::post(&body).send(service.address).await;
    assert_eq!(answer.fields(422), ["items[0].price"]);
}

async fn what_is_not_json_is_answered_with_400(database: TestDatabase) {
    let service = Service::start(database).await;
    for body in [b"{".as_slice(), b"", b"{\"qty\": NaN}", b"\xff"] {
        let request = Request::with_body("POST /api/v1/orders", body)
            .header("Content-Type", "application/json");
        request.send(service.address).await.problem(400);
    }
}

async fn what_is_not_declared_as_json_is_answered_with_415(database: TestDatabase) {
    let service = Service::start(database).await;
    let body = book().to_string();
    let bare = Request::with_body("POST /api/v1/orders", body.as_bytes());
    bare.send(service.address).await.problem(415);
    let text = bare.header("Content-Type", "text/plain");
    text.send(service.address).await.problem(415);
}

async fn a_body_above_the_limit_is_answered_with_413(database: TestDatabase) {
    let service = Service::start(database).await;
    let body = json!({"name": "x".repeat(64 * 1024), "qty": 1, "price": 1});
    let answer = Request::post(&body).send(service.address).await;
    answer.problem(413);
    assert_eq!(service.producer.taken(), []);
}

async fn the_largest_order_is_far_below_what_a_broker_takes(database: TestDatabase) {
    let service = Service::start(database).await;
    // Four bytes a character, the longest that a name can be.
    let line = json!({"name": "\u{1f4d6}".repeat(200), "qty": 1_000_000, "price": 1_000_000_000});
    let body = json!({"items": vec![line; 50], "email": "reader@example.org"});
    Request::post(&body).send(service.address).await.placed();
    let bytes = service.producer.taken()[0].value.as_ref().unwrap().len();
    assert!(bytes < 64 * 1024, "{bytes}");
}
