//! One order, however often it is asked for: `Idempotency-Key` and PUT.

use base_domains::{OrderEvent, OrderId, OrderStatus};
use futures_util::future::join_all;
use serde_json::{Value, json};
use service_runtime::kafka::ProduceError;
use service_runtime::participant::Decision;
use test_support::{Test, TestDatabase, test};

use crate::support::{Fake, Log, Manner, Request, Service, eventually, plain};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(the_same_key_and_content_get_the_same_answer_and_one_record),
        test!(the_same_key_with_other_content_is_answered_with_422),
        test!(another_key_is_another_order),
        test!(an_unusable_key_is_answered_with_400_that_names_the_header),
        test!(fifty_parallel_requests_with_one_key_are_all_told_of_one_order),
        test!(of_two_contents_that_race_for_one_key_one_wins_and_the_other_never_reaches_the_log),
        test!(an_unconfirmed_order_is_produced_again_under_its_key),
        test!(an_unconfirmed_order_without_a_key_is_repeated_by_put_and_stays_one_order),
        test!(put_places_an_order_under_the_clients_id_once),
        test!(put_with_other_content_is_answered_with_422),
        test!(put_is_compared_with_what_the_log_has_under_the_id),
        test!(put_is_compared_with_an_order_whose_whole_life_was_read_at_once),
        test!(put_under_what_is_no_uuid_is_answered_with_400),
        test!(a_client_that_goes_away_leaves_nothing_behind_but_its_record),
    ]
}

const ID: &str = "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a";

fn book(qty: i64) -> Value {
    json!({"name": "book order", "qty": qty, "price": 10000})
}

/// The only event that the producer took, if it took it so many times.
#[track_caller]
fn only_event(producer: &Fake, times: usize) -> Value {
    let events = producer.events();
    assert_eq!(events.len(), times);
    assert!(events.iter().all(|event| *event == events[0]));
    events[0].clone()
}

async fn the_same_key_and_content_get_the_same_answer_and_one_record(database: TestDatabase) {
    let service = Service::start(database).await;
    let request = Request::post(&book(5)).key("basket-17");
    let first = request.send(service.address).await;
    let id = first.placed();
    let expected = OrderId::from_idempotency_key("anonymous", "basket-17");
    assert_eq!(id, expected.to_string());
    let in_other_words = json!({"items": [{"price": 10000.0, "qty": 5, "name": " book order"}]});
    for again in [request, Request::post(&in_other_words).key("basket-17")] {
        let answer = again.send(service.address).await;
        assert_eq!((answer.status, &answer.body), (201, &first.body));
        assert_eq!(answer.header("location"), first.header("location"));
    }
    assert_eq!(only_event(&service.producer, 1)["order"]["orderId"], id);
}

async fn the_same_key_with_other_content_is_answered_with_422(database: TestDatabase) {
    let service = Service::start(database).await;
    let first = Request::post(&book(5)).key("basket-17");
    first.send(service.address).await.placed();
    let other = Request::post(&book(6)).key("basket-17");
    let answer = other.send(service.address).await;
    assert_eq!(answer.fields(422), ["Idempotency-Key"]);
    let problem = answer.json();
    assert_eq!(problem["type"], "urn:problem-type:order-id-reused");
    assert_eq!(problem["title"], "Reused for another order");
    assert_eq!(only_event(&service.producer, 1)["order"]["qty"], 5);
    // The first content is still what the key stands for.
    first.send(service.address).await.placed();
}

async fn another_key_is_another_order(database: TestDatabase) {
    let service = Service::start(database).await;
    let send = async |key: &str| {
        let request = Request::post(&book(5)).key(key);
        request.send(service.address).await.placed()
    };
    assert_ne!(send("a").await, send("b").await);
}

