//! How orders end otherwise than shipped: declined, cancelled, out of time.

use std::time::Duration;

use integration_tests::system::order;
use integration_tests::{System, SystemBuilder};
use serde_json::{Value, json};
use test_support::{Test, test};
use tokio::task::JoinSet;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(an_order_whose_payment_is_declined_is_rejected_and_gives_its_stock_back, no database),
        test!(a_charge_whose_answer_was_lost_is_made_once_and_the_order_is_shipped, no database),
        test!(a_paid_order_that_is_cancelled_is_refunded_and_gives_its_stock_back, no database),
        test!(an_order_that_has_ended_is_too_late_to_cancel_unless_it_is_cancelled, no database),
        test!(an_order_that_does_not_end_in_time_is_cancelled_for_its_deadline, no database),
        test!(of_cancelling_and_dispatching_at_once_exactly_one_wins_for_everybody, no database),
        test!(an_order_is_cancelled_once_however_many_ask_for_it_at_once, no database),
    ]
}

/// A system whose paid orders wait until somebody asks for their dispatch.
async fn undispatched() -> System {
    SystemBuilder::new()
        .set("SHIPPING_AUTO_DISPATCH", "false")
        .start()
        .await
}

/// Places one piece of `book order` for 10 and these cents.
async fn place_for(system: &System, cents: u8) -> String {
    let mut body = order("book order", 1);
    body["price"] = json!(10.0 + f64::from(cents) / 100.0);
    system.place_body(&body).await
}

async fn history(system: &System, order_id: &str) -> Vec<String> {
    let path = format!("/api/v1/orders/{order_id}/events");
    let history = system.order.get(&path).await.json();
    let events = history["events"].as_array().unwrap().iter();
    events
        .map(|event| event["status"].as_str().unwrap().to_owned())
        .collect()
}

async fn cancel(system: &System, order_id: &str) -> (u16, Value) {
    let path = format!("/api/v1/orders/{order_id}/cancel");
    let answer = system.order.post(&path, &json!({}), &[]).await.unwrap();
    if answer.status != 200 {
        assert_eq!(
            answer.content_type, "application/problem+json",
            "{}",
            answer.text
        );
    }
    (answer.status, answer.json())
}

async fn an_order_whose_payment_is_declined_is_rejected_and_gives_its_stock_back() {
    let system = System::start().await;
    let order_id = place_for(&system, 2).await;
    let ended = system.ended(&order_id).await;
    assert_eq!(
        (&ended["status"], &ended["reason"]),
        (&json!("REJECTED"), &json!("payment_declined"))
    );
    assert_eq!(
        history(&system, &order_id).await,
        ["PENDING", "RESERVED", "REJECTED"]
    );
    system.payment_becomes(&order_id, "declined").await;
    system.stock_becomes("book order", (1000, 0, 0)).await;
    assert_eq!(system.mails(&order_id, 2).await.len(), 2);
}

async fn a_charge_whose_answer_was_lost_is_made_once_and_the_order_is_shipped() {
    let system = SystemBuilder::new()
        .set("PAYMENT_TIMEOUT", "300ms")
        .set("PAYMENT_RETRY_MAX_DELAY", "100ms")
        .start()
        .await;
    for cents in [3, 4] {
        let order_id = place_for(&system, cents).await;
        assert_eq!(
            system.ended(&order_id).await["status"],
            "SHIPPED",
            ".0{cents}"
        );
        let payment = system.payment_becomes(&order_id, "charged").await;
        assert_eq!(payment["charge"]["attempts"], 2, ".0{cents}");
    }
}

async fn a_paid_order_that_is_cancelled_is_refunded_and_gives_its_stock_back() {
    let system = undispatched().await;
    let order_id = system.place("book order", 3).await;
    system.reached(&order_id, "PAID").await;
    system.shipment_becomes(&order_id, "prepared").await;
    let (status, answer) = cancel(&system, &order_id).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["orderId"], &answer["status"]),
        (&json!(order_id), &json!("CANCELLED"))
    );
    let ended = system.ended(&order_id).await;
    assert_eq!(
        (&ended["status"], &ended["reason"]),
        (&json!("CANCELLED"), &json!("cancelled_on_request"))
    );
    assert_eq!(
        history(&system, &order_id).await,
        ["PENDING", "RESERVED", "PAID", "CANCELLED"]
    );
    let payment = system.payment_becomes(&order_id, "refunded").await;
    assert_eq!(payment["amount"], 30000.0);
    system.shipment_becomes(&order_id, "cancelled").await;
    system.stock_becomes("book order", (1000, 0, 0)).await;
    let mails = system.mails(&order_id, 3).await;
    assert!(
        mails.iter().any(|mail| mail["status"] == "CANCELLED"),
        "{mails:?}"
    );
}

