//! Acknowledgements that come too late: nobody knows, and a repetition finds out (invariant 1).

use std::time::Duration;

use integration_tests::eventually;
use integration_tests::system::order;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use test_support::{Test, test};

use crate::support::Mock;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(an_order_whose_acknowledgement_is_late_is_one_order_when_it_is_repeated, no database)
            .threads(2),
        test!(an_order_that_too_few_replicas_take_is_not_confirmed_before_there_are_enough, no database)
            .threads(2),
    ]
}

const KEY: [(&str, &str); 1] = [("Idempotency-Key", "late")];

/// Longer than the delivery timeout, and shorter than a request of a client may take.
const ROUND_TRIP: Duration = Duration::from_secs(4);

async fn an_order_whose_acknowledgement_is_late_is_one_order_when_it_is_repeated() {
    let mut mock = Mock::new();
    let (orders, stock) = (mock.start("order").await, mock.start("stock").await);
    orders.until_ready().await;
    stock.until_ready().await;
    let body = order("book order", 2);

    let round_trip = |time| mock.cluster.broker_round_trip_time(1, time).unwrap();
    round_trip(ROUND_TRIP);
    let late = orders.client.post("/api/v1/orders", &body, &KEY).await;
    let late = late.unwrap();
    assert_eq!(late.status, 503, "{}", late.text);
    assert_eq!(late.content_type, "application/problem+json");
    assert!(late.retry_after.is_some());
    let order_id = late.member("orderId");
    round_trip(Duration::ZERO);

    let again = eventually("an acknowledgement", || async {
        let answer = orders.client.post("/api/v1/orders", &body, &KEY).await;
        let answer = answer.unwrap();
        assert_eq!(answer.member("orderId"), order_id, "{}", answer.text);
        (answer.status != 503).then_some(answer.status)
    })
    .await;
    assert_eq!(again, 201);
    eventually("the reservation", || async {
        let answer = stock.client.get("/api/v1/stock/book%20order").await;
        (answer.json()["reserved"] == 2).then_some(())
    })
    .await;

    let log = mock.log();
    let placements = log.placements().await.unwrap();
    assert!(placements.len() > 1, "the first attempt was not appended");
    let all = log.orders().await;
    assert_eq!(all.len(), 1);
    let (id, story) = all.into_iter().next().unwrap();
    assert_eq!(id.to_string(), order_id);
    assert_eq!((story.status(), story.distinct()), ("RESERVED", 2));
    let reserved = stock.client.get("/api/v1/stock/book%20order").await;
    assert_eq!(reserved.json()["reserved"], 2, "once");
}

async fn an_order_that_too_few_replicas_take_is_not_confirmed_before_there_are_enough() {
    let mut mock = Mock::new();
    let orders = mock.start("order").await;
    orders.until_ready().await;
    let body = order("book order", 2);
    for error in [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ] {
        mock.cluster
            .request_errors(RDKafkaApiKey::Produce, &[error; 1000]);
        let answer = orders.client.post("/api/v1/orders", &body, &[]).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 503, "{}", answer.text);
        let order_id = answer.member("orderId");
        mock.cluster.clear_request_errors(RDKafkaApiKey::Produce);
        let path = format!("/api/v1/orders/{order_id}");
        let put = eventually("an answer that is certain", || async {
            let put = orders.client.put(&path, &body).await.unwrap();
            (put.status != 503).then_some(put)
        })
        .await;
        assert_eq!(put.status, 201, "{}", put.text);
    }
    assert_eq!(mock.log().orders().await.len(), 2);
}
