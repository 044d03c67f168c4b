//! Services whose settings lead nowhere, or mean nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_tests::canary::Canaries;
use integration_tests::system::{SERVICES, order};
use integration_tests::{Client, DEADLINE, Process, Signal, System, eventually};
use serde_json::json;

use super::{NAMES, only_events};

/// Settings of a service with a password in each that has one, and nobody at the other ends.
fn unreachable(canaries: &Canaries) -> BTreeMap<String, String> {
    let password = |name| canaries.get(name);
    let settings = [
        (
            "DATABASE_URL",
            format!("postgres://app:{}@127.0.0.1:1/shop", password("database")),
        ),
        (
            "SMTP_URL",
            format!("smtp://shop:{}@127.0.0.1:1", password("smtp")),
        ),
        (
            "PAYMENT_GATEWAY_URL",
            format!("http://shop:{}@127.0.0.1:1/", password("gateway")),
        ),
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1".to_owned()),
        ("KAFKA_SECURITY_PROTOCOL", "sasl_plaintext".to_owned()),
        ("KAFKA_SASL_MECHANISM", "PLAIN".to_owned()),
        ("KAFKA_SASL_USERNAME", "shop".to_owned()),
        ("KAFKA_SASL_PASSWORD", password("kafka").to_owned()),
        ("HTTP_ADDRESS", "127.0.0.1".to_owned()),
        ("HTTP_PORT", "0".to_owned()),
        ("LOG_FORMAT", "json".to_owned()),
        ("LOG_LEVEL", "debug".to_owned()),
        ("RUST_BACKTRACE", "1".to_owned()),
    ];
    settings
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

pub(super) async fn secrets_of_a_service_that_cannot_reach_anything_stay_secret() {
    let canaries = Canaries::new(&NAMES);
    let folder = tempfile::tempdir().unwrap();
    let mut settings = unreachable(&canaries);
    let mut processes = Vec::new();
    for service in SERVICES {
        let output = folder.path().join(format!("{service}.log"));
        processes.push((service, Process::start(service, &settings, output)));
    }
    // A server that is there and does not know the password.
    let server = System::start().await.database("order");
    if let Some((_, place)) = server.split_once('@') {
        let url = format!("postgres://postgres:{}@{place}", canaries.get("database"));
        settings.insert("DATABASE_URL".to_owned(), url);
        let output = folder.path().join("refused.log");
        processes.push(("order", Process::start("order", &settings, output)));
    }
    for (service, process) in &mut processes {
        let client = Client::new(process.port().await);
        let report = eventually("the database is named", || async {
            let report = client.get("/health/ready").await;
            assert_eq!(report.status, 503, "{}", report.text);
            let json = report.json();
            let reason = json["components"]["database"]["reason"].as_str()?;
            (reason != "starting").then(|| report.text.clone())
        })
        .await;
        canaries.assert_none_in("/health/ready", report);
        canaries.assert_none_in("/metrics", client.get("/metrics").await.text);
        if *service == "order" {
            let mut body = order(canaries.get("product"), 1);
            body["email"] = json!(format!("{}@example.org", canaries.get("address")));
            let answer = client.post("/api/v1/orders", &body, &[]).await.unwrap();
            assert_eq!(answer.status, 503, "{}", answer.text);
            canaries.assert_none_in("the answer", answer.text);
        }
        process.signal(Signal::Terminate);
        process.ended(DEADLINE).await;
        let output = process.output();
        canaries.assert_none_in(&format!("the log of {service}"), &output);
        only_events(service, &output);
    }
}

pub(super) async fn settings_that_cannot_work_are_refused_without_their_secrets() {
    let canaries = Canaries::new(&NAMES);
    let folder = tempfile::tempdir().unwrap();
    for (number, (name, service, value)) in [
        (
            "DATABASE_URL",
            "stock",
            format!("postgres://app:{}@[db", canaries.get("database")),
        ),
        (
            "DATABASE_URL",
            "order",
            format!("mysql://app:{}@db/shop", canaries.get("database")),
        ),
        (
            "SMTP_URL",
            "email",
            format!("smtp://shop:{}@mail?tls=never", canaries.get("smtp")),
        ),
        (
            "SMTP_URL",
            "email",
            format!("smtp://:{}@", canaries.get("smtp")),
        ),
        (
            "PAYMENT_GATEWAY_URL",
            "payment",
            format!("ftp://shop:{}@pay", canaries.get("gateway")),
        ),
        (
            "KAFKA_EXTRA",
            "webhook",
            format!("sasl.password={},no.such.setting=1", canaries.get("kafka")),
        ),
        ("KAFKA_SASL_MECHANISM", "shipping", "UNHEARD-OF".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let mut settings = unreachable(&canaries);
        settings.insert(name.to_owned(), value);
        let output = folder.path().join(format!("{number}.log"));
        let mut process = Process::start(service, &settings, output);
        let status = process.ended(Duration::from_secs(30)).await;
        assert!(!status.success(), "{name}");
        let output = process.output();
        assert!(!output.is_empty(), "{name}");
        canaries.assert_none_in(name, output);
    }
}
