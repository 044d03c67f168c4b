//! The mail of an order as it arrives: on the Mailpit, else as a file.

use integration_tests::mail::Arrived;
use integration_tests::system::order;
use integration_tests::{System, SystemBuilder};
use serde_json::json;
use test_support::{Test, test};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(the_mail_of_an_order_arrives_with_the_subject_the_parts_and_the_id_that_were_listed, no database),
        test!(a_rejection_is_mailed_with_its_reason_in_words, no database),
        test!(the_mail_of_an_order_without_an_address_goes_to_the_configured_recipient, no database),
        test!(what_a_customer_writes_is_text_in_both_parts, no database),
    ]
}

/// The one mail about `status` that arrived, as the email service lists it.
async fn arrived(system: &System, order_id: &str, status: &str, of: usize) -> Arrived {
    let listed = system.mails(order_id, of).await;
    let listed = listed.iter().find(|mail| mail["status"] == status).unwrap();
    let message_id = listed["messageId"].as_str().unwrap();
    let mut arrived = system.mail.arrived(message_id).await;
    assert_eq!(arrived.len(), 1, "{status}");
    let mail = arrived.remove(0);
    assert_eq!(mail.subject, listed["subject"].as_str().unwrap());
    assert_eq!(mail.recipients, [listed["recipient"].as_str().unwrap()]);
    mail
}

async fn the_mail_of_an_order_arrives_with_the_subject_the_parts_and_the_id_that_were_listed() {
    let system = SystemBuilder::new()
        .set("EMAIL_FROM", "Orders <orders@shop.example>")
        .start()
        .await;
    let mut body = order("book order", 5);
    body["email"] = json!("reader@example.org");
    let order_id = system.place_body(&body).await;

    let mail = arrived(&system, &order_id, "PENDING", 3).await;
    assert_eq!(mail.from, "orders@shop.example");
    assert_eq!(mail.recipients, ["reader@example.org"]);
    assert_eq!(mail.subject, format!("Your order {order_id} was received"));
    let id = mail.message_id;
    assert!(id.starts_with(&format!("<{order_id}.pending.")), "{id}");
    assert!(id.ends_with("@shop.example>"), "{id}");
    for said in [
        "We received your order.",
        &order_id,
        "book order",
        "10000.00",
        "50000.00",
    ] {
        assert!(mail.text.contains(said), "{said}: {}", mail.text);
    }
    assert!(!mail.text.contains('<'), "{}", mail.text);
    for said in [
        "We received your order</h1>",
        &order_id,
        "book order",
        "50000.00",
    ] {
        assert!(mail.html.contains(said), "{said}: {}", mail.html);
    }
}

async fn a_rejection_is_mailed_with_its_reason_in_words() {
    let system = System::start().await;
    let order_id = system.place("sold out book", 1).await;
    let received = arrived(&system, &order_id, "PENDING", 2).await;
    let rejected = arrived(&system, &order_id, "REJECTED", 2).await;
    assert_ne!(received.message_id, rejected.message_id);
    let subject = format!("Your order {order_id} could not be accepted");
    assert_eq!(rejected.subject, subject);
    let reason = "We do not have as many pieces in stock as you ordered.";
    assert!(rejected.text.contains(reason), "{}", rejected.text);
    assert!(rejected.html.contains(reason), "{}", rejected.html);
}

async fn the_mail_of_an_order_without_an_address_goes_to_the_configured_recipient() {
    let system = SystemBuilder::new()
        .set("EMAIL_DEFAULT_RECIPIENT", "desk@shop.example")
        .start()
        .await;
    let order_id = system.place("book order", 1).await;
    let mail = arrived(&system, &order_id, "PENDING", 3).await;
    assert_eq!(mail.recipients, ["desk@shop.example"]);
}

async fn what_a_customer_writes_is_text_in_both_parts() {
    let system = System::start().await;
    let name = "Größe 5 <b>& more</b>";
    let order_id = system.place(name, 1).await;
    let mail = arrived(&system, &order_id, "PENDING", 2).await;
    assert!(mail.text.contains(name), "{}", mail.text);
    assert!(!mail.html.contains("<b>"), "{}", mail.html);
    assert!(mail.html.contains("Größe 5 &"), "{}", mail.html);
}
