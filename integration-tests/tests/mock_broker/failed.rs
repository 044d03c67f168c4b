//! Errors after which a Kafka client can do nothing any more: the process ends and says why, so that
//! another one is started (B9).

use integration_tests::eventually;
use integration_tests::system::order;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use test_support::{Test, test};

use crate::support::{END, Mock, Service};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_service_whose_producer_failed_for_good_ends_with_1_and_the_next_one_goes_on, no database)
            .threads(2),
        test!(a_participant_whose_producer_failed_for_good_ends_with_1_and_the_next_one_goes_on, no database)
            .threads(2),
    ]
}

/// A sequence number that the broker does not expect: records were lost, or came twice.
const DESYNCHRONISED: RDKafkaRespErr =
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;

async fn fails(mut service: Service) {
    let status = service.process.ended(END).await;
    let output = service.process.output();
    assert_eq!(status.code(), Some(1), "{output}");
    let reason = "the producer failed for good";
    // As the operator's table quotes it.
    let said = |line: &str| line.contains("Service failed.") && line.contains(reason);
    assert!(output.lines().any(said), "{output}");
}

async fn a_service_whose_producer_failed_for_good_ends_with_1_and_the_next_one_goes_on() {
    let mut mock = Mock::new();
    let orders = mock.start("order").await;
    orders.until_ready().await;
    mock.cluster
        .request_errors(RDKafkaApiKey::Produce, &[DESYNCHRONISED]);
    let (path, body) = ("/api/v1/orders", order("book order", 2));
    let key = [("Idempotency-Key", "key")];
    let answer = orders.client.post(path, &body, &key).await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text);
    let order_id = answer.member("orderId");
    fails(orders).await;

    let next = mock.start("order").await;
    let answer = eventually("an answer that is certain", || async {
        let answer = next.client.post(path, &body, &key).await.unwrap();
        (answer.status != 503).then_some(answer)
    })
    .await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.member("orderId"), order_id);
}

async fn a_participant_whose_producer_failed_for_good_ends_with_1_and_the_next_one_goes_on() {
    let mut mock = Mock::new();
    let orders = mock.start("order").await;
    let stock = mock.start("stock").await;
    orders.until_ready().await;
    stock.until_ready().await;
    // The first is the order's, the second its outcome's.
    mock.cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR, DESYNCHRONISED],
    );
    let body = order("book order", 2);
    let answer = orders.client.post("/api/v1/orders", &body, &[]).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
    fails(stock).await;

    let next = mock.start("stock").await;
    let path = format!(
        "/api/v1/orders/{}?wait=30s&until=RESERVED",
        answer.member("orderId")
    );
    integration_tests::eventually("the reservation", || async {
        let order = orders.client.try_get(&path).await.ok()?;
        (order.status == 200 && order.member("status") == "RESERVED").then_some(())
    })
    .await;
    drop(next);
}
