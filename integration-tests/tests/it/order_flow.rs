//! What a user of the HTTP interface gets.

use integration_tests::System;
use integration_tests::system::order;
use serde_json::json;
use test_support::{Test, test};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(an_order_is_reserved_paid_shipped_and_mailed, no database),
        test!(orders_that_cannot_be_met_are_rejected_with_a_reason_and_take_no_stock, no database),
        test!(an_order_of_several_lines_is_reserved_whole_or_not_at_all, no database),
        test!(an_idempotency_key_makes_one_order_and_refuses_another_content, no database),
        test!(the_tutorials_text_is_answered_to_those_who_ask_for_text, no database),
        test!(a_bad_order_is_refused_with_every_field_that_is_wrong_and_reaches_nobody, no database),
    ]
}

async fn an_order_is_reserved_paid_shipped_and_mailed() {
    let system = System::start().await;
    let mut body = order("book order", 5);
    body["email"] = json!("customer@example.org");
    let answer = system
        .order
        .post("/api/v1/orders", &body, &[])
        .await
        .unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
    let order_id = answer.member("orderId");
    assert_eq!(answer.member("message"), "Order placed successfully ...");
    assert_eq!(answer.member("status"), "PENDING");
    assert_eq!(answer.location, Some(format!("/api/v1/orders/{order_id}")));

    let ended = system.ended(&order_id).await;
    assert_eq!(ended["status"], "SHIPPED");
    assert_eq!(ended["order"]["name"], "book order");
    assert_eq!(ended["order"]["qty"], 5);
    let path = format!("/api/v1/orders/{order_id}/events");
    let history = system.order.get(&path).await.json();
    let events = history["events"].as_array().unwrap().iter();
    let events: Vec<&str> = events
        .map(|event| event["status"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["PENDING", "RESERVED", "PAID", "SHIPPED"]);
    system.stock_becomes("book order", (995, 0, 5)).await;

    let payment = system.payment_becomes(&order_id, "charged").await;
    assert_eq!(payment["amount"], 50000.0);
    let shipment = system.shipment_becomes(&order_id, "dispatched").await;
    let number = order_id.replace('-', "").to_uppercase();
    assert_eq!(shipment["trackingNumber"], format!("OE{number}"));

    let mails = system.mails(&order_id, 3).await;
    let mut mailed: Vec<&str> = mails
        .iter()
        .map(|mail| mail["status"].as_str().unwrap())
        .collect();
    mailed.sort_unstable();
    assert_eq!(mailed, ["PAID", "PENDING", "SHIPPED"]);
    for mail in &mails {
        assert_eq!(mail["recipient"], "customer@example.org");
        let message_id = mail["messageId"].as_str().unwrap();
        assert_eq!(system.mail.arrived(message_id).await.len(), 1);
    }
}

async fn orders_that_cannot_be_met_are_rejected_with_a_reason_and_take_no_stock() {
    let system = System::start().await;
    let sold_out = system.place("sold out book", 1).await;
    let unknown = system.place("book of sand", 1).await;
    let too_many = system.place("book order", 1001).await;
    for (order_id, reason) in [
        (&sold_out, "out_of_stock"),
        (&unknown, "unknown_product"),
        (&too_many, "out_of_stock"),
    ] {
        let ended = system.ended(order_id).await;
        assert_eq!(
            (&ended["status"], &ended["reason"]),
            (&json!("REJECTED"), &json!(reason))
        );
        let mails = system.mails(order_id, 2).await;
        let mut states: Vec<&str> = mails
            .iter()
            .map(|m| m["status"].as_str().unwrap())
            .collect();
        states.sort_unstable();
        assert_eq!(states, ["PENDING", "REJECTED"]);
    }
    assert_eq!(system.stock_of("book order").await, (1000, 0, 0));
}

async fn an_order_of_several_lines_is_reserved_whole_or_not_at_all() {
    let system = System::start().await;
    let lines = |second: i64| {
        json!({"items": [
            {"name": "notebook", "qty": 2, "price": 3.5},
            {"name": "fountain pen", "qty": second, "price": 120},
        ]})
    };
    let post = |body| {
        let client = system.order.clone();
        async move {
            client
                .post("/api/v1/orders", &body, &[])
                .await
                .unwrap()
                .member("orderId")
        }
    };
    let too_much = post(lines(41)).await;
    assert_eq!(system.ended(&too_much).await["reason"], "out_of_stock");
    assert_eq!(system.stock_of("notebook").await, (500, 0, 0));
    let fits = post(lines(40)).await;
    assert_eq!(system.ended(&fits).await["status"], "SHIPPED");
    system.stock_becomes("notebook", (498, 0, 2)).await;
    assert_eq!(system.stock_of("fountain pen").await, (0, 0, 40));
}

/// Rule R7: one key is one order, however often and however concurrently it is sent.
async fn an_idempotency_key_makes_one_order_and_refuses_another_content() {
    let system = System::start().await;
    let headers = [("idempotency-key", "cart-42")];
    let body = order("book order", 3);
    let posts: Vec<_> = (0..20)
        .map(|_| {
            let (client, body) = (system.order.clone(), body.clone());
            tokio::spawn(async move {
                client
                    .post("/api/v1/orders", &body, &headers)
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut ids = Vec::new();
    for post in posts {
        let answer = post.await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text);
        ids.push(answer.member("orderId"));
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(system.ended(&ids[0]).await["status"], "SHIPPED");
    system.stock_becomes("book order", (997, 0, 3)).await;
    let other = system
        .order
        .post("/api/v1/orders", &order("book order", 4), &headers)
        .await
        .unwrap();
    assert_eq!(other.status, 422, "{}", other.text);
    assert_eq!(other.content_type, "application/problem+json");

    let put = system
        .order
        .put(&format!("/api/v1/orders/{}", ids[0]), &body)
        .await
        .unwrap();
    assert_eq!((put.status, put.member("orderId")), (201, ids[0].clone()));
    assert_eq!(system.mails(&ids[0], 3).await.len(), 3);
}

async fn the_tutorials_text_is_answered_to_those_who_ask_for_text() {
    let system = System::start().await;
    let headers = [("accept", "text/plain")];
    let body = order("book order", 1);
    let answer = system
        .order
        .post("/api/v1/orders", &body, &headers)
        .await
        .unwrap();
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (201, "Order placed successfully ...")
    );
    assert!(
        answer.content_type.starts_with("text/plain"),
        "{}",
        answer.content_type
    );
}

async fn a_bad_order_is_refused_with_every_field_that_is_wrong_and_reaches_nobody() {
    let system = System::start().await;
    let body = json!({"name": "", "qty": 0, "price": 1.005, "email": "a\r\nBcc: x@example.org"});
    let answer = system
        .order
        .post("/api/v1/orders", &body, &[])
        .await
        .unwrap();
    assert_eq!(
        (answer.status, answer.content_type.as_str()),
        (422, "application/problem+json")
    );
    let json = answer.json();
    let mut fields: Vec<&str> = json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    fields.sort_unstable();
    assert_eq!(fields, ["email", "name", "price", "qty"]);
    assert_eq!(system.log.records().await, vec![]);
}
