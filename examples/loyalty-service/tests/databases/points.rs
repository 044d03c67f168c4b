//! Who gets points, and that nobody gets them twice.

use base_domains::OrderStatus::{self, Cancelled, Paid, Pending, Rejected, Reserved, Shipped};
use base_domains::header;
use loyalty_service::points::find;
use serde_json::json;
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::kafka::dlt;
use test_support::{Test, TestDatabase, test};

use crate::world::{Log, Running, event, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(an_order_has_points_when_shipped_took_effect_and_never_otherwise).threads(2),
        test!(a_repeated_delivery_and_a_new_reading_of_the_log_give_no_second_points).threads(2),
        test!(a_decision_that_failed_is_dead_lettered_and_made_once_by_a_redrive).threads(2),
        test!(an_order_without_points_and_an_id_that_is_none_are_problems).threads(2),
    ]
}

const LIFE: [OrderStatus; 4] = [Pending, Reserved, Paid, Shipped];

async fn an_order_has_points_when_shipped_took_effect_and_never_otherwise(database: TestDatabase) {
    let log = Log::new();
    let [shipped, paid, cancelled, rejected, late, last] = [10_550; 6].map(order);
    log.append_life(&shipped, &LIFE).await;
    log.append_life(&paid, &LIFE[..3]).await;
    log.append_life(&cancelled, &[Pending, Cancelled]).await;
    log.append_life(&rejected, &[Pending, Rejected]).await;
    // The first end of an order counts, whatever is appended behind it.
    log.append_life(&cancelled, &[Shipped]).await;
    log.append_life(&rejected, &[Shipped]).await;
    log.append_life(&late, &[Pending, Shipped, Cancelled, Rejected])
        .await;
    log.append_life(&last, &LIFE).await;

    let running = Running::start(&log, &database, "loyalty").await;
    assert_eq!(running.settled(&last).await, 10);
    for order in [&shipped, &late] {
        let (status, body) = running.points(order).await;
        let expected = json!({"orderId": order.order_id.to_string(), "points": 10});
        assert_eq!((status, body), (200, expected));
    }
    for order in [&paid, &cancelled, &rejected] {
        assert_eq!(running.points(order).await.0, 404);
    }
    running.stop().await;
}

async fn a_repeated_delivery_and_a_new_reading_of_the_log_give_no_second_points(
    database: TestDatabase,
) {
    let log = Log::new();
    let (first, second, third) = (order(2_000), order(3_000), order(4_000));
    log.append_life(&first, &LIFE).await;
    let again = event(&first, Shipped);
    log.append(&again).await;
    let running = Running::start(&log, &database, "loyalty").await;
    log.append(&again).await;
    log.append_life(&second, &LIFE).await;
    assert_eq!(running.settled(&second).await, 3);
    assert_eq!(running.settled(&first).await, 2);
    running.stop().await;

    // Once more with its group, then with another one, which reads everything again.
    for (group, order, points) in [("loyalty", &third, 4), ("again", &order(5_000), 5)] {
        log.append(&again).await;
        log.append_life(order, &LIFE).await;
        let running = Running::start(&log, &database, group).await;
        assert_eq!(running.settled(order).await, points);
        assert_eq!(running.settled(&first).await, 2);
        running.stop().await;
    }
    // A second row would have been refused by the database, and the decision dead-lettered.
    assert_eq!(log.dead_letters().await, vec![]);
}

async fn a_decision_that_failed_is_dead_lettered_and_made_once_by_a_redrive(
    database: TestDatabase,
) {
    let log = Log::new();
    let (broken, free, last) = (order(7_000), order(8_000), order(1_000));
    // Headers tell that it was shipped, but not what it costs.
    let mut unreadable = event(&broken, Shipped);
    unreadable.value = "{".to_owned();
    let mut invalid = free.clone();
    invalid.qty = 0;
    log.append(&unreadable).await;
    log.append_life(&invalid, &[Shipped]).await;
    log.append_life(&last, &LIFE).await;
    let running = Running::start(&log, &database, "loyalty").await;
    running.settled(&last).await;
    let letters = log.dead_letters().await;
    let codes: Vec<_> = letters
        .iter()
        .map(|letter| letter.header(dlt::EXCEPTION_FQCN))
        .collect();
    assert_eq!(codes, [Some("invalid_body"), Some("invalid_order")]);
    assert_eq!(letters[0].value.as_deref(), Some(b"{".as_slice()));
    for order in [&broken, &free] {
        assert_eq!(running.points(order).await.0, 404);
    }

    // What an operator appends: the record put right, for this group alone. Twice, by mistake.
    for order in [&broken, &free, &broken, &free] {
        let mut redriven = event(order, Shipped);
        let header = (header::REDRIVE_GROUP.to_owned(), "loyalty".to_owned());
        redriven.headers.push(header);
        log.append(&redriven).await;
    }
    assert_eq!(running.settled(&broken).await, 7);
    assert_eq!(running.settled(&free).await, 8);
    let last = order(1_000);
    log.append_life(&last, &LIFE).await;
    running.settled(&last).await;
    assert_eq!(log.dead_letters().await.len(), 2);
    running.stop().await;

    let database = Database::open(&DatabaseConfig::new(database.url())).unwrap();
    assert_eq!(find(&database, broken.order_id).await.unwrap(), Some(7));
}

async fn an_order_without_points_and_an_id_that_is_none_are_problems(database: TestDatabase) {
    let log = Log::new();
    let running = Running::start(&log, &database, "loyalty").await;
    let order = order(1_000);
    log.append_life(&order, &LIFE).await;
    running.settled(&order).await;
    let (status, body) = running.get("/api/v1/points/42").await;
    assert_eq!(status, 400);
    assert!(body.contains(r#""field":"orderId""#), "{body}");
    let (status, body) = running
        .get("/api/v1/points/01890a5d-ac96-774b-bcce-b302099a8057")
        .await;
    assert_eq!(status, 404);
    assert!(body.contains("the order has no points"), "{body}");

    // What every service has, without a line of its own.
    assert_eq!(running.get("/health/ready").await.0, 200);
    let (_, api) = running.get("/openapi.json").await;
    assert!(api.contains("/api/v1/points/{orderId}"), "{api}");
    running.stop().await;
}
