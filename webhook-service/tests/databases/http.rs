//! What is told about webhooks and deliveries, and what can be done with them.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use base_domains::OrderStatus::{Paid, Shipped};
use serde_json::{Value, json};
use test_support::{Test, TestDatabase, test};
use tower::ServiceExt as _;
use uuid::Uuid;
use webhook_service::routes::{Api, routes};

use crate::receiver::{Receiver, Reply};
use crate::world::{Event, World, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_webhook_is_registered_shown_without_its_secret_and_deleted),
        test!(all_states_are_the_default_and_none_is_named_twice),
        test!(a_secret_can_be_given),
        test!(what_cannot_be_registered_is_told_by_field),
        test!(no_address_of_this_machine_is_registered_unless_allowed),
        test!(there_are_no_more_webhooks_than_allowed),
        test!(what_does_not_exist_is_a_problem),
        test!(deliveries_are_listed_by_state),
        test!(dead_deliveries_are_redriven_one_or_all),
        test!(a_disabled_webhook_says_why_and_is_enabled_before_it_is_redriven),
    ]
}

const WEBHOOKS: &str = "/api/v1/webhooks";

async fn ask(
    world: &World,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> (StatusCode, HeaderMap, Value) {
    let (router, _) = routes(Api {
        database: world.database.clone(),
        policy: world.config.sender.policy,
        max_registered: world.config.max_registered,
        wakes: Arc::clone(&world.wakes),
    })
    .split_for_parts();
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let response = router.oneshot(request.body(body).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    (parts.status, parts.headers, body)
}

async fn get(world: &World, path: &str) -> (StatusCode, Value) {
    let (status, _, body) = ask(world, Method::GET, path, None).await;
    (status, body)
}

async fn post(world: &World, path: &str, body: Value) -> (StatusCode, Value) {
    let (status, _, body) = ask(world, Method::POST, path, Some(body)).await;
    (status, body)
}

async fn a_webhook_is_registered_shown_without_its_secret_and_deleted(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let body = json!({
        "url": "https://ann:pw@Example.com/hook?token=abc", "states": ["SHIPPED", "PAID"],
    });
    let (status, headers, registered) = ask(&world, Method::POST, WEBHOOKS, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED);
    let id = registered["id"].as_str().unwrap();
    let path = format!("{WEBHOOKS}/{id}");
    assert_eq!(headers[header::LOCATION], path);
    let mut shown = registered.clone();
    let secret = shown.as_object_mut().unwrap().remove("secret").unwrap();
    assert!(secret.as_str().unwrap().starts_with("whsec_"));
    let expected = json!({
        "id": id, "url": "https://example.com/***", "states": ["PAID", "SHIPPED"],
        "state": "enabled", "reason": null, "createdAt": shown["createdAt"],
    });
    assert_eq!(shown, expected);
    assert!(shown["createdAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(get(&world, &path).await, (StatusCode::OK, expected.clone()));
    let list = json!({"webhooks": [expected]});
    assert_eq!(get(&world, WEBHOOKS).await, (StatusCode::OK, list));

    let deleted = ask(&world, Method::DELETE, &path, None).await;
    assert_eq!(deleted.0, StatusCode::NO_CONTENT);
    let deleted = ask(&world, Method::DELETE, &path, None).await;
    assert_eq!(deleted.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&world, WEBHOOKS).await.1, json!({"webhooks": []}));
}

async fn all_states_are_the_default_and_none_is_named_twice(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let url = "https://example.com/";
    let (_, body) = post(&world, WEBHOOKS, json!({"url": url})).await;
    let all = json!([
        "PENDING",
        "RESERVED",
        "PAID",
        "SHIPPED",
        "REJECTED",
        "CANCELLED"
    ]);
    assert_eq!(body["states"], all);
    let twice = json!({"url": url, "states": ["PAID", "PENDING", "PAID"]});
    let (_, body) = post(&world, WEBHOOKS, twice).await;
    assert_eq!(body["states"], json!(["PENDING", "PAID"]));
}

async fn a_secret_can_be_given(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let receiver = Receiver::start(&[]).await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let body = json!({"url": receiver.url, "secret": secret});
    let (status, body) = post(&world, WEBHOOKS, body).await;
    assert_eq!(
        (status, &body["secret"]),
        (StatusCode::CREATED, &json!(secret))
    );
    world.ship(1).await;
    world.attempt(id_of(&body)).await;
    assert!(receiver.got()[0].is_signed_with(secret));
}

fn id_of(body: &Value) -> Uuid {
    body["id"].as_str().unwrap().parse().unwrap()
}

async fn what_cannot_be_registered_is_told_by_field(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let url = "https://example.com/";
    for (body, fields) in [
        (json!({}), vec!["url"]),
        (json!({"url": 1}), vec!["url"]),
        (json!({"url": "example.com"}), vec!["url"]),
        (json!({"url": "ftp://example.com"}), vec!["url"]),
        (json!({"url": "https://example.com/#a"}), vec!["url"]),
        (
            json!({"url": format!("{url}{}", "x".repeat(2048))}),
            vec!["url"],
        ),
        (json!({"url": url, "states": ["LOST"]}), vec!["states[0]"]),
        (json!({"url": url, "states": []}), vec!["states"]),
        (json!({"url": url, "state": ["PAID"]}), vec!["state"]),
        (json!({"url": url, "secret": "whsec_short"}), vec!["secret"]),
        (
            json!({"url": "x", "states": [], "secret": "abc"}),
            vec!["url", "states", "secret"],
        ),
    ] {
        let (status, answer) = post(&world, WEBHOOKS, body.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let errors = answer["errors"].as_array().unwrap();
        let named: Vec<_> = errors.iter().map(|error| &error["field"]).collect();
        assert_eq!(named, fields, "{body}: {answer}");
    }
    assert_eq!(get(&world, WEBHOOKS).await.1, json!({"webhooks": []}));
}

async fn no_address_of_this_machine_is_registered_unless_allowed(database: TestDatabase) {
    let strict = [
        ("WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "false"),
        ("WEBHOOK_ALLOW_HTTP", "true"),
    ];
    let mut world = World::new(database, &strict).await;
    let urls = [
        "http://127.0.0.1/",
        "http://0x7f.1/",
        "http://[::ffff:127.0.0.1]/",
    ];
    for url in urls {
        let (status, body) = post(&world, WEBHOOKS, json!({"url": url})).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{url}");
        let expected = json!([{
            "field": "url", "message": "must not be at a private, local or reserved address",
        }]);
        assert_eq!(body["errors"], expected);
    }
    world.config.sender.policy.private_addresses = true;
    for url in urls {
        let (status, _) = post(&world, WEBHOOKS, json!({"url": url})).await;
        assert_eq!(status, StatusCode::CREATED, "{url}");
    }
}

async fn there_are_no_more_webhooks_than_allowed(database: TestDatabase) {
    let world = World::new(database, &[("WEBHOOK_MAX_REGISTERED", "2")]).await;
    let body = || json!({"url": "https://example.com/"});
    let (_, first) = post(&world, WEBHOOKS, body()).await;
    // At the same time, and only one of them has a place.
    let (second, third) = tokio::join!(
        post(&world, WEBHOOKS, body()),
        post(&world, WEBHOOKS, body()),
    );
    let mut answers = [second.0, third.0];
    answers.sort();
    assert_eq!(answers, [StatusCode::CREATED, StatusCode::CONFLICT]);
    let path = format!("{WEBHOOKS}/{}", first["id"].as_str().unwrap());
    ask(&world, Method::DELETE, &path, None).await;
    assert_eq!(post(&world, WEBHOOKS, body()).await.0, StatusCode::CREATED);
}

async fn what_does_not_exist_is_a_problem(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let (webhook, _) = world.register("https://example.com/", &[Shipped]).await;
    let unknown = format!("{WEBHOOKS}/{}", Uuid::nil());
    let of = |path: &str| format!("{WEBHOOKS}/{webhook}{path}");
    let nobody = "/deliveries/msg_00000000000000000000000000000000/redrive";
    for (method, path, expected, field) in [
        (Method::GET, unknown.clone(), 404, Value::Null),
        (Method::DELETE, unknown.clone(), 404, Value::Null),
        (Method::POST, format!("{unknown}/enable"), 404, Value::Null),
        (Method::POST, format!("{unknown}/redrive"), 404, Value::Null),
        (
            Method::GET,
            format!("{unknown}/deliveries"),
            404,
            Value::Null,
        ),
        (Method::POST, of(nobody), 404, Value::Null),
        (Method::GET, format!("{WEBHOOKS}/42"), 400, json!("id")),
        (
            Method::GET,
            of("/deliveries?state=done"),
            400,
            json!("state"),
        ),
        (Method::GET, of("/deliveries?limit=0"), 400, json!("limit")),
        (
            Method::GET,
            of("/deliveries?limit=201"),
            400,
            json!("limit"),
        ),
        (
            Method::POST,
            of("/deliveries/a%00/redrive"),
            400,
            json!("deliveryId"),
        ),
    ] {
        let (status, headers, body) = ask(&world, method, &path, None).await;
        assert_eq!(status.as_u16(), expected, "{path}: {body}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(body["errors"][0]["field"], field, "{path}");
    }
}

async fn deliveries_are_listed_by_state(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let receiver = Receiver::start(&[Reply::Say(500), Reply::Say(200)]).await;
    let (webhook, _) = world.register(&receiver.url, &[Shipped, Paid]).await;
    let path = format!("{WEBHOOKS}/{webhook}/deliveries");
    assert_eq!(get(&world, &path).await.1, json!({"deliveries": []}));
    let order = order();
    world.decide(&[Event::new(Shipped, order)]).await;
    world.attempt(webhook).await;
    let (status, body) = get(&world, &format!("{path}?state=due")).await;
    assert_eq!(status, StatusCode::OK);
    let delivery = &body["deliveries"][0];
    let mut expected = json!({
        "id": world.deliveries(webhook).await[0].job_id, "orderId": order, "status": "SHIPPED",
        "state": "due", "attempts": 1, "lastStatus": 500,
        "lastError": "the receiver answered 500", "nextTryAt": delivery["nextTryAt"],
        "createdAt": delivery["createdAt"], "finishedAt": null,
    });
    assert_eq!(body, json!({"deliveries": [expected]}));
    assert!(delivery["nextTryAt"].is_string() && delivery["createdAt"].is_string());

    world.attempt(webhook).await;
    let (_, body) = get(&world, &format!("{path}?state=delivered")).await;
    for (field, value) in [
        ("state", json!("delivered")),
        ("attempts", json!(2)),
        ("lastStatus", json!(200)),
        ("lastError", Value::Null),
        ("nextTryAt", Value::Null),
        ("finishedAt", body["deliveries"][0]["finishedAt"].clone()),
    ] {
        expected[field] = value;
    }
    assert_eq!(body, json!({"deliveries": [expected]}));
    assert!(body["deliveries"][0]["finishedAt"].is_string());
    let none = json!({"deliveries": []});
    assert_eq!(get(&world, &format!("{path}?state=due")).await.1, none);
    world.decide(&[Event::new(Paid, order)]).await;
    for (query, count) in [
        ("", 2),
        ("?limit=1", 1),
        ("?state=due", 1),
        ("?state=dead", 0),
    ] {
        let (_, body) = get(&world, &format!("{path}{query}")).await;
        assert_eq!(
            body["deliveries"].as_array().unwrap().len(),
            count,
            "{query}"
        );
    }
}

async fn dead_deliveries_are_redriven_one_or_all(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let (webhook, _) = world.register("http://127.0.0.1:1/", &[Shipped]).await;
    let (other, _) = world.register("http://127.0.0.1:1/", &[Shipped]).await;
    world.ship(3).await;
    sqlx::query("UPDATE jobs SET state = 'dead', attempts = 20, age_from = 0, finished_at = 1")
        .execute(world.database.pool())
        .await
        .unwrap();
    let path = format!("{WEBHOOKS}/{webhook}");
    let id = world.deliveries(webhook).await[0].job_id.clone();
    let one = format!("{path}/deliveries/{id}/redrive");
    let redriven = |count: u64| (StatusCode::ACCEPTED, json!({"redriven": count}));
    assert_eq!(post(&world, &one, json!({})).await, redriven(1));
    assert_eq!(post(&world, &one, json!({})).await.0, StatusCode::NOT_FOUND);
    let job = &world.deliveries(webhook).await[0];
    assert_eq!((job.state.as_str(), job.attempts), ("due", 0));
    assert!(job.age_from > 0 && job.finished_at.is_none());
    // That of another webhook is not found here.
    let foreign = world.deliveries(other).await[0].job_id.clone();
    let foreign = format!("{path}/deliveries/{foreign}/redrive");
    assert_eq!(
        post(&world, &foreign, json!({})).await.0,
        StatusCode::NOT_FOUND
    );
    let all = format!("{path}/redrive");
    assert_eq!(post(&world, &all, json!({})).await, redriven(2));
    assert_eq!(post(&world, &all, json!({})).await, redriven(0));
    let (_, body) = get(&world, &format!("{WEBHOOKS}/{other}/deliveries?state=dead")).await;
    assert_eq!(body["deliveries"].as_array().unwrap().len(), 3);
}

async fn a_disabled_webhook_says_why_and_is_enabled_before_it_is_redriven(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let receiver = Receiver::start(&[Reply::Say(410)]).await;
    let (webhook, _) = world.register(&receiver.url, &[Shipped]).await;
    world.ship(1).await;
    world.attempt(webhook).await;
    let path = format!("{WEBHOOKS}/{webhook}");
    let (_, body) = get(&world, &path).await;
    assert_eq!(body["state"], "disabled");
    assert_eq!(body["reason"], "the receiver answered 410 Gone");
    let redrive = format!("{path}/redrive");
    assert_eq!(
        post(&world, &redrive, json!({})).await.0,
        StatusCode::CONFLICT
    );
    let (status, body) = post(&world, &format!("{path}/enable"), json!({})).await;
    assert_eq!(
        (status, &body["state"]),
        (StatusCode::OK, &json!("enabled"))
    );
    assert_eq!(body["reason"], Value::Null);
    let (_, body) = post(&world, &redrive, json!({})).await;
    assert_eq!(body, json!({"redriven": 1}));
    world.attempt(webhook).await;
    let (_, body) = get(&world, &format!("{path}/deliveries")).await;
    assert_eq!(body["deliveries"][0]["state"], "delivered");
}
