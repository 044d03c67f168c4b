//! Jobs over HTTP.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use service_runtime::database::Database;
use service_runtime::jobs::{NewJob, routes};
use test_support::{Kind, Test, TestDatabase, test};
use tower::ServiceExt as _;

use crate::support::{Fresh, execute, insert};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_job_is_shown_with_its_error_and_without_its_payload),
        test!(jobs_are_filtered_and_paged_the_newest_first),
        test!(only_a_dead_job_is_retried_over_http),
        test!(a_job_that_is_not_there_is_not_found),
        test!(a_parameter_that_cannot_be_read_is_named),
        test!(the_routes_describe_themselves).only(Kind::Sqlite),
    ]
}

const ORDER: &str = "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a";

fn job(id: &str, kind: &str, order_id: &str) -> NewJob {
    NewJob {
        job_id: id.into(),
        kind: kind.into(),
        order_id: order_id.into(),
        partition: 0,
        payload: r#"{"to":"ann@example.org"}"#.into(),
        age_from: None,
        due_at: None,
    }
}

/// A dead charge, and four mails of which each is a millisecond older than the one before.
async fn world(database: TestDatabase) -> Database {
    let database = Fresh::new(database).await.database;
    let charge = job(&format!("charge/{ORDER}"), "charge", ORDER);
    insert(&database, &[charge]).await;
    execute(
        &database,
        "UPDATE jobs SET state = 'dead', attempts = 3, last_error = 'card_expired', \
         created_at = 1700000000000, finished_at = 1700000001000",
    )
    .await;
    for (age, id) in ["mail/d", "mail/c", "mail/b", "mail/a"].iter().enumerate() {
        insert(&database, &[job(id, "mail", id)]).await;
        // Two of them at one moment.
        let created = 1_600_000_000_000 - i64::try_from(age / 2).unwrap();
        let sql = format!("UPDATE jobs SET created_at = {created} WHERE job_id = '{id}'");
        execute(&database, &sql).await;
    }
    database
}

async fn ask(database: &Database, method: &str, path: &str) -> (StatusCode, Value) {
    let (router, _) = routes(database.clone()).split_for_parts();
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn get(database: &Database, path: &str) -> (StatusCode, Value) {
    ask(database, "GET", path).await
}

fn ids(page: &Value) -> Vec<&str> {
    let jobs = page["jobs"].as_array().unwrap().iter();
    jobs.map(|job| job["jobId"].as_str().unwrap()).collect()
}

async fn a_job_is_shown_with_its_error_and_without_its_payload(database: TestDatabase) {
    let database = world(database).await;
    let (status, shown) = get(&database, &format!("/api/v1/jobs/charge%2F{ORDER}")).await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({
        "jobId": format!("charge/{ORDER}"),
        "kind": "charge",
        "orderId": ORDER,
        "state": "dead",
        "attempts": 3,
        "nextTryAt": null,
        "createdAt": "2023-11-14T22:13:20Z",
        "finishedAt": "2023-11-14T22:13:21Z",
        "lastError": "card_expired",
        "result": null,
    });
    assert_eq!(shown, expected);
    let (_, list) = get(&database, "/api/v1/jobs?kind=charge").await;
    assert_eq!(list, json!({"jobs": [expected]}));
    let (_, all) = get(&database, "/api/v1/jobs").await;
    assert!(!all.to_string().contains("ann@example.org"), "{all}");
}

async fn jobs_are_filtered_and_paged_the_newest_first(database: TestDatabase) {
    let database = world(database).await;
    let charge = format!("charge/{ORDER}");
    let newest_first = [&*charge, "mail/c", "mail/d", "mail/a", "mail/b"];
    let (_, all) = get(&database, "/api/v1/jobs").await;
    assert_eq!(ids(&all), newest_first);
    assert_eq!(all.get("nextCursor"), None);
    for size in 1..=5 {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        for page in 1.. {
            let path = format!("/api/v1/jobs?limit={size}{cursor}");
            let (status, body) = get(&database, &path).await;
            assert_eq!(status, StatusCode::OK, "{body}");
            found.extend(ids(&body).into_iter().map(str::to_owned));
            let Some(next) = body["nextCursor"].as_str() else {
                assert_eq!(page, 5_usize.div_ceil(size));
                break;
            };
            cursor = format!("&cursor={}", next.replace('/', "%2F"));
        }
        assert_eq!(found, newest_first, "in pages of {size}");
    }
    for (query, expected) in [
        ("state=dead", &newest_first[..1]),
        ("state=due&kind=mail&limit=2", &newest_first[1..3]),
        ("orderId=mail%2Fa", &newest_first[3..4]),
        ("state=dead&kind=mail", &[]),
    ] {
        let (_, page) = get(&database, &format!("/api/v1/jobs?{query}")).await;
        assert_eq!(ids(&page), expected, "{query}");
    }
}

async fn only_a_dead_job_is_retried_over_http(database: TestDatabase) {
    let database = world(database).await;
    let path = format!("/api/v1/jobs/charge%2F{ORDER}/retry");
    let (status, job) = ask(&database, "POST", &path).await;
    assert_eq!(status, StatusCode::OK, "{job}");
    assert_eq!(
        (&job["state"], &job["attempts"]),
        (&"due".into(), &0.into())
    );
    assert_eq!(job["finishedAt"], Value::Null);
    assert!(job["nextTryAt"].as_str().unwrap().ends_with('Z'));
    let (status, problem) = ask(&database, "POST", &path).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(
        problem["detail"],
        "the job is due, and only a dead one can be tried again"
    );
}

async fn a_job_that_is_not_there_is_not_found(database: TestDatabase) {
    let database = world(database).await;
    for id in ["nobody", "charge", "mail%2Fa%00", "%00"] {
        let path = format!("/api/v1/jobs/{id}");
        for (method, path) in [("GET", path.clone()), ("POST", format!("{path}/retry"))] {
            let (status, problem) = ask(&database, method, &path).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}");
            assert_eq!(problem["detail"], "there is no job of this id");
        }
    }
}

async fn a_parameter_that_cannot_be_read_is_named(database: TestDatabase) {
    let database = world(database).await;
    for (query, field) in [
        ("state=DEAD", "state"),
        ("cursor=yesterday", "cursor"),
        ("cursor=1.%00", "cursor"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("kind=%00", "kind"),
        ("orderId=%00", "orderId"),
    ] {
        let (status, problem) = get(&database, &format!("/api/v1/jobs?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(problem["errors"][0]["field"], field, "{query}");
    }
    let (status, _) = get(&database, "/api/v1/jobs?limit=many").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

async fn the_routes_describe_themselves(database: TestDatabase) {
    let database = Fresh::empty(database).await.database;
    let (_, api) = routes(database).split_for_parts();
    let api = serde_json::to_value(api).unwrap();
    let statuses = |path: &str, method: &str| -> Vec<String> {
        let responses = &api["paths"][path][method]["responses"];
        responses.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(statuses("/api/v1/jobs", "get"), ["200", "400", "503"]);
    assert_eq!(statuses("/api/v1/jobs/{id}", "get"), ["200", "404", "503"]);
    let retry = statuses("/api/v1/jobs/{id}/retry", "post");
    assert_eq!(retry, ["200", "404", "409", "503"]);
    let job = &api["components"]["schemas"]["Job"]["properties"];
    assert!(job["lastError"].is_object(), "{api}");
    assert!(job["payload"].is_null(), "{api}");
}
