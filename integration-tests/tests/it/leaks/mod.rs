//! What is secret or personal goes where it has to go, and nowhere else: no log, metric, dead-letter header
//! or error answer has it.
//!
//! It may stand in the log's values and their dead letters, in mails, in what goes to the gateway and to
//! receivers of webhooks, and in the answers of these: `/api/v1/orders…` (products),
//! `/api/v1/emails` (addresses), `/api/v1/jobs` of the email service (what the mail server said),
//! `/api/v1/stock…` (products), and the one that registers a webhook (its secret).

mod echo;
mod mistakes;
mod unreachable;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use integration_tests::canary::Canaries;
use integration_tests::mail::Mail;
use integration_tests::smtp::{REFUSED, SmtpServer};
use integration_tests::system::{GROUPS, SERVICES};
use integration_tests::{Client, System, SystemBuilder, eventually};
use mailparse::parse_mail;
use serde_json::{Value, json};
use service_runtime::kafka::Record;
use test_support::{Test, test};

use echo::Echo;
use mistakes::{mistakes, poison};
use unreachable::{
    secrets_of_a_service_that_cannot_reach_anything_stay_secret,
    settings_that_cannot_work_are_refused_without_their_secrets,
};

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

/// A system with a secret wherever it has one, and those that it talks to.
struct World {
    canaries: Canaries,
    address: String,
    system: System,
    smtp: SmtpServer,
    gateway: Echo,
    receiver: Echo,
}

/// What went through it.
struct Done {
    /// In stock, waits for the gateway.
    waits: String,
    rejected: String,
    /// `GET` of the job of a mail that was refused.
    refused_mail: String,
    /// The answer that shows the webhook's secret.
    registered: String,
    letters: Vec<Record>,
    mistakes: Vec<(String, u16, String)>,
}

