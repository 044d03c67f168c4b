//! Webhooks, as their receiver sees them.

use integration_tests::receiver::Receiver;
use integration_tests::{System, SystemBuilder, eventually};
use serde_json::{Value, json};
use test_support::{Test, test};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_webhook_is_told_of_the_states_it_registered_for_and_of_no_others, no database),
        test!(a_delivery_that_fails_is_repeated_with_the_same_id_and_body, no database),
        test!(a_delivery_that_fails_for_good_is_listed_and_redriven, no database),
        test!(nothing_is_sent_to_addresses_of_this_machine_unless_that_is_allowed, no database),
    ]
}

async fn register(system: &System, url: &str, states: &[&str]) -> Value {
    let body = json!({"url": url, "states": states});
    let answer = system.webhook.post("/api/v1/webhooks", &body, &[]);
    let answer = answer.await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()
}

/// The one delivery of a webhook, once it is in this state.
async fn delivery(system: &System, webhook: &Value, state: &str) -> Value {
    let path = format!(
        "/api/v1/webhooks/{}/deliveries?state={state}",
        webhook["id"].as_str().unwrap()
    );
    eventually(state, || async {
        let list = system.webhook.get(&path).await.json();
        list["deliveries"].get(0).cloned()
    })
    .await
}

async fn a_webhook_is_told_of_the_states_it_registered_for_and_of_no_others() {
    let system = System::start().await;
    let receiver = Receiver::start(0).await;
    let webhook = register(&system, receiver.url(), &["PAID", "SHIPPED"]).await;
    assert!(webhook["secret"].as_str().unwrap().starts_with("whsec_"));
    let order_id = system.place("book order", 1).await;
    assert_eq!(system.ended(&order_id).await["status"], "SHIPPED");
    let mut told = receiver.told(2).await;
    told.sort_by_key(|notified| notified.body.clone());
    for (notified, status) in told.iter().zip(["PAID", "SHIPPED"]) {
        let body = notified.json();
        assert_eq!(body["type"], format!("order.{}", status.to_lowercase()));
        assert_eq!(body["data"]["orderId"], order_id);
        assert_eq!(body["data"]["status"], status);
        let link = body["data"]["link"].as_str().unwrap();
        assert!(
            link.ends_with(&format!("/api/v1/orders/{order_id}")),
            "{link}"
        );
        // Thin: who wants more follows the link.
        assert_eq!(body["data"].as_object().unwrap().len(), 3, "{body}");
        assert!(notified.signature.starts_with("v1,"), "{notified:?}");
        assert!(notified.timestamp.parse::<u64>().is_ok(), "{notified:?}");
    }
    assert_ne!(told[0].id, told[1].id);
    assert_eq!(receiver.all().len(), 2);
}

async fn a_delivery_that_fails_is_repeated_with_the_same_id_and_body() {
    let system = SystemBuilder::new()
        .set("WEBHOOK_RETRY_MAX_DELAY", "200ms")
        .start()
        .await;
    let receiver = Receiver::start(2).await;
    let webhook = register(&system, receiver.url(), &["SHIPPED"]).await;
    let order_id = system.place("book order", 1).await;
    let told = receiver.told(3).await;
    assert_eq!(told[0].json()["data"]["orderId"], order_id);
    for again in &told[1..] {
        assert_eq!((&again.id, &again.body), (&told[0].id, &told[0].body));
    }
    let delivery = delivery(&system, &webhook, "delivered").await;
    assert_eq!(
        (&delivery["attempts"], &delivery["id"]),
        (&json!(3), &json!(told[0].id))
    );
    assert_eq!(receiver.all().len(), 3);
}

async fn a_delivery_that_fails_for_good_is_listed_and_redriven() {
    let system = SystemBuilder::new()
        .set("WEBHOOK_RETRY_MAX_DELAY", "100ms")
        .set("WEBHOOK_MAX_ATTEMPTS", "2")
        .start()
        .await;
    let receiver = Receiver::start(2).await;
    let webhook = register(&system, receiver.url(), &["SHIPPED"]).await;
    system.place("book order", 1).await;
    let dead = delivery(&system, &webhook, "dead").await;
    assert_eq!(
        (&dead["attempts"], &dead["lastStatus"]),
        (&json!(2), &json!(503))
    );

    let path = format!(
        "/api/v1/webhooks/{}/redrive",
        webhook["id"].as_str().unwrap()
    );
    let answer = system.webhook.post(&path, &json!({}), &[]).await.unwrap();
    assert_eq!(
        (answer.status, &answer.json()["redriven"]),
        (202, &json!(1))
    );
    let delivered = delivery(&system, &webhook, "delivered").await;
    assert_eq!(delivered["id"], dead["id"]);
    let told = receiver.told(3).await;
    assert!(
        told.iter().all(|notified| notified.id == told[0].id),
        "{told:?}"
    );
}

async fn nothing_is_sent_to_addresses_of_this_machine_unless_that_is_allowed() {
    let system = SystemBuilder::new()
        .set("WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "false")
        .set("WEBHOOK_ALLOW_HTTP", "true")
        .start()
        .await;
    let receiver = Receiver::start(0).await;
    let body = json!({"url": receiver.url()});
    let refused = system.webhook.post("/api/v1/webhooks", &body, &[]);
    let refused = refused.await.unwrap();
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert_eq!(refused.json()["errors"][0]["field"], "url");

    // A name is found out when it is resolved.
    let named = receiver.url().replace("127.0.0.1", "localhost");
    let webhook = register(&system, &named, &["SHIPPED"]).await;
    let order_id = system.place("book order", 1).await;
    assert_eq!(system.ended(&order_id).await["status"], "SHIPPED");
    let dead = delivery(&system, &webhook, "dead").await;
    assert_eq!(dead["attempts"], 1, "{dead}");
    assert!(receiver.all().is_empty());
}
