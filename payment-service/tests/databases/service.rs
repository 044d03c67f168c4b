//! The whole service: on librdkafka's mock cluster, and without the things it needs.

use base_domains::{OrderStatus, WireOrder, reason};
use payment_service::{Config, run_on};
use serde_json::Value;
use service_runtime::lifecycle::ServiceConfig as _;
use service_runtime::testing::{MockLog, Running, eventually};
use test_support::{Test, TestDatabase, test};

use crate::world::order;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(orders_are_charged_declined_and_refunded_by_the_log).threads(4),
        test!(it_lives_and_answers_while_the_broker_is_down_and_ends_when_asked).threads(2),
    ]
}

/// Waits until the payment of the order is in this state, and gives it.
async fn payment(running: &Running, order: &WireOrder, state: &str) -> Value {
    let path = format!("/api/v1/payments/{}", order.order_id);
    running
        .eventually(&path, |body| body["state"] == state)
        .await
}

async fn orders_are_charged_declined_and_refunded_by_the_log(database: TestDatabase) {
    let log = MockLog::new("payment");
    let environment = [
        ("DATABASE_URL", database.url()),
        ("PAYMENT_TIMEOUT", "50ms"),
        ("PAYMENT_RETRY_MAX_DELAY", "10ms"),
    ];
    let (mut config, _) = Config::load(None, environment).unwrap();
    log.adapt(&mut config.common.kafka);
    let running = Running::start(|listener, shutdown| run_on(listener, config, shutdown)).await;
    let [paid, declined, late, cancelled] = [1_000, 1_002, 1_004, 2_000].map(order);
    for order in [&paid, &declined, &late, &cancelled] {
        log.append(order, OrderStatus::Pending).await;
        log.append(order, OrderStatus::Reserved).await;
    }
    let charged = payment(&running, &paid, "charged").await;
    assert_eq!(charged["amount"], 10.0);
    let job = format!("/api/v1/jobs/charge%2F{}", paid.order_id);
    let (status, job) = running.get(&job).await;
    assert_eq!((status, &job["state"]), (200, &"done".into()), "{job}");
    payment(&running, &declined, "declined").await;
    let charged = payment(&running, &late, "charged").await;
    assert_eq!(charged["charge"]["attempts"], 2);
    payment(&running, &cancelled, "charged").await;
    log.append(&cancelled, OrderStatus::Cancelled).await;
    payment(&running, &cancelled, "refunded").await;
    running.stop().await;

    for order in [&paid, &late] {
        let events = log.of(order.order_id).await;
        assert_eq!(
            log.statuses(order.order_id).await,
            ["PENDING", "RESERVED", "PAID"]
        );
        let payment = events[2].payment.clone().unwrap();
        assert_eq!(
            payment.payment_id,
            format!("sandbox-charge-{}", order.order_id)
        );
    }
    let events = log.of(declined.order_id).await;
    assert_eq!(
        log.statuses(declined.order_id).await,
        ["PENDING", "RESERVED", "REJECTED"]
    );
    assert_eq!(events[2].reason.as_deref(), Some(reason::PAYMENT_DECLINED));
}

async fn it_lives_and_answers_while_the_broker_is_down_and_ends_when_asked(database: TestDatabase) {
    let environment = [
        // Nobody listens on the port of tcpmux.
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"),
        ("DATABASE_URL", database.url()),
    ];
    let (config, _) = Config::load(None, environment).unwrap();
    let running = Running::start(|listener, shutdown| run_on(listener, config, shutdown)).await;
    let mut report = Value::Null;
    eventually("the database is ready", async || {
        let (status, body) = running.get("/health/ready").await;
        assert_eq!(status, 503);
        report = body["components"].clone();
        report["database"]["status"] == "ready"
    })
    .await;
    let consumer = &report["consumer of payment"]["status"];
    assert_eq!(consumer, "not ready", "{report}");
    assert_eq!(running.get("/health/live").await.0, 200);
    let unknown = "/api/v1/payments/01890a5d-ac96-774b-bcce-b302099a8057";
    let (status, body) = running.get(unknown).await;
    assert_eq!((status, body["status"].as_u64()), (404, Some(404)));
    let (status, api) = running.get("/openapi.json").await;
    assert_eq!(status, 200);
    let path = &api["paths"]["/api/v1/payments/{orderId}"]["get"];
    assert!(path.is_object(), "{api}");
    running.stop().await;
}