async fn an_unusable_key_is_answered_with_400_that_names_the_header(database: TestDatabase) {
    let service = Service::start(database).await;
    let too_long = "k".repeat(256);
    for key in ["", "tab\there", "\u{e4}", &too_long] {
        let answer = Request::post(&book(5)).key(key).send(service.address).await;
        assert_eq!(answer.fields(400), ["Idempotency-Key"], "{key:?}");
    }
    let twice = Request::post(&book(5)).key("a").key("a");
    let answer = twice.send(service.address).await;
    assert_eq!(answer.fields(400), ["Idempotency-Key"]);
    let longest = Request::post(&book(5)).key(&"~".repeat(255));
    longest.send(service.address).await.placed();
    assert_eq!(service.producer.taken().len(), 1);
}

async fn fifty_parallel_requests_with_one_key_are_all_told_of_one_order(database: TestDatabase) {
    let service = Service::start(database).await;
    let request = Request::post(&book(5)).key("basket-17");
    let answers = join_all((0..50).map(|_| request.send(service.address))).await;
    let ids: Vec<String> = answers.iter().map(|answer| answer.placed()).collect();
    let expected = OrderId::from_idempotency_key("anonymous", "basket-17");
    assert_eq!(ids, vec![expected.to_string(); 50]);
    let times = service.producer.taken().len();
    assert!((1..=50).contains(&times), "{times}");
    only_event(&service.producer, times);
}

async fn of_two_contents_that_race_for_one_key_one_wins_and_the_other_never_reaches_the_log(
    database: TestDatabase,
) {
    let service = Service::start(database).await;
    let requests: Vec<Request> = (0..40)
        .map(|n| Request::post(&book(1 + n % 2)).key("basket-17"))
        .collect();
    let answers = join_all(requests.iter().map(|request| request.send(service.address))).await;
    let statuses = |parity| {
        let mut found: Vec<u16> = answers
            .iter()
            .skip(parity)
            .step_by(2)
            .map(|a| a.status)
            .collect();
        found.dedup();
        found
    };
    let mut outcomes = [statuses(0), statuses(1)];
    let winner = if outcomes[0] == [201] { 1 } else { 2 };
    outcomes.sort();
    assert_eq!(outcomes, [vec![201], vec![422]]);
    let times = service.producer.taken().len();
    assert_eq!(only_event(&service.producer, times)["order"]["qty"], winner);
}

async fn an_unconfirmed_order_is_produced_again_under_its_key(database: TestDatabase) {
    let service = Service::start(database).await;
    let timed_out = ProduceError::Unknown("timed out".to_owned());
    service.producer.set(Manner::Fail(timed_out));
    let request = Request::post(&book(5)).key("basket-17");
    let id = request.send(service.address).await.unconfirmed();
    service.producer.set(Manner::Acknowledge);
    assert_eq!(request.send(service.address).await.placed(), id);
    assert_eq!(request.send(service.address).await.placed(), id);
    only_event(&service.producer, 2);
    let records = service.producer.taken();
    let event_id = |n: usize| {
        let mut headers = records[n].headers.iter();
        headers.find(|(name, _)| name == "ce_id").cloned().unwrap()
    };
    assert_eq!(event_id(0), event_id(1));
}

async fn an_unconfirmed_order_without_a_key_is_repeated_by_put_and_stays_one_order(
    database: TestDatabase,
) {
    let service = Service::start(database).await;
    let timed_out = ProduceError::Unknown("timed out".to_owned());
    service.producer.set(Manner::Fail(timed_out));
    let id = Request::post(&book(5))
        .send(service.address)
        .await
        .unconfirmed();
    service.producer.set(Manner::Acknowledge);
    let put = Request::put(&id, &book(5));
    assert_eq!(put.send(service.address).await.placed(), id);
    assert_eq!(only_event(&service.producer, 2)["order"]["orderId"], id);
}

async fn put_places_an_order_under_the_clients_id_once(database: TestDatabase) {
    let service = Service::start(database).await;
    let put = Request::put(ID, &book(5));
    let first = put.send(service.address).await;
    assert_eq!(first.placed(), ID);
    let again = Request::put(&ID.to_uppercase(), &book(5))
        .send(service.address)
        .await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(only_event(&service.producer, 1)["order"]["orderId"], ID);
    let text = put
        .header("Accept", "text/plain")
        .send(service.address)
        .await;
    assert_eq!(text.body, "Order placed successfully ...");
}

