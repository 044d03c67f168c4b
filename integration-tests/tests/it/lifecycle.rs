//! Start, readiness and end of the processes.

use std::time::Duration;

use integration_tests::system::PROCESSES;
use integration_tests::{Signal, System};
use test_support::{Test, test};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_terminated_service_ends_cleanly_and_its_successor_takes_over, no database),
        test!(services_log_the_event_as_the_tutorial_does_and_no_personal_data, no database),
    ]
}

async fn a_terminated_service_ends_cleanly_and_its_successor_takes_over() {
    let mut system = System::start().await;
    let first = system.place("book order", 2).await;
    assert_eq!(system.ended(&first).await["status"], "SHIPPED");
    assert_eq!(system.mails(&first, 3).await.len(), 3);
    for (name, signal) in [
        ("stock-0", Signal::Terminate),
        ("email", Signal::Interrupt),
        ("order", Signal::Terminate),
        ("payment", Signal::Interrupt),
        ("shipping", Signal::Terminate),
        ("webhook", Signal::Interrupt),
    ] {
        system.process(name).signal(signal);
        let status = system.process(name).ended(Duration::from_secs(20)).await;
        assert_eq!(status.code(), Some(0), "{}", system.process(name).output());
        system.spawn(name).await;
    }
    system.until_ready().await;
    let second = system.place("book order", 3).await;
    assert_eq!(system.ended(&second).await["status"], "SHIPPED");
    system.stock_becomes("book order", (995, 0, 5)).await;
    assert_eq!(system.mails(&second, 3).await.len(), 3);
    let mailed = system.mails(&first, 3).await.len();
    assert_eq!(mailed, 3, "mailed once, before the restart");
}

async fn services_log_the_event_as_the_tutorial_does_and_no_personal_data() {
    let mut system = System::start().await;
    let mut body = integration_tests::system::order("book order", 1);
    body["email"] = "canary-address@example.org".into();
    let answer = system
        .order
        .post("/api/v1/orders", &body, &[])
        .await
        .unwrap();
    let order_id = answer.member("orderId");
    system.ended(&order_id).await;
    system.mails(&order_id, 3).await;
    for (name, service) in [
        ("stock-0", "stock"),
        ("email", "email"),
        ("payment", "payment"),
        ("shipping", "shipping"),
    ] {
        let output = system.process(name).output();
        let line = format!("Order event received in {service} service =>");
        assert!(
            output
                .lines()
                .any(|l| l.contains(&line) && l.contains(&order_id)),
            "{output}"
        );
    }
    for name in PROCESSES {
        assert!(
            !system.process(name).output().contains("canary-address"),
            "in {name}"
        );
    }
}
