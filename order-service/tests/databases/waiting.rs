//! Requests that wait for an order to move on.

use std::time::{Duration, Instant};

use base_domains::{OrderId, OrderStatus};
use serde_json::Value;
use test_support::{Test, TestDatabase, test};
use tokio::net::TcpStream;

use crate::support::{Answer, DEADLINE, Log, Request, SEATS, Service, Setup, order_id};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(an_order_that_is_not_in_the_read_model_yet_is_answered_as_soon_as_it_is),
        test!(a_wait_ends_with_the_end_of_the_order_and_not_before),
        test!(a_wait_until_a_state_ends_with_that_state_a_later_one_or_an_end),
        test!(what_was_waited_for_already_is_answered_at_once),
        test!(a_wait_in_vain_is_answered_with_the_state_or_404),
        test!(what_another_instance_has_folded_is_noticed_without_being_told),
        test!(no_wait_is_longer_than_the_server_allows),
        test!(a_shutdown_ends_every_wait_with_the_state_there_is),
        test!(when_too_many_wait_the_next_is_answered_with_503_and_nobody_else_suffers),
    ]
}

/// Waits longer than anything takes that the tests do meanwhile.
async fn patient(database: TestDatabase) -> Service {
    let setup = Setup {
        answer_within: Duration::from_secs(30),
        patience: Duration::from_secs(30),
        ..Setup::default()
    };
    Service::with(database, setup).await
}

async fn start(service: &Service, id: OrderId, query: &str) -> TcpStream {
    let path = format!("/api/v1/orders/{id}{query}");
    Request::get(&path).start(service.address).await
}

async fn status_of(connection: TcpStream) -> Value {
    let answer = Answer::read(connection).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["status"].clone()
}

async fn an_order_that_is_not_in_the_read_model_yet_is_answered_as_soon_as_it_is(
    database: TestDatabase,
) {
    let service = patient(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    let connection = start(&service, id, "").await;
    service.waiting(1).await;
    log.bring(&service, id, OrderStatus::Pending).await;
    assert_eq!(status_of(connection).await, "PENDING");
    service.waiting(0).await;
}

async fn a_wait_ends_with_the_end_of_the_order_and_not_before(database: TestDatabase) {
    let service = patient(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    let begin = Instant::now();
    let connections = [
        start(&service, id, "?wait=30s").await,
        start(&service, id, "?wait=30s").await,
    ];
    service.waiting(2).await;
    for status in [
        OrderStatus::Pending,
        OrderStatus::Reserved,
        OrderStatus::Paid,
    ] {
        log.bring(&service, id, status).await;
        service.waiting(2).await;
    }
    log.bring(&service, id, OrderStatus::Cancelled).await;
    for connection in connections {
        assert_eq!(status_of(connection).await, "CANCELLED");
    }
    assert!(begin.elapsed() < DEADLINE);
}

async fn a_wait_until_a_state_ends_with_that_state_a_later_one_or_an_end(database: TestDatabase) {
    let service = patient(database).await;
    for (name, reached) in [
        ("a", OrderStatus::Reserved),
        ("b", OrderStatus::Paid),
        ("c", OrderStatus::Rejected),
    ] {
        let mut log = Log::default();
        let id = order_id(name);
        log.bring(&service, id, OrderStatus::Pending).await;
        let connection = start(&service, id, "?wait=30s&until=RESERVED").await;
        service.waiting(1).await;
        log.bring(&service, id, reached).await;
        assert_eq!(status_of(connection).await, reached.as_str());
        service.waiting(0).await;
    }
}

async fn what_was_waited_for_already_is_answered_at_once(database: TestDatabase) {
    let service = patient(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    log.bring(&service, id, OrderStatus::Paid).await;
    service.seats.close();
    let until = start(&service, id, "?wait=30s&until=RESERVED").await;
    assert_eq!(status_of(until).await, "PAID");
    log.bring(&service, id, OrderStatus::Shipped).await;
    let end = start(&service, id, "?wait=30s").await;
    assert_eq!(status_of(end).await, "SHIPPED");
}

async fn a_wait_in_vain_is_answered_with_the_state_or_404(database: TestDatabase) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    log.bring(&service, id, OrderStatus::Reserved).await;
    let begin = Instant::now();
    let connection = start(&service, id, "?wait=300ms").await;
    assert_eq!(status_of(connection).await, "RESERVED");
    assert!(begin.elapsed() >= Duration::from_millis(300));
    let nowhere = start(&service, order_id("nowhere"), "?wait=0s").await;
    Answer::read(nowhere).await.problem(404);
}

async fn what_another_instance_has_folded_is_noticed_without_being_told(database: TestDatabase) {
    let service = patient(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    log.bring(&service, id, OrderStatus::Pending).await;
    let connection = start(&service, id, "?wait=30s").await;
    service.waiting(1).await;
    let mut tx = service.database.begin().await.unwrap();
    sqlx::query("UPDATE order_views SET status = 'SHIPPED'")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let begin = Instant::now();
    assert_eq!(status_of(connection).await, "SHIPPED");
    assert!(begin.elapsed() < DEADLINE);
}

async fn no_wait_is_longer_than_the_server_allows(database: TestDatabase) {
    let service = Service::with(
        database,
        Setup {
            answer_within: Duration::from_millis(300),
            ..Setup::default()
        },
    )
    .await;
    let mut log = Log::default();
    let id = order_id("a");
    log.bring(&service, id, OrderStatus::Pending).await;
    let begin = Instant::now();
    let connection = start(&service, id, "?wait=30s").await;
    assert_eq!(status_of(connection).await, "PENDING");
    assert!(begin.elapsed() < DEADLINE);
}

async fn a_shutdown_ends_every_wait_with_the_state_there_is(database: TestDatabase) {
    let service = patient(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    log.bring(&service, id, OrderStatus::Pending).await;
    let begin = Instant::now();
    let connection = start(&service, id, "?wait=30s").await;
    service.waiting(1).await;
    service.shutdown.trigger();
    assert_eq!(status_of(connection).await, "PENDING");
    assert!(begin.elapsed() < DEADLINE);
}

async fn when_too_many_wait_the_next_is_answered_with_503_and_nobody_else_suffers(
    database: TestDatabase,
) {
    let service = patient(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    log.bring(&service, id, OrderStatus::Pending).await;
    let mut connections = Vec::new();
    for _ in 0..SEATS {
        connections.push(start(&service, id, "?wait=30s").await);
    }
    service.waiting(SEATS).await;
    let answer = Answer::read(start(&service, id, "?wait=30s").await).await;
    answer.problem(503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(status_of(start(&service, id, "").await).await, "PENDING");
    // Those who leave make room.
    connections.clear();
    service.waiting(0).await;
}
