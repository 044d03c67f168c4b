//! Start, readiness and end of the processes.

use std::time::Duration;

use integration_tests::{Signal, System};
use test_support::{Test, test};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_terminated_service_ends_cleanly_and_its_successor_takes_over, no database),
        test!(stock_and_email_log_the_event_as_the_tutorial_does_and_no_personal_data, no database),
    ]
}

async fn a_terminated_service_ends_cleanly_and_its_successor_takes_over() {
    let mut system = System::start().await;
    let first = system.place("book order", 2).await;
    assert_eq!(system.settled(&first).await["status"], "RESERVED");
    for (service, name, signal) in [
        ("stock", "stock-0", Signal::Terminate),
        ("email", "email", Signal::Interrupt),
        ("order", "order", Signal::Terminate),
    ] {
        system.process(name).signal(signal);
        let status = system.process(name).ended(Duration::from_secs(20)).await;
        assert_eq!(status.code(), Some(0), "{}", system.process(name).output());
        let client = system.spawn(service, name).await;
        match service {
            "stock" => system.stock[0] = client,
            "email" => system.email = client,
            _ => system.order = client,
        }
    }
    system.until_ready().await;
    let second = system.place("book order", 3).await;
    assert_eq!(system.settled(&second).await["status"], "RESERVED");
    assert_eq!(system.stock_of("book order").await, (995, 5, 0));
    assert_eq!(system.mails(&second, 1).await.len(), 1);
    assert_eq!(
        system.mails(&first, 1).await.len(),
        1,
        "mailed once, before the restart"
    );
}

async fn stock_and_email_log_the_event_as_the_tutorial_does_and_no_personal_data() {
    let mut system = System::start().await;
    let mut body = integration_tests::system::order("book order", 1);
    body["email"] = "canary-address@example.org".into();
    let answer = system
        .order
        .post("/api/v1/orders", &body, &[])
        .await
        .unwrap();
    let order_id = answer.member("orderId");
    system.settled(&order_id).await;
    system.mails(&order_id, 1).await;
    for (name, service) in [("stock-0", "stock"), ("email", "email")] {
        let output = system.process(name).output();
        let line = format!("Order event received in {service} service =>");
        assert!(
            output
                .lines()
                .any(|l| l.contains(&line) && l.contains(&order_id)),
            "{output}"
        );
    }
    for name in ["order", "stock-0", "email"] {
        assert!(
            !system.process(name).output().contains("canary-address"),
            "in {name}"
        );
    }
}
