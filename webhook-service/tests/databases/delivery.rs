//! From the job to the receiver, through failures.

use std::time::Duration;

use base_domains::OrderStatus::Shipped;
use service_runtime::jobs::{JobResult, JobState, retry_dead_of};
use sqlx::AssertSqlSafe;
use test_support::{Test, TestDatabase, test};
use uuid::Uuid;
use webhook_service::store::WebhookState;

use crate::receiver::{Receiver, Reply};
use crate::world::{Event, OLD, World, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_notification_is_a_signed_post),
        test!(every_attempt_has_the_same_id_and_body_and_a_signature_of_its_own),
        test!(only_a_status_from_200_to_299_is_success),
        test!(an_answer_whose_body_never_ends_is_an_answer),
        test!(a_receiver_that_wants_to_rest_is_left_alone_up_to_the_longest_delay),
        test!(a_receiver_that_is_gone_disables_its_webhook),
        test!(a_receiver_that_does_not_answer_is_tried_again),
        test!(a_name_that_leads_to_this_machine_is_refused),
        test!(an_address_that_is_not_allowed_any_more_is_refused),
        test!(credentials_of_the_url_are_sent_and_not_logged_with_the_error),
        test!(an_event_of_old_history_is_skipped),
        test!(what_waited_too_long_for_its_receiver_is_dead),
    ]
}

fn retry(error: &str) -> JobResult {
    let error = error.to_owned();
    JobResult::Retry { error }
}

fn dead(error: &str) -> JobResult {
    let error = error.to_owned();
    JobResult::Dead { error }
}

fn done(status: &str) -> JobResult {
    let result = Some(status.to_owned());
    JobResult::Done { result }
}

