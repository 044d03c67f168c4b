//! The whole service: on librdkafka's mock cluster, and without the things it needs.

use base_domains::OrderStatus::{Cancelled, Paid, Pending, Reserved};
use base_domains::WireOrder;
use jiff::Timestamp;
use serde_json::Value;
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::lifecycle::ServiceConfig as _;
use service_runtime::testing::{MockLog, Running, eventually};
use shipping_service::shipment::tracking_number;
use shipping_service::{Config, run_on};
use test_support::{Test, TestDatabase, test};

use crate::world::order;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_paid_order_is_shipped_after_the_delay_with_its_tracking_number).threads(4),
        test!(a_dispatch_that_is_asked_for_is_answered_by_what_is_read_back).threads(4),
        test!(of_two_instances_any_ships_what_it_is_asked_for).threads(4),
        test!(what_fell_due_while_the_service_was_down_is_shipped_unless_a_cancel_came_first)
            .threads(4),
        test!(it_lives_and_answers_while_the_broker_is_down_and_ends_when_asked).threads(2),
    ]
}

const BY_HAND: &[(&str, &str)] = &[
    ("SHIPPING_AUTO_DISPATCH", "false"),
    ("SHIPPING_ANSWER_WAIT", "25s"),
];

async fn start(log: &MockLog, database: &TestDatabase, environment: &[(&str, &str)]) -> Running {
    let environment = environment.iter().copied();
    let environment = environment.chain([("DATABASE_URL", database.url())]);
    let (mut config, _) = Config::load(None, environment).unwrap();
    log.adapt(&mut config.common.kafka);
    Running::start(|listener, shutdown| run_on(listener, config, shutdown)).await
}

fn path(order: &WireOrder) -> String {
    format!("/api/v1/shipments/{}", order.order_id)
}

/// Waits until the shipment of the order is in this state, and gives it.
async fn shipment(running: &Running, order: &WireOrder, state: &str) -> Value {
    let wanted = |body: &Value| body["state"] == state;
    running.eventually(&path(order), wanted).await
}

async fn pay(log: &MockLog, order: &WireOrder) {
    log.append_life(order, &[Pending, Reserved, Paid]).await;
}

