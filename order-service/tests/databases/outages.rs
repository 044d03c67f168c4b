//! No broker, a full queue, no database: 503 that can be acted on, never a wrong 2xx or 4xx.

use std::time::Duration;

use serde_json::{Value, json};
use service_runtime::kafka::ProduceError;
use sqlx::{AssertSqlSafe, Executor as _};
use test_support::{Kind, Test, TestDatabase, test};

use crate::support::{Manner, Request, Service, Setup, order_id};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_full_queue_is_answered_with_503_that_names_the_order),
        test!(whatever_the_broker_did_not_confirm_is_answered_with_503_that_names_the_order),
        test!(an_acknowledgement_that_never_comes_is_answered_in_time_with_the_order),
        test!(without_a_database_only_an_order_without_a_chosen_id_is_placed),
        test!(a_database_that_goes_down_is_answered_with_503),
        test!(an_order_that_cannot_be_marked_as_acknowledged_is_placed_all_the_same),
        test!(an_order_whose_database_fails_is_unconfirmed_and_placed_once_when_it_is_repeated)
            .only(Kind::Postgres),
    ]
}

fn book() -> Value {
    json!({"name": "book order", "qty": 5, "price": 10000})
}

async fn a_full_queue_is_answered_with_503_that_names_the_order(database: TestDatabase) {
    let service = Service::start(database).await;
    service
        .producer
        .set(Manner::Refuse(ProduceError::QueueFull));
    let answer = Request::post(&book()).send(service.address).await;
    let id = answer.unconfirmed();
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(
        answer.json()["detail"],
        "too many orders wait for the broker"
    );
    service.producer.set(Manner::Acknowledge);
    let put = Request::put(&id, &book()).send(service.address).await;
    assert_eq!(put.placed(), id);
}

async fn whatever_the_broker_did_not_confirm_is_answered_with_503_that_names_the_order(
    database: TestDatabase,
) {
    let service = Service::start(database).await;
    let reason = "canary-internal-reason".to_owned();
    for manner in [
        Manner::Fail(ProduceError::Unknown(reason.clone())),
        Manner::Fail(ProduceError::Refused(reason.clone())),
        Manner::Refuse(ProduceError::Refused(reason.clone())),
        Manner::Refuse(ProduceError::Fatal(reason.clone())),
    ] {
        service.producer.set(manner.clone());
        for request in [Request::post(&book()), Request::post(&book()).key("k")] {
            let answer = request.send(service.address).await;
            answer.unconfirmed();
            let problem = answer.json();
            assert_eq!(problem["type"], "urn:problem-type:order-unconfirmed");
            assert_eq!(problem["title"], "Order not confirmed");
            assert!(!answer.body.contains("canary"), "{manner:?}");
        }
    }
}

async fn an_acknowledgement_that_never_comes_is_answered_in_time_with_the_order(
    database: TestDatabase,
) {
    let service = Service::with(
        database,
        Setup {
            answer_within: Duration::from_secs(1),
            ..Setup::default()
        },
    )
    .await;
    service.producer.set(Manner::Hold);
    let id = Request::post(&book())
        .send(service.address)
        .await
        .unconfirmed();
    let key = Request::post(&book()).key("k");
    let keyed = key.send(service.address).await.unconfirmed();
    assert_ne!(id, keyed);
    assert_eq!(service.producer.awaited(), 0);
    service.producer.release();
    assert_eq!(key.send(service.address).await.placed(), keyed);
}

async fn without_a_database_only_an_order_without_a_chosen_id_is_placed(database: TestDatabase) {
    let service = Service::with(
        database,
        Setup {
            database_ready: false,
            ..Setup::default()
        },
    )
    .await;
    Request::post(&book()).send(service.address).await.placed();
    let key = Request::post(&book()).key("k");
    let id = key.send(service.address).await.unconfirmed();
    let put = Request::put(&id, &book());
    assert_eq!(put.send(service.address).await.unconfirmed(), id);
    let get = Request::get(&format!("/api/v1/orders/{id}"));
    let answer = get.send(service.address).await;
    answer.problem(503);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(service.producer.taken().len(), 1);
    service.storage.provide(service.database.clone());
    assert_eq!(key.send(service.address).await.placed(), id);
}

async fn a_database_that_goes_down_is_answered_with_503(database: TestDatabase) {
    let service = Service::start(database).await;
    service.database.close().await;
    let key = Request::post(&book()).key("k");
    let answer = key.send(service.address).await;
    answer.unconfirmed();
    assert_eq!(answer.json()["detail"], "the database cannot be used now");
    let id = order_id("any");
    let get = Request::get(&format!("/api/v1/orders/{id}"));
    get.send(service.address).await.problem(503);
    assert_eq!(service.producer.taken(), []);
}

async fn an_order_that_cannot_be_marked_as_acknowledged_is_placed_all_the_same(
    database: TestDatabase,
) {
    let service = Service::start(database).await;
    service.producer.set(Manner::Hold);
    let request = Request::post(&book()).key("k");
    let connection = request.start(service.address).await;
    let taken = || service.producer.taken().len() == 1;
    crate::support::eventually("the record", taken).await;
    service.database.close().await;
    service.producer.release();
    crate::support::Answer::read(connection).await.placed();
}

async fn an_order_whose_database_fails_is_unconfirmed_and_placed_once_when_it_is_repeated(
    database: TestDatabase,
) {
    let service = Service::start(database).await;
    let execute = async |sql: String| {
        let pool = service.database.pool();
        pool.execute(AssertSqlSafe(sql)).await.unwrap();
    };
    let codes = ["40001", "40P01", "53100", "57P01", "08006"];
    for (placed, code) in codes.into_iter().enumerate() {
        execute(format!(
            "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'canary-internal-reason' USING ERRCODE = '{code}'; END $$"
        ))
        .await;
        execute(
            "CREATE TRIGGER fail BEFORE INSERT ON placements FOR EACH ROW EXECUTE FUNCTION fail()"
                .to_owned(),
        )
        .await;
        let request = Request::post(&book()).key(code);
        let answer = request.send(service.address).await;
        let id = answer.unconfirmed();
        assert!(!answer.body.contains("canary"), "{code}");
        assert_eq!(service.producer.taken().len(), placed, "{code}");
        execute("DROP TRIGGER fail ON placements".to_owned()).await;
        assert_eq!(request.send(service.address).await.placed(), id);
        assert_eq!(request.send(service.address).await.placed(), id);
        assert_eq!(service.producer.taken().len(), placed + 1, "{code}");
    }
}
