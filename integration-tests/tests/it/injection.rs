//! Names and addresses that try to be more than text: log lines and mails stay what they are.

use integration_tests::system::order;
use integration_tests::{System, SystemBuilder, eventually};
use serde_json::{Value, json};
use test_support::{Test, test};
use uuid::Uuid;

use crate::leaks::only_events;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(whatever_a_name_or_an_address_holds_a_log_line_is_one_event_and_a_mail_one_mail, no database)
            .threads(2),
    ]
}

/// Begins every hostile name, so that its mails can be told from others.
const BEFORE: &str = "book";

fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "\r\n{\"level\":\"INFO\",\"message\":\"forged\"}\r\nx",
        "\n\nx",
        "\u{1b}[2J\u{1b}[31mred\u{1b}]0;title\u{7}x",
        "\u{9b}31mx",
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "</td></table><a href=\"http://evil.example\">x</a>",
        "{{7*7}} ${7*7} {% include \"/etc/passwd\" %} #{7*7} <%= 7*7 %>",
        "\u{202e}gpj.exe\u{2066}x\u{2069}",
        "zero\u{200b}width\u{feff}\u{2060}x",
        "\0x",
        "\r\nBcc: eve@example.net\r\n\r\nx",
        "=?utf-8?q?=0D=0ABcc:_eve@example.net?=",
        "\u{2028}\u{2029}\u{85}x",
        "\\\" , \"level\":\"ERROR\", \"a\":\"",
    ]
    .map(|text| format!("{BEFORE} {text}"))
    .to_vec();
    texts.push(format!("{BEFORE} {}", "x".repeat(60_000)));
    texts
}

/// Addresses with which somebody else could get the mail, or another header.
fn hostile_addresses() -> Vec<String> {
    let mut texts: Vec<String> = [
        "a@example.org\r\nBcc: eve@example.net",
        "a@example.org, eve@example.net",
        "Ann <a@example.org>",
        "a@example.org\0",
        "\u{1b}[31ma@example.org",
        "a\u{202e}b@example.org",
        "a\u{200b}b@example.org",
        "{{7*7}} @example.org",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push(format!("{}@example.org", "x".repeat(60_000)));
    texts
}

fn bare(order_id: &str, name: &str, email: Option<&str>) -> String {
    let order = json!({"orderId": order_id, "name": name, "qty": 1, "price": 1.0, "email": email});
    json!({"message": name, "status": "PENDING", "order": order}).to_string()
}

/// By the API where it takes them, and past it: orders with an id, and what they ask for.
async fn all_placed(system: &System) -> Vec<(String, String)> {
    let mut orders = Vec::new();
    for name in hostile() {
        let answer = system
            .order
            .post("/api/v1/orders", &order(&name, 1), &[])
            .await
            .unwrap();
        match answer.status {
            201 => orders.push((answer.member("orderId"), name.clone())),
            status => assert_eq!(status, 422, "{}", answer.text),
        }
        let order_id = Uuid::new_v4().to_string();
        let record = bare(&order_id, &name, None);
        system.log.append_bare(record.as_bytes()).await;
        orders.push((order_id, name));
    }
    orders
}

async fn whatever_a_name_or_an_address_holds_a_log_line_is_one_event_and_a_mail_one_mail() {
    let mut system = SystemBuilder::new()
        .set("LOG_FORMAT", "json")
        .set("LOG_LEVEL", "debug")
        .set("EMAIL_DEFAULT_RECIPIENT", "desk@shop.example")
        // The mail server is everybody's, and may be busy.
        .set("EMAIL_RETRY_MAX_DELAY", "1s")
        .start()
        .await;
    let plain = system.place(&format!("{BEFORE} of no kind"), 1).await;
    assert_eq!(system.ended(&plain).await["status"], "REJECTED");
    let orders = all_placed(&system).await;
    let mut refused = Vec::new();
    for email in hostile_addresses() {
        let mut body = order("notebook", 1);
        body["email"] = json!(email);
        let answer = system
            .order
            .post("/api/v1/orders", &body, &[])
            .await
            .unwrap();
        assert_eq!(answer.status, 422, "{email:?}: {}", answer.text);
        let order_id = Uuid::new_v4().to_string();
        system
            .log
            .append_bare(bare(&order_id, "notebook", Some(&email)).as_bytes())
            .await;
        refused.push(order_id);
    }

    for (order_id, name) in &orders {
        assert_eq!(
            system.ended(order_id).await["status"],
            "REJECTED",
            "{name:?}"
        );
        for listed in system.mails(order_id, 2).await {
            only_text(&system, order_id, name, &listed).await;
        }
    }
    // Nobody gets the mail of an address that is none.
    for order_id in &refused {
        assert_eq!(system.ended(order_id).await["status"], "REJECTED");
        let path = format!("/api/v1/emails?orderId={order_id}");
        let mails = eventually("end of the mails", || async {
            let json = system.email.get(&path).await.json();
            let mails = json["emails"].as_array().cloned()?;
            let ended = |mail: &Value| mail["state"] != "due" && mail["state"] != "leased";
            (mails.len() == 2 && mails.iter().all(ended)).then_some(mails)
        })
        .await;
        for listed in mails {
            assert_eq!(listed["state"], "dead", "{listed}");
            let arrived = system
                .mail
                .arrived(listed["messageId"].as_str().unwrap())
                .await;
            assert_eq!(arrived, []);
        }
    }
    system.terminate().await;
    for (process, output) in system.outputs() {
        only_events(&process, &output);
        assert!(!output.contains("forged"), "{process} logs names");
    }
}

/// One mail, to its one recipient, in which the name is text.
async fn only_text(system: &System, order_id: &str, name: &str, listed: &Value) {
    let message_id = listed["messageId"].as_str().unwrap();
    let arrived = system.mail.arrived(message_id).await;
    let [mail] = &arrived[..] else {
        panic!("{} mails", arrived.len())
    };
    assert_eq!(mail.recipients, ["desk@shop.example"]);
    assert!(
        mail.subject.starts_with(&format!("Your order {order_id} ")),
        "{}",
        mail.subject
    );
    for tag in ["<script", "<img", "<a "] {
        assert!(!mail.html.contains(tag), "{}", mail.html);
    }
    let control = |c: char| c.is_control() && c != '\n';
    assert!(
        !mail.text.contains(control) && !mail.html.contains(control),
        "{:?}",
        mail.text
    );
    assert!(!mail.text.contains("\nBcc:"), "{}", mail.text);
    if name.contains("{{") {
        let shown = "{{7*7}} ${7*7} {% include \"/etc/passwd\" %} #{7*7} <%= 7*7 %>";
        assert!(mail.text.contains(shown), "{}", mail.text);
    }
    assert_eq!(
        mail.text.matches(&format!("{BEFORE} ")).count(),
        1,
        "{}",
        mail.text
    );
}