async fn what_is_secret_or_personal_stands_in_no_log_metric_header_or_error_answer() {
    let mut world = World::start().await;
    let done = world.work().await;
    world.is_where_it_has_to_be(&done).await;
    let mut leaks = world.shown_too_much(&done).await;
    leaks.extend(world.leaks(&done).await);
    world.system.terminate().await;
    let outputs = world.system.outputs();
    assert_eq!(outputs.len(), SERVICES.len());
    for (process, output) in &outputs {
        assert!(output.lines().count() > 10, "{process}: {output}");
        leaks.extend(
            world
                .canaries
                .leak_in(&format!("the log of {process}"), output),
        );
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
    let planted = format!("{} {{\"user\":\"{}\"}}", outputs["email-2"], world.address);
    assert_eq!(world.canaries.found_in(planted), ["address"]);
}

impl World {
    async fn start() -> Self {
        let canaries = Canaries::new(&NAMES);
        let (smtp, gateway, receiver) = (
            SmtpServer::start().await,
            Echo::start().await,
            Echo::start().await,
        );
        let mail = Mail::Server {
            url: format!("smtp://shop:{}@{}", canaries.get("smtp"), smtp.address()),
            api: Client::new(0),
        };
        let password = canaries.get("gateway");
        let gateway_url = format!("http://shop:{password}@{}/charges", gateway.address);
        let system = SystemBuilder::new()
            .mail_to(mail)
            .set("PAYMENT_GATEWAY_URL", &gateway_url)
            .set("WEBHOOK_ALLOW_HTTP", "true")
            .set("LOG_FORMAT", "json")
            .set("LOG_LEVEL", "debug")
            .start()
            .await;
        Self {
            address: format!("{}@example.org", canaries.get("address")),
            canaries,
            system,
            smtp,
            gateway,
            receiver,
        }
    }

    /// Registers a webhook; gives the answer.
    async fn register(&self) -> String {
        let secret = STANDARD.encode(self.canaries.get("signing"));
        let (token, address) = (self.canaries.get("webhook"), &self.receiver.address);
        let hook = json!({
            "url": format!("http://hook:{token}@{address}/{token}?token={token}"),
            "secret": format!("whsec_{secret}"),
        });
        let answer = self.system.webhook.post("/api/v1/webhooks", &hook, &[]);
        let answer = answer.await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.text
    }

    /// Places an order; gives its id.
    async fn place(&self, product: &str, email: &str, key: &str) -> String {
        let body = json!({"name": product, "qty": 1, "price": 1, "email": email});
        let key = [("idempotency-key", key)];
        let answer = self.system.order.post("/api/v1/orders", &body, &key);
        let answer = answer.await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.member("orderId")
    }

    /// Orders that wait, are rejected and whose mail is refused, poison, and mistakes.
    async fn work(&self) -> Done {
        let (system, address) = (&self.system, &self.address);
        let product = self.canaries.get("product");
        let registered = self.register().await;
        let path = format!("/api/v1/stock/{product}");
        let available = json!({"available": 100});
        let stocked = system.stock[0].put(&path, &available);
        assert_eq!(stocked.await.unwrap().status, 201);
        let waits = self.place(product, address, "used").await;
        let rejected = self.place(&format!("no {product}"), address, "1").await;
        let nobody = format!("{REFUSED}{address}");
        let refused = self.place(product, &nobody, "2");
        let refused_mail = format!("/api/v1/jobs?orderId={}&state=dead", refused.await);
        for record in &poison(address, product) {
            system.log.append_bare(record.as_bytes()).await;
        }
        let letters = self.letters().await;
        assert_eq!(system.ended(&rejected).await["status"], "REJECTED");
        system.reached(&waits, "RESERVED").await;
        system.mails(&rejected, 2).await;
        eventually("refused mail, and failing gateway and receiver", || async {
            let asked = !self.gateway.asked().is_empty() && !self.receiver.asked().is_empty();
            let answer = system.email.get(&refused_mail).await;
            (asked && answer.text.contains("no such user")).then_some(())
        })
        .await;
        Done {
            waits,
            rejected,
            refused_mail,
            registered,
            letters,
            mistakes: mistakes(system, &self.canaries, address).await,
        }
    }

    async fn letters(&self) -> Vec<Record> {
        let mut all = Vec::new();
        for group in GROUPS {
            let group = self.system.group(group);
            let letters = eventually("dead letters", || async {
                let letters = self.system.log.dead_letters(&group).await;
                (letters.len() >= 3).then_some(letters)
            });
            all.extend(letters.await);
        }
        all
    }

    async fn is_where_it_has_to_be(&self, done: &Done) {
        let (canaries, said) = (&self.canaries, self.smtp.said());
        let login = said.iter().find(|line| line.starts_with("AUTH PLAIN "));
        assert_eq!(canaries.found_in(login.unwrap()), ["smtp"]);
        let message = said.join("\r\n");
        let message = &message[message.find("From: ").unwrap()..];
        let mail = parse_mail(message.as_bytes()).unwrap();
        let text = mail.subparts[0].get_body().unwrap();
        assert_eq!(canaries.found_in(text), ["product"]);
        let (gateway, receiver) = (self.gateway.asked(), self.receiver.asked());
        for (name, text) in [
            ("address", said.concat()),
            ("gateway", gateway),
            ("webhook", receiver),
        ] {
            assert!(canaries.found_in(&text).contains(&name), "{text}");
        }
        assert_eq!(canaries.found_in(&done.registered), ["signing"]);
        let records = self.system.log.records().await;
        for records in [&records, &done.letters] {
            let values = records.iter().filter_map(|record| record.value.clone());
            let values: Vec<Vec<u8>> = values.collect();
            assert_eq!(canaries.found_in(values.concat()), ["address", "product"]);
        }
    }

    /// Which endpoints show what they should not, or do not show what they should.
    async fn shown_too_much(&self, done: &Done) -> Vec<String> {
        let (
            system,
            Done {
                waits, rejected, ..
            },
        ) = (&self.system, done);
        let mut wrong = Vec::new();
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
            (&system.email, done.refused_mail.clone(), &["address"]),
            (&system.stock[0], "/api/v1/stock".to_owned(), &["product"]),
            (&system.payment, format!("/api/v1/payments/{waits}"), &[]),
            (&system.webhook, "/api/v1/webhooks".to_owned(), &[]),
        ] {
            let answer = client.get(&path).await;
            assert_eq!(answer.status, 200, "{path}");
            let found = self.canaries.found_in(&answer.text);
            if found != shown {
                wrong.push(format!("{found:?} in {path}: {}", answer.text));
            }
        }
        wrong
    }

    /// In error answers, headers of dead letters, and what operators look at.
    async fn leaks(&self, done: &Done) -> Vec<String> {
        let (canaries, mut leaks) = (&self.canaries, Vec::new());
        for (request, status, text) in &done.mistakes {
            if !(400..500).contains(status) {
                leaks.push(format!("{status} to {request}: {text}"));
            }
            leaks.extend(canaries.leak_in(&format!("the answer to {request}"), text));
        }
        for (name, value) in done.letters.iter().flat_map(|letter| &letter.headers) {
            leaks.extend(canaries.leak_in(name, value));
            leaks.extend(canaries.leak_in("the name of a header", name));
        }
        for client in self.system.clients() {
            for path in ["/metrics", "/health/ready", "/health/live", "/openapi.json"] {
                leaks.extend(canaries.leak_in(path, client.get(path).await.text));
            }
        }
        leaks
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
