//! What is secret or personal goes where it has to go, and nowhere else: no log, metric, dead-letter header
//! or error answer has it.
//!
//! It may stand in the log's values and their dead letters, in mails, in what goes to the gateway and to
//! receivers of webhooks, and in the answers of these: `/api/v1/orders…` (products),
//! `/api/v1/emails` (addresses), `/api/v1/jobs` of the email service (what the mail server said),
//! `/api/v1/stock…` (products), and the one that registers a webhook (its secret).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use integration_tests::canary::Canaries;
use integration_tests::mail::Mail;
use integration_tests::smtp::{REFUSED, SmtpServer};
use integration_tests::system::{SERVICES, order};
use integration_tests::{Client, DEADLINE, Process, Signal, System, SystemBuilder, eventually};
use mailparse::parse_mail;
use serde_json::{Value, json};
use test_support::{Test, test};
use tokio::net::TcpListener;
use uuid::Uuid;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(what_is_secret_or_personal_stands_in_no_log_metric_header_or_error_answer, no database).threads(2),
        test!(secrets_of_a_service_that_cannot_reach_anything_stay_secret, no database).threads(2),
        test!(settings_that_cannot_work_are_refused_without_their_secrets, no database),
    ]
}

const NAMES: [&str; 8] = [
    "address", "product", "smtp", "database", "kafka", "gateway", "webhook", "signing",
];

const GROUPS: [&str; 7] = [
    "order",
    "stock",
    "email",
    "payment",
    "shipping",
    "webhook",
    "orders-view",
];

/// A server that takes nothing and answers with everything that it was sent.
struct Echo {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let router = Router::new().fallback(echo).with_state(Arc::clone(&asked));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked }
    }

    fn asked(&self) -> String {
        self.asked.lock().unwrap().join("\n")
    }
}

async fn echo(
    State(asked): State<Arc<Mutex<Vec<String>>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let body = String::from_utf8_lossy(&body);
    let said = format!("{method} {uri} {headers:?} {body}");
    asked.lock().unwrap().push(said.clone());
    (StatusCode::INTERNAL_SERVER_ERROR, said)
}

/// Places this order; returns its id.
async fn placed(system: &System, product: &str, email: &str) -> String {
    let mut body = order(product, 1);
    body["email"] = json!(email);
    system.place_body(&body).await
}

/// Records that nobody can use, with the texts everywhere.
fn poison(address: &str, product: &str) -> Vec<String> {
    let bare = |id: &str, qty: Value, status: &str| {
        let order = json!({
            "orderId": id, "name": product, "qty": qty, "price": 1.0, "email": address,
        });
        json!({"message": address, "status": status, "order": order}).to_string()
    };
    let id = Uuid::new_v4().to_string();
    vec![
        format!("{{\"order\": {address} {product}"),
        bare(address, json!(1), "PENDING"),
        bare(&id, json!(address), "PENDING"),
        bare(&id, json!(1), &format!("STATUS {product}")),
        // An order that is rejected: its mail is refused, too.
        bare(&id, json!(0), "PENDING").replace(address, &format!("{address}\\r\\nBcc: {address}")),
    ]
}

