//! Jobs of a service.

use serde_json::{Value, json};

use crate::support::{Run, Server, orderctl};

async fn run(server: &Server, arguments: &[&str]) -> Run {
    orderctl(arguments, &[("PAYMENT_URL", &server.url)]).await
}

fn job(id: &str, state: &str) -> Value {
    json!({
        "jobId": id, "kind": "refund", "orderId": "0193", "state": state, "attempts": 3,
        "createdAt": "2026-11-21T10:15:30Z", "nextTryAt": null, "finishedAt": null,
        "lastError": "card_expired", "result": null,
    })
}

#[tokio::test]
async fn jobs_are_listed_and_shown_in_both_forms() {
    let server = Server::answering(200, json!({"jobs": [job("refund/1", "dead")]})).await;
    let list = run(
        &server,
        &[
            "jobs", "list", "payment", "--state", "dead", "--kind", "refund",
        ],
    )
    .await;
    assert_eq!(
        list.stdout,
        "JOB       STATE  ATTEMPTS  CREATED               LAST ERROR\n\
         refund/1  dead   3         2026-11-21T10:15:30Z  card_expired\n"
    );
    server.then(200, job("refund/1", "dead"));
    let show = run(&server, &["jobs", "show", "payment", "refund/1"]).await;
    assert!(show.stdout.contains("error     card_expired\n"), "{show:?}");
    server.then(200, job("refund/1", "dead"));
    let show = run(&server, &["jobs", "show", "payment", "refund/1", "--json"]).await;
    assert_eq!(show.json(), job("refund/1", "dead"));
    assert_eq!(
        server.lines(),
        [
            "GET /api/v1/jobs?limit=50&state=dead&kind=refund",
            "GET /api/v1/jobs/refund%2F1",
            "GET /api/v1/jobs/refund%2F1",
        ]
    );
}

#[tokio::test]
async fn only_services_that_have_jobs_are_asked_for_them() {
    let server = Server::start().await;
    let asked = async |command: &str, service: &str| {
        let url = format!("{}_URL", service.to_uppercase());
        let line = ["jobs", command, service, "refund/1"];
        // `list` takes no job.
        let line = &line[..if command == "list" { 3 } else { 4 }];
        orderctl(line, &[(&url, &server.url)]).await
    };
    for command in ["list", "show", "retry"] {
        for service in ["order", "stock"] {
            let run = asked(command, service).await;
            assert_eq!(run.code, 2, "{run:?}");
            let known = "[possible values: email, payment, shipping, webhook]";
            assert!(run.stderr.contains(known), "{run:?}");
        }
    }
    assert_eq!(server.lines(), [""; 0]);
    for service in ["email", "payment", "shipping", "webhook"] {
        server.then(200, json!({"jobs": []}));
        let run = asked("list", service).await;
        assert_eq!(run.code, 0, "{service}: {run:?}");
    }
    assert_eq!(server.lines(), ["GET /api/v1/jobs?limit=50"; 4]);
}

#[tokio::test]
async fn a_dead_job_is_retried_and_another_one_is_not() {
    let server = Server::answering(200, job("refund/1", "dead")).await;
    server.then(200, job("refund/1", "due"));
    let retried = run(&server, &["jobs", "retry", "payment", "refund/1", "--json"]).await;
    let expected = json!({"jobs": [job("refund/1", "due")], "dryRun": false});
    assert_eq!(retried.json(), expected);
    assert_eq!(
        server.lines(),
        [
            "GET /api/v1/jobs/refund%2F1",
            "POST /api/v1/jobs/refund%2F1/retry"
        ]
    );
    server.then(200, job("refund/1", "due"));
    let refused = run(&server, &["jobs", "retry", "payment", "refund/1"]).await;
    assert_eq!(refused.code, 4, "{refused:?}");
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn nothing_is_retried_when_one_of_several_is_not_there() {
    let server = Server::answering(200, job("refund/1", "dead")).await;
    server.then(404, json!({}));
    let run = run(
        &server,
        &["jobs", "retry", "payment", "refund/1", "refund/2"],
    )
    .await;
    assert_eq!(run.code, 3);
    assert!(server.lines().iter().all(|line| line.starts_with("GET")));
}

#[tokio::test]
async fn all_dead_jobs_are_retried_page_by_page_and_those_of_others_passed_over() {
    let server = Server::start().await;
    let pages = || {
        let first = json!({"jobs": [job("refund/1", "dead"), job("refund/2", "dead")], "nextCursor": "1.x"});
        server.then(200, first);
        server.then(200, json!({"jobs": [job("refund/3", "dead")]}));
    };
    pages();
    let dry = run(&server, &["jobs", "retry", "payment", "--all", "--dry-run"]).await;
    assert_eq!((dry.code, dry.stdout.lines().count()), (0, 4), "{dry:?}");
    pages();
    server.then(200, job("refund/1", "due"));
    server.then(409, json!({"detail": "somebody was quicker"}));
    server.then(503, json!({"detail": "the database is not available"}));
    let run = run(&server, &["jobs", "retry", "payment", "--all", "--json"]).await;
    assert_eq!(run.code, 5, "{run:?}");
    let expected = json!({"jobs": [job("refund/1", "due")], "dryRun": false});
    assert_eq!(run.documents(), [expected]);
    let lines = server.lines();
    assert_eq!(
        lines[2..4],
        [
            "GET /api/v1/jobs?state=dead&limit=200",
            "GET /api/v1/jobs?state=dead&limit=200&cursor=1.x"
        ]
    );
    assert_eq!(lines.len(), 7);
}