async fn a_paid_order_is_shipped_after_the_delay_with_its_tracking_number(database: TestDatabase) {
    let log = MockLog::new("shipping");
    let delay = ("SHIPPING_DISPATCH_DELAY", "700ms");
    let running = start(&log, &database, &[delay]).await;
    let (paid, cancelled) = (order(), order());
    // At once: the cancellation is not to come after the delay.
    let life = [Pending, Reserved, Paid, Cancelled];
    log.append_life(&cancelled, &life).await;
    let before = Timestamp::now();
    pay(&log, &paid).await;
    let dispatched = shipment(&running, &paid, "dispatched").await;
    assert_eq!(dispatched["trackingNumber"], tracking_number(paid.order_id));
    let at: Timestamp = dispatched["dispatchedAt"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let passed = at.duration_since(before).as_millis();
    assert!(passed >= 700, "{passed} ms");
    shipment(&running, &cancelled, "cancelled").await;
    running.stop().await;

    let statuses = log.statuses(paid.order_id).await;
    assert_eq!(statuses, ["PENDING", "RESERVED", "PAID", "SHIPPED"]);
    let shipped = log.of(paid.order_id).await.remove(3);
    assert_eq!(shipped.order, paid);
    let told = shipped.shipment.unwrap().tracking_number;
    assert_eq!(told, tracking_number(paid.order_id));
    let statuses = log.statuses(cancelled.order_id).await;
    assert_eq!(statuses, ["PENDING", "RESERVED", "PAID", "CANCELLED"]);
}

async fn a_dispatch_that_is_asked_for_is_answered_by_what_is_read_back(database: TestDatabase) {
    let log = MockLog::new("shipping");
    let running = start(&log, &database, BY_HAND).await;
    let [first, cancelled, second] = [order(), order(), order()];
    for order in [&first, &cancelled, &second] {
        pay(&log, order).await;
        shipment(&running, order, "prepared").await;
    }
    let dispatch = |order: &WireOrder| format!("{}/dispatch", path(order));
    for _ in 0..2 {
        let (status, body) = running.post(&dispatch(&first)).await;
        assert_eq!((status, &body["state"]), (200, &Value::from("dispatched")));
    }
    log.append(&cancelled, Cancelled).await;
    shipment(&running, &cancelled, "cancelled").await;
    let (status, body) = running.post(&dispatch(&cancelled)).await;
    assert_eq!((status, body["status"].as_u64()), (409, Some(409)));
    assert_eq!(running.post(&dispatch(&order())).await.0, 404);
    running.stop().await;

    let short = [("SHIPPING_ANSWER_WAIT", "200ms"), BY_HAND[0]];
    let running = start(&log, &database, &short).await;
    eventually("ready", async || {
        running.get("/health/ready").await.0 == 200
    })
    .await;
    log.down();
    let (status, body) = running.post(&dispatch(&second)).await;
    assert_eq!((status, &body["state"]), (202, &Value::from("prepared")));
    log.up();
    shipment(&running, &second, "dispatched").await;
    running.stop().await;
    for order in [&first, &second] {
        let statuses = log.statuses(order.order_id).await;
        assert_eq!(statuses, ["PENDING", "RESERVED", "PAID", "SHIPPED"]);
    }
    let statuses = log.statuses(cancelled.order_id).await;
    assert_eq!(statuses, ["PENDING", "RESERVED", "PAID", "CANCELLED"]);
}

/// Whoever of them reads an order's partition, and whoever is asked.
async fn of_two_instances_any_ships_what_it_is_asked_for(database: TestDatabase) {
    let log = MockLog::new("shipping");
    let instances = [
        start(&log, &database, BY_HAND).await,
        start(&log, &database, BY_HAND).await,
    ];
    for of in 0..6 {
        let (order, asked) = (order(), &instances[of % 2]);
        pay(&log, &order).await;
        shipment(asked, &order, "prepared").await;
        let (status, body) = asked.post(&format!("{}/dispatch", path(&order))).await;
        assert_eq!((status, &body["state"]), (200, &Value::from("dispatched")));
        for instance in &instances {
            assert_eq!(instance.get(&path(&order)).await, (200, body.clone()));
        }
        let statuses = log.statuses(order.order_id).await;
        assert_eq!(statuses, ["PENDING", "RESERVED", "PAID", "SHIPPED"]);
    }
    for instance in instances {
        instance.stop().await;
    }
}

/// Rule R11: nothing is shipped before the log was read to its end.
async fn what_fell_due_while_the_service_was_down_is_shipped_unless_a_cancel_came_first(
    database: TestDatabase,
) {
    let log = MockLog::new("shipping");
    let delay = ("SHIPPING_DISPATCH_DELAY", "1h");
    let running = start(&log, &database, &[delay]).await;
    let (kept, cancelled) = (order(), order());
    for order in [&cancelled, &kept] {
        pay(&log, order).await;
        shipment(&running, order, "prepared").await;
    }
    running.stop().await;
    log.append(&cancelled, Cancelled).await;
    let opened = Database::open(&DatabaseConfig::new(database.url())).unwrap();
    sqlx::query("UPDATE jobs SET next_try_at = next_try_at - 3600000")
        .execute(opened.pool())
        .await
        .unwrap();
    opened.close().await;

    let running = start(&log, &database, &[delay]).await;
    shipment(&running, &kept, "dispatched").await;
    shipment(&running, &cancelled, "cancelled").await;
    running.stop().await;
    let statuses = log.statuses(kept.order_id).await;
    assert_eq!(statuses, ["PENDING", "RESERVED", "PAID", "SHIPPED"]);
    let statuses = log.statuses(cancelled.order_id).await;
    assert_eq!(statuses, ["PENDING", "RESERVED", "PAID", "CANCELLED"]);
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
    let consumer = &report["consumer of shipping"]["status"];
    assert_eq!(consumer, "not ready", "{report}");
    assert_eq!(running.get("/health/live").await.0, 200);
    let unknown = "/api/v1/shipments/01890a5d-ac96-774b-bcce-b302099a8057";
    let (status, body) = running.get(unknown).await;
    assert_eq!((status, body["status"].as_u64()), (404, Some(404)));
    let (status, api) = running.get("/openapi.json").await;
    assert_eq!(status, 200);
    let paths = &api["paths"];
    assert!(
        paths["/api/v1/shipments/{orderId}"]["get"].is_object(),
        "{api}"
    );
    let dispatch = &paths["/api/v1/shipments/{orderId}/dispatch"]["post"];
    let answers: Vec<&String> = dispatch["responses"].as_object().unwrap().keys().collect();
    assert_eq!(answers, ["200", "202", "400", "404", "409", "503"]);
    running.stop().await;
}