/// Requests of somebody who puts the right thing into the wrong place, each with its answer.
async fn mistakes(
    system: &System,
    canaries: &Canaries,
    address: &str,
) -> Vec<(String, u16, String)> {
    let (product, password) = (canaries.get("product"), canaries.get("webhook"));
    let mut answers = Vec::new();
    let paths = |client: &Client, paths: Vec<String>| {
        let client = client.clone();
        async move {
            let mut answers = Vec::new();
            for path in paths {
                let answer = client.get(&path).await;
                answers.push((path, answer.status, answer.text));
            }
            answers
        }
    };
    for (client, wrong) in [
        (
            &system.order,
            vec![
                format!("/{address}"),
                format!("/api/v1/orders/{address}"),
                format!("/api/v1/orders/{address}/events"),
                format!("/api/v1/orders?status={product}"),
                format!("/api/v1/orders?limit={address}"),
                format!("/api/v1/orders?cursor={product}"),
                format!("/api/v1/orders/{}?wait={product}", Uuid::nil()),
            ],
        ),
        (
            &system.stock[0],
            vec![
                format!("/api/v1/stock/no-{product}"),
                format!("/api/v1/stock/%ff{product}"),
            ],
        ),
        (
            &system.email,
            vec![
                format!("/api/v1/emails?orderId={address}"),
                format!("/api/v1/jobs?state={product}"),
                format!("/api/v1/jobs/{address}"),
            ],
        ),
        (&system.payment, vec![format!("/api/v1/payments/{address}")]),
        (
            &system.shipping,
            vec![format!("/api/v1/shipments/{address}")],
        ),
        (&system.webhook, vec![format!("/api/v1/webhooks/{address}")]),
    ] {
        answers.extend(paths(client, wrong).await);
    }
    let orders = "/api/v1/orders";
    for (body, key) in [
        (json!({"name": product, "qty": address, "price": 1}), "a"),
        (
            json!({"name": product, "qty": 0, "price": 1, "email": format!("{address}\r\nBcc: {address}")}),
            "b",
        ),
        (
            json!({"name": format!("{product}\0"), "qty": 1, "price": product}),
            "c",
        ),
        (
            json!({"name": product, "qty": 1, "price": 1, "items": [{"name": address, "qty": product, "price": 1}]}),
            "d",
        ),
        (json!([address, product]), "e"),
        (json!(address), "f"),
        (
            json!({"name": product, "qty": 2, "price": 1, "email": address}),
            "used",
        ),
    ] {
        let answer = system
            .order
            .post(orders, &body, &[("idempotency-key", key)])
            .await
            .unwrap();
        answers.push((body.to_string(), answer.status, answer.text));
    }
    let wrong = json!({"available": address});
    let answer = system.stock[0]
        .put(&format!("/api/v1/stock/{product}"), &wrong)
        .await
        .unwrap();
    answers.push((wrong.to_string(), answer.status, answer.text));
    for wrong in [
        json!({"url": format!("ftp://hook:{password}@receiver.example/{password}")}),
        json!({"url": format!("http://hook:{password}@[receiver/{password}")}),
        json!({"url": "http://receiver.example/", "states": [product]}),
        json!({"url": "http://receiver.example/", "secret": format!("whsec_{password}!")}),
        json!({"url": "http://receiver.example/", "secret": {"is": password}}),
    ] {
        let answer = system
            .webhook
            .post("/api/v1/webhooks", &wrong, &[])
            .await
            .unwrap();
        answers.push((wrong.to_string(), answer.status, answer.text));
    }
    answers
}