async fn put_with_other_content_is_answered_with_422(database: TestDatabase) {
    let service = Service::start(database).await;
    Request::put(ID, &book(5))
        .send(service.address)
        .await
        .placed();
    let answer = Request::put(ID, &book(6)).send(service.address).await;
    assert_eq!(answer.fields(422), ["id"]);
    assert_eq!(answer.json()["title"], "Reused for another order");
    only_event(&service.producer, 1);
}

/// From a POST without a key, or from a record that somebody else wrote.
async fn put_is_compared_with_what_the_log_has_under_the_id(database: TestDatabase) {
    let (service, mut log) = (Service::start(database).await, Log::default());
    let id = Request::post(&book(5)).send(service.address).await.placed();
    let placed = service.producer.taken().remove(0).value.unwrap();
    let placed = log.record(&OrderEvent::from_json(&placed).unwrap(), 1);
    assert_eq!(log.keep(&service, &placed).await, [Decision::Done]);
    let other = Request::put(&id, &book(6)).send(service.address).await;
    assert_eq!(other.fields(422), ["id"]);
    assert_eq!(other.json()["title"], "Reused for another order");
    only_event(&service.producer, 1);
    let same = Request::put(&id, &book(5)).send(service.address).await;
    assert_eq!(same.placed(), id);

    // No valid order has the content of one that breaks a rule.
    let mut invalid = plain(ID.parse().unwrap());
    invalid.qty = 0;
    let invalid = log.record(&OrderEvent::new(OrderStatus::Pending, invalid), 1);
    assert_eq!(log.keep(&service, &invalid).await, [Decision::Done]);
    let answer = Request::put(ID, &book(5)).send(service.address).await;
    assert_eq!(answer.fields(422), ["id"]);
    only_event(&service.producer, 2);
}

async fn put_is_compared_with_an_order_whose_whole_life_was_read_at_once(database: TestDatabase) {
    let (service, mut log) = (Service::start(database).await, Log::default());
    let id = Request::post(&book(7)).send(service.address).await.placed();
    let placed = service.producer.taken().pop().unwrap().value.unwrap();
    let placed = OrderEvent::from_json(&placed).unwrap();
    let rejected = OrderEvent::new(OrderStatus::Rejected, placed.order.clone());
    let life = [log.record(&placed, 1), log.record(&rejected, 1)];
    log.keep_all(&service, &life).await;
    let same = Request::put(&id, &book(7)).send(service.address).await;
    assert_eq!(same.placed(), id);
    let other = Request::put(&id, &book(8)).send(service.address).await;
    assert_eq!(other.fields(422), ["id"]);
}

async fn put_under_what_is_no_uuid_is_answered_with_400(database: TestDatabase) {
    let service = Service::start(database).await;
    for id in ["1", "0193a5b87c1e7d3a9f005b1f0c9d2e4a", "%7Bx%7D"] {
        let answer = Request::put(id, &book(5)).send(service.address).await;
        assert_eq!(answer.fields(400), ["id"], "{id}");
    }
    let invalid = Request::put(ID, &book(0)).send(service.address).await;
    assert_eq!(invalid.fields(422), ["qty"]);
    assert_eq!(service.producer.taken(), []);
}

async fn a_client_that_goes_away_leaves_nothing_behind_but_its_record(database: TestDatabase) {
    let service = Service::start(database).await;
    service.producer.set(Manner::Hold);
    let request = Request::post(&book(5)).key("basket-17");
    let connection = request.start(service.address).await;
    eventually("the record", || service.producer.taken().len() == 1).await;
    drop(connection);
    eventually("nobody waits", || service.producer.awaited() == 0).await;
    service.producer.set(Manner::Acknowledge);
    let id = request.send(service.address).await.placed();
    assert_eq!(only_event(&service.producer, 2)["order"]["orderId"], id);
}