async fn an_order_that_has_ended_is_too_late_to_cancel_unless_it_is_cancelled() {
    let system = System::start().await;
    let shipped = system.place("book order", 1).await;
    assert_eq!(system.ended(&shipped).await["status"], "SHIPPED");
    let rejected = system.place("sold out book", 1).await;
    assert_eq!(system.ended(&rejected).await["status"], "REJECTED");
    for (order_id, end) in [(&shipped, "SHIPPED"), (&rejected, "REJECTED")] {
        let (status, problem) = cancel(&system, order_id).await;
        assert_eq!(status, 409, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(end), "{problem}");
        assert_eq!(system.ended(order_id).await["status"], end);
    }
    let (status, problem) = cancel(&system, &uuid::Uuid::new_v4().to_string()).await;
    assert_eq!(status, 404, "{problem}");
}

async fn an_order_that_does_not_end_in_time_is_cancelled_for_its_deadline() {
    let system = SystemBuilder::new()
        .set("SHIPPING_AUTO_DISPATCH", "false")
        // Long enough that the order is paid before.
        .set("ORDER_DEADLINE", "8s")
        .start()
        .await;
    let order_id = system.place("book order", 1).await;
    let ended = system.ended(&order_id).await;
    assert_eq!(
        (&ended["status"], &ended["reason"]),
        (&json!("CANCELLED"), &json!("deadline"))
    );
    system.payment_becomes(&order_id, "refunded").await;
    system.stock_becomes("book order", (1000, 0, 0)).await;
    // One that is already cancelled is what was asked for.
    let (status, answer) = cancel(&system, &order_id).await;
    assert_eq!((status, &answer["status"]), (200, &json!("CANCELLED")));
}

/// Rule of the log: what comes first in it wins, whoever was asked first.
async fn of_cancelling_and_dispatching_at_once_exactly_one_wins_for_everybody() {
    let system = undispatched().await;
    let mut ends = std::collections::BTreeMap::<String, usize>::new();
    for round in 0..24_u64 {
        let order_id = system.place("book order", 1).await;
        system.reached(&order_id, "PAID").await;
        system.shipment_becomes(&order_id, "prepared").await;
        let dispatch = format!("/api/v1/shipments/{order_id}/dispatch");
        // Now the one and now the other has a start, so that both win sometimes.
        let (first, second) = (round % 4 * 4, 6);
        let body = json!({});
        let ((cancelled, answer), dispatched) = tokio::join!(
            async {
                tokio::time::sleep(Duration::from_millis(first)).await;
                cancel(&system, &order_id).await
            },
            async {
                tokio::time::sleep(Duration::from_millis(second)).await;
                system.shipping.post(&dispatch, &body, &[]).await.unwrap()
            }
        );
        let end = system.ended(&order_id).await["status"].clone();
        let (state, cancel_says) = match end.as_str().unwrap() {
            "SHIPPED" => ("dispatched", 409),
            "CANCELLED" => ("cancelled", 200),
            other => panic!("{order_id} is {other}"),
        };
        assert_eq!(cancelled, cancel_says, "{end}: {answer}");
        let dispatch_says = dispatched.status;
        let agrees = match state {
            "dispatched" => [200, 202].contains(&dispatch_says),
            // It had been asked for before anybody knew.
            _ => [202, 409].contains(&dispatch_says),
        };
        assert!(agrees, "{end}: {dispatch_says} {}", dispatched.text);
        system.shipment_becomes(&order_id, state).await;
        *ends.entry(state.to_owned()).or_default() += 1;
    }
    println!("{ends:?}");
    let shipped = ends.get("dispatched").copied().unwrap_or(0) as i64;
    system
        .stock_becomes("book order", (1000 - shipped, 0, shipped))
        .await;
}

async fn an_order_is_cancelled_once_however_many_ask_for_it_at_once() {
    let system = undispatched().await;
    let order_id = system.place("book order", 1).await;
    system.reached(&order_id, "RESERVED").await;
    let mut requests = JoinSet::new();
    for _ in 0..12 {
        let (client, path) = (
            system.order.clone(),
            format!("/api/v1/orders/{order_id}/cancel"),
        );
        requests.spawn(async move { client.post(&path, &json!({}), &[]).await.unwrap() });
    }
    while let Some(answer) = requests.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status, answer.member("status")),
            (200, "CANCELLED".to_owned())
        );
    }
    let story = &system.log.orders().await[&order_id.parse().unwrap()];
    let cancellations = story.history.iter().filter(|status| status.is_terminal());
    assert_eq!(cancellations.count(), 1, "{story:?}");
    let written: usize = story.events["/order-service"].len();
    assert_eq!(written, 2, "PENDING and one CANCELLED: {story:?}");
}
