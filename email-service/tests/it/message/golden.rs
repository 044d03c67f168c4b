//! The mails that people get, word for word.

use base_domains::{OrderStatus, WireOrder, reason};
use email_service::message::Outgoing;
use serde_json::json;

use crate::support::{ORDER, mail, order, parsed::Parsed};

fn sent(status: OrderStatus, order: WireOrder, reason: Option<&str>) -> Parsed {
    let from = "Orders <orders@example.com>".parse().unwrap();
    let mail = mail(status, order, reason);
    let message = Outgoing::compose(&from, &mail, mail.recipient.as_deref().unwrap()).unwrap();
    Parsed::read(&message.bytes())
}

#[test]
fn a_mail_has_these_headers() {
    let message = sent(OrderStatus::Paid, order("ann@example.org"), None);
    let headers: Vec<(&str, &str)> = message
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let id = format!("<{ORDER}.paid.event-1@example.com>");
    assert_eq!(
        headers[..8],
        [
            ("From", "Orders <orders@example.com>"),
            ("To", "ann@example.org"),
            ("Subject", &*format!("Your order {ORDER} is paid")),
            ("Message-ID", &*id),
            ("Date", "Thu, 01 Jan 2026 00:00:00 +0000"),
            ("Auto-Submitted", "auto-generated"),
            ("MIME-Version", "1.0"),
            ("Content-Type", message.header("Content-Type")),
        ]
    );
    assert_eq!(headers.len(), 8);
    assert!(message.header("Content-Type").starts_with("multipart/alternative; "));
}

#[test]
fn the_text_comes_first_and_reads_well() {
    let parts = sent(OrderStatus::Paid, order("ann@example.org"), None).parts();
    assert_eq!(parts[0].header("Content-Type"), "text/plain; charset=utf-8");
    assert_eq!(parts[0].text(), include_str!("../../golden/paid.txt").trim_end());
}

#[test]
fn the_html_says_the_same() {
    let parts = sent(OrderStatus::Paid, order("ann@example.org"), None).parts();
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[1].header("Content-Type"), "text/html; charset=utf-8");
    assert_eq!(parts[1].text(), include_str!("../../golden/paid.html").trim_end());
}

#[test]
fn a_rejection_says_why_and_shows_every_line() {
    let order = serde_json::from_value(json!({"orderId": ORDER, "name": "book", "qty": 2,
        "price": 10.5, "email": "ann@example.org",
        "items": [{"name": "book", "qty": 2, "price": 10.5}, {"name": "lámpara", "qty": 1, "price": 3.0}]}));
    let message = sent(OrderStatus::Rejected, order.unwrap(), Some(reason::OUT_OF_STOCK));
    assert_eq!(
        message.parts()[0].text(),
        include_str!("../../golden/rejected.txt").trim_end()
    );
    assert!(message.parts()[1].text().contains("as many pieces in stock as you ordered."));
}

#[test]
fn every_state_has_words_of_its_own_and_its_order() {
    let mut seen = std::collections::BTreeSet::new();
    for status in OrderStatus::ALL {
        let message = sent(status, order("ann@example.org"), None);
        assert!(seen.insert(message.header("Subject").to_owned()));
        for part in message.parts() {
            let text = part.text();
            assert!(text.contains(ORDER) && text.contains("book order"), "{text}");
            assert!(text.contains("10000.00") && text.contains("50000.00"), "{text}");
            assert!(!text.contains("http"), "nothing is loaded from elsewhere: {text}");
            assert!(seen.insert(text));
        }
    }
}

#[test]
fn an_invalid_order_is_shown_as_it_was_sent_without_a_total() {
    let mut order = order("ann@example.org");
    order.qty = 0;
    order.price = -0.125;
    let message = sent(OrderStatus::Rejected, order, Some(reason::INVALID_ORDER));
    let text = message.parts()[0].text();
    assert!(text.contains("  0 x book order, -0.125 each\n"), "{text}");
    assert!(!text.contains("Total"), "{text}");
}