async fn what_is_secret_or_personal_stands_in_no_log_metric_header_or_error_answer() {
    let canaries = Canaries::new(&NAMES);
    let (product, address) = (
        canaries.get("product"),
        format!("{}@example.org", canaries.get("address")),
    );
    let (smtp, gateway, receiver) = (
        SmtpServer::start().await,
        Echo::start().await,
        Echo::start().await,
    );
    let mail = Mail::Server {
        url: format!("smtp://shop:{}@{}", canaries.get("smtp"), smtp.address()),
        api: Client::new(0),
    };
    let gateway_url = format!(
        "http://shop:{}@{}/charges",
        canaries.get("gateway"),
        gateway.address
    );
    let mut system = SystemBuilder::new()
        .mail_to(mail)
        .set("PAYMENT_GATEWAY_URL", &gateway_url)
        .set("WEBHOOK_ALLOW_HTTP", "true")
        .set("LOG_FORMAT", "json")
        .set("LOG_LEVEL", "debug")
        .start()
        .await;
    let secret = STANDARD.encode(canaries.get("signing"));
    let token = canaries.get("webhook");
    let hook = json!({
        "url": format!("http://hook:{token}@{}/{token}?token={token}", receiver.address),
        "secret": format!("whsec_{secret}"),
    });
    let registered = system
        .webhook
        .post("/api/v1/webhooks", &hook, &[])
        .await
        .unwrap();
    assert_eq!(registered.status, 201, "{}", registered.text);

    // Products that are in stock wait for the gateway; the others are rejected.
    let available = json!({"available": 100});
    let stocked = system.stock[0]
        .put(&format!("/api/v1/stock/{product}"), &available)
        .await
        .unwrap();
    assert_eq!(stocked.status, 201, "{}", stocked.text);
    let used = [("idempotency-key", "used")];
    let body = json!({"name": product, "qty": 1, "price": 1, "email": address});
    assert_eq!(
        system
            .order
            .post("/api/v1/orders", &body, &used)
            .await
            .unwrap()
            .status,
        201
    );
    let waits = placed(&system, product, &address).await;
    let rejected = placed(&system, &format!("no {product}"), &address).await;
    let refused = placed(&system, product, &format!("{REFUSED}{address}")).await;
    let poison = poison(&address, product);
    for record in &poison {
        system.log.append_bare(record.as_bytes()).await;
    }
    let mut letters = Vec::new();
    for group in GROUPS {
        let group = system.group(group);
        letters.extend(
            eventually("dead letters", || async {
                let letters = system.log.dead_letters(&group).await;
                (letters.len() >= 2).then_some(letters)
            })
            .await,
        );
    }
    assert_eq!(system.ended(&rejected).await["status"], "REJECTED");
    system.reached(&waits, "RESERVED").await;
    system.mails(&rejected, 2).await;
    let jobs = format!("/api/v1/jobs?orderId={refused}&state=dead");
    eventually("refused mail", || async {
        let answer = system.email.get(&jobs).await;
        (answer.status == 200 && answer.text.contains("no such user")).then_some(())
    })
    .await;
    eventually("gateway and receiver are asked", || async {
        let asked = !gateway.asked().is_empty() && !receiver.asked().is_empty();
        asked.then_some(())
    })
    .await;
    let mistakes = mistakes(&system, &canaries, &address).await;

    // They are where they have to be.
    let said = smtp.said();
    let logged_in = said
        .iter()
        .find(|line| line.starts_with("AUTH PLAIN "))
        .unwrap();
    assert_eq!(canaries.found_in(logged_in), ["smtp"]);
    let message = said.join("\r\n");
    let message = &message[message.find("From: ").unwrap()..];
    let body = parse_mail(message.as_bytes()).unwrap();
    let first = body.subparts[0].get_body().unwrap();
    assert_eq!(canaries.found_in(first), ["product"]);
    assert!(canaries.found_in(said.join("\n")).contains(&"address"));
    assert!(
        canaries.found_in(gateway.asked()).contains(&"gateway"),
        "{}",
        gateway.asked()
    );
    assert!(
        canaries.found_in(receiver.asked()).contains(&"webhook"),
        "{}",
        receiver.asked()
    );
    assert_eq!(canaries.found_in(&registered.text), ["signing"]);
    let values = system
        .log
        .records()
        .await
        .into_iter()
        .filter_map(|record| record.value);
    assert_eq!(
        canaries.found_in(values.collect::<Vec<_>>().concat()),
        ["address", "product"]
    );
    let dead = letters.iter().filter_map(|letter| letter.value.clone());
    assert_eq!(
        canaries.found_in(dead.collect::<Vec<_>>().concat()),
        ["address", "product"]
    );
    let mut unexpected = Vec::new();
    for (client, path, shown) in [
        (
            &system.order,
            format!("/api/v1/orders/{waits}"),
            &["product"][..],
        ),
        (
            &system.email,
            format!("/api/v1/emails?orderId={rejected}"),
            &["address"],
        ),
        (&system.email, jobs, &["address"]),
        (&system.stock[0], "/api/v1/stock".to_owned(), &["product"]),
        (&system.payment, format!("/api/v1/payments/{waits}"), &[]),
        (&system.webhook, "/api/v1/webhooks".to_owned(), &[]),
    ] {
        let answer = client.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        let found = canaries.found_in(&answer.text);
        if found != shown {
            unexpected.push(format!("{found:?} in {path}: {}", answer.text));
        }
    }

    // And nowhere else.
    let mut leaks = unexpected;
    for (request, status, text) in &mistakes {
        if !(400..500).contains(status) {
            leaks.push(format!("{status} to {request}: {text}"));
        }
        leaks.extend(canaries.leak_in(&format!("the answer to {request}"), text));
    }
    for letter in &letters {
        for (name, value) in &letter.headers {
            leaks.extend(canaries.leak_in(name, value));
            leaks.extend(canaries.leak_in("the name of a header", name));
        }
    }
    for client in system.clients() {
        for path in ["/metrics", "/health/ready", "/health/live", "/openapi.json"] {
            leaks.extend(canaries.leak_in(path, client.get(path).await.text));
        }
    }
    system.terminate().await;
    let outputs = system.outputs();
    assert_eq!(outputs.len(), SERVICES.len());
    for (process, output) in &outputs {
        assert!(output.lines().count() > 10, "{process}: {output}");
        leaks.extend(canaries.leak_in(&format!("the log of {process}"), output));
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
    let planted = format!("{} {{\"user\":\"{address}\"}}", outputs["email-2"]);
    assert_eq!(canaries.found_in(planted), ["address"]);
}

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

async fn secrets_of_a_service_that_cannot_reach_anything_stay_secret() {
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

/// Every line is one event as JSON.
pub(crate) fn only_events(process: &str, output: &str) {
    assert!(output.ends_with('\n'), "{process}: {output}");
    for line in output.lines() {
        let event: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{process}: {error}: {line:?}"));
        for member in ["timestamp", "level", "message", "target"] {
            assert!(event[member].is_string(), "{process}: no {member}: {line}");
        }
        assert!(!line.contains(char::is_control), "{process}: {line:?}");
    }
}

async fn settings_that_cannot_work_are_refused_without_their_secrets() {
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