async fn a_notification_is_a_signed_post(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let receiver = Receiver::start(&[]).await;
    let url = format!("{}?a=b", receiver.url);
    let (webhook, secret) = world.register(&url, &[Shipped]).await;
    let order = order();
    world.decide(&[Event::new(Shipped, order)]).await;
    assert_eq!(world.attempt(webhook).await, done("204"));
    let got = &receiver.got()[0];
    let job = &world.deliveries(webhook).await[0];
    assert_eq!(got.path, "/hook?a=b");
    assert_eq!(got.headers["content-type"], "application/json");
    assert!(got.headers["user-agent"].starts_with("webhook-service/"));
    assert_eq!(got.id(), job.job_id);
    assert_eq!(got.body, job.payload.as_bytes());
    let sent: i64 = got.headers["webhook-timestamp"].parse().unwrap();
    assert!((jiff::Timestamp::now().as_second() - sent).abs() < 60);
    assert!(got.is_signed_with(&secret));
    assert!(!got.is_signed_with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    assert_eq!(job.state, JobState::Done);
}

async fn every_attempt_has_the_same_id_and_body_and_a_signature_of_its_own(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let receiver = Receiver::start(&[Reply::Say(500), Reply::Say(503)]).await;
    let (webhook, secret) = world.register(&receiver.url, &[Shipped]).await;
    world.ship(1).await;
    assert_eq!(
        world.attempt(webhook).await,
        retry("the receiver answered 500")
    );
    assert_eq!(
        world.attempt(webhook).await,
        retry("the receiver answered 503")
    );
    assert_eq!(world.attempt(webhook).await, done("204"));
    let got = receiver.got();
    assert_eq!(got.len(), 3);
    for request in &got {
        assert_eq!((request.id(), &request.body), (got[0].id(), &got[0].body));
        assert!(request.is_signed_with(&secret));
    }
}

async fn only_a_status_from_200_to_299_is_success(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let others = [300, 304, 400, 401, 404, 408, 422, 429, 500, 502];
    let mut replies = vec![Reply::Redirect];
    replies.extend(others.map(Reply::Say));
    replies.extend([200, 201, 202, 299].map(Reply::Say));
    let receiver = Receiver::start(&replies).await;
    let (webhook, _) = world.register(&receiver.url, &[Shipped]).await;
    world.ship(4).await;
    for status in [307].into_iter().chain(others) {
        let error = format!("the receiver answered {status}");
        assert_eq!(world.attempt(webhook).await, retry(&error));
    }
    for status in ["200", "201", "202", "299"] {
        assert_eq!(world.attempt(webhook).await, done(status));
    }
    let got = receiver.got();
    assert_eq!(got.len(), replies.len(), "nothing is repeated or followed");
    assert!(got.iter().all(|request| request.path == "/hook"));
}

async fn an_answer_whose_body_never_ends_is_an_answer(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let receiver = Receiver::start(&[Reply::Endless]).await;
    let (webhook, _) = world.register(&receiver.url, &[Shipped]).await;
    world.ship(1).await;
    assert_eq!(world.attempt(webhook).await, done("200"));
}

async fn a_receiver_that_wants_to_rest_is_left_alone_up_to_the_longest_delay(
    database: TestDatabase,
) {
    let world = World::new(database, &[("WEBHOOK_RETRY_MAX_DELAY", "1h")]).await;
    let hour = 3_600_000;
    let minute = 60_000;
    for (status, wish, rests, error) in [
        (429, "1800", hour / 2, " and wants to rest for 1800s"),
        (503, "86400", hour, " and wants to rest for 86400s"),
        (503, "soon", 0, ""),
        (500, "1800", 0, ""),
    ] {
        let receiver = Receiver::start(&[Reply::Rest(status, wish)]).await;
        let (webhook, _) = world.register(&receiver.url, &[Shipped]).await;
        world.ship(1).await;
        let error = format!("the receiver answered {status}{error}");
        assert_eq!(world.attempt(webhook).await, retry(&error));
        let job = &world.deliveries(webhook).await[0];
        let waits = job.next_try_at - job.created_at;
        assert!((rests..rests + minute).contains(&waits), "{wish}: {waits}");
    }
}

async fn a_receiver_that_is_gone_disables_its_webhook(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let receiver = Receiver::start(&[Reply::Say(410)]).await;
    let (webhook, _) = world.register(&receiver.url, &[Shipped]).await;
    let (other, _) = world.register(&receiver.url, &[Shipped]).await;
    world.ship(2).await;
    assert_eq!(
        world.attempt(webhook).await,
        dead("the receiver answered 410")
    );
    let kept = world.webhook(webhook).await;
    assert_eq!(kept.state, WebhookState::Disabled);
    assert_eq!(
        kept.reason.as_deref(),
        Some("the receiver answered 410 Gone")
    );
    let mut states = world.states(webhook).await;
    states.sort_by_key(|state| state.as_str());
    assert_eq!(states, [JobState::Dead, JobState::Skipped]);
    // An operator who retries it meanwhile loses nothing.
    let kind = format!("webhook/{webhook}");
    let retried = retry_dead_of(&world.database, &kind, None).await.unwrap();
    assert_eq!(retried, 1);
    assert_eq!(
        world.attempt(webhook).await,
        dead("the webhook is disabled")
    );
    assert_eq!(receiver.got().len(), 1);
    world.ship(1).await;
    assert_eq!(world.states(webhook).await.len(), 2);
    assert_eq!(world.webhook(other).await.state, WebhookState::Enabled);
    assert_eq!(world.states(other).await, [JobState::Due; 3]);
}

async fn a_receiver_that_does_not_answer_is_tried_again(database: TestDatabase) {
    let world = World::new(database, &[("WEBHOOK_TIMEOUT", "2s")]).await;
    let silent = Receiver::start(&[]).await;
    silent.answer(false);
    // No resolver asks for a label of 64 characters.
    let https = silent.url.replace("http:", "https:");
    let nowhere = format!("http://{}.invalid/", "x".repeat(64));
    for (url, error) in [
        (&*silent.url, "no answer in time"),
        // It does not speak TLS.
        (&*https, "the receiver cannot be reached"),
        // Nobody listens on the port of tcpmux.
        ("http://127.0.0.1:1/", "the receiver cannot be reached"),
        (&*nowhere, "the name of the receiver cannot be resolved"),
    ] {
        let (webhook, _) = world.register(url, &[Shipped]).await;
        world.ship(1).await;
        assert_eq!(world.attempt(webhook).await, retry(error));
    }
    silent.answer(true);
}

const STRICT: [(&str, &str); 2] = [
    ("WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "false"),
    ("WEBHOOK_ALLOW_HTTP", "true"),
];

async fn a_name_that_leads_to_this_machine_is_refused(database: TestDatabase) {
    let world = World::new(database, &STRICT).await;
    let receiver = Receiver::start(&[]).await;
    let url = format!("http://localhost:{}/", receiver.port);
    let (webhook, _) = world.register(&url, &[Shipped]).await;
    world.ship(1).await;
    let error = "the name of the receiver leads only to private, local or reserved addresses";
    assert_eq!(world.attempt(webhook).await, dead(error));
    assert_eq!(receiver.got(), []);
    assert_eq!(world.states(webhook).await, [JobState::Dead]);
}

async fn an_address_that_is_not_allowed_any_more_is_refused(database: TestDatabase) {
    let world = World::new(database, &STRICT).await;
    let receiver = Receiver::start(&[]).await;
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "0x7f.1"] {
        let url = format!("http://{host}:{}/", receiver.port);
        let (webhook, _) = world.register(&url, &[Shipped]).await;
        world.ship(1).await;
        let error = "the URL must not be at a private, local or reserved address";
        assert_eq!(world.attempt(webhook).await, dead(error));
    }
    assert_eq!(receiver.got(), []);
}

async fn credentials_of_the_url_are_sent_and_not_logged_with_the_error(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let receiver = Receiver::start(&[Reply::Say(500)]).await;
    let url = receiver.url.replace("127.0.0.1", "ann:hunter2@127.0.0.1");
    let (webhook, _) = world.register(&url, &[Shipped]).await;
    world.ship(1).await;
    assert_eq!(
        world.attempt(webhook).await,
        retry("the receiver answered 500")
    );
    assert_eq!(
        receiver.got()[0].headers["authorization"],
        "Basic YW5uOmh1bnRlcjI="
    );
    let shown = format!("{:?}", world.webhook(webhook).await);
    assert!(
        !shown.contains("hunter2") && !shown.contains("whsec"),
        "{shown}"
    );
}

/// Rule R11: whoever reads the log again floods nobody.
async fn an_event_of_old_history_is_skipped(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let receiver = Receiver::start(&[]).await;
    let (webhook, _) = world.register(&receiver.url, &[Shipped]).await;
    world.decide(&[Event::new(Shipped, order()).at(OLD)]).await;
    let reason = "the event was more than 72h old when it was read".to_owned();
    assert_eq!(world.attempt(webhook).await, JobResult::Skipped { reason });
    assert_eq!(receiver.got(), []);
}

/// As if every delivery had been ordered so much earlier.
async fn age(world: &World, webhook: Uuid, by: Duration) {
    let text = format!(
        "UPDATE jobs SET created_at = created_at - $1, age_from = created_at - $1 \
         WHERE kind = 'webhook/{webhook}'"
    );
    sqlx::query(AssertSqlSafe(text))
        .bind(i64::try_from(by.as_millis()).unwrap())
        .execute(world.database.pool())
        .await
        .unwrap();
}

async fn what_waited_too_long_for_its_receiver_is_dead(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let receiver = Receiver::start(&[Reply::Say(500)]).await;
    let (webhook, _) = world.register(&receiver.url, &[Shipped]).await;
    world.ship(1).await;
    age(&world, webhook, Duration::from_secs(71 * 60 * 60)).await;
    assert_eq!(
        world.attempt(webhook).await,
        retry("the receiver answered 500")
    );
    age(&world, webhook, Duration::from_secs(2 * 60 * 60)).await;
    assert_eq!(
        world.attempt(webhook).await,
        dead("not delivered within 72h")
    );
    assert_eq!(receiver.got().len(), 1);
}
