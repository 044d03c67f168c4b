//! Text that tries to be more than text.

use base_domains::OrderStatus;
use email_service::message::{ComposeError, Outgoing};
use proptest::prelude::*;

use crate::support::{mail, order, parsed::Parsed};

const HEADERS: [&str; 8] = [
    "From",
    "To",
    "Subject",
    "Message-ID",
    "Date",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
];

/// Anything, with what is dangerous more often than chance would have it.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,20}",
        any::<String>(),
        proptest::sample::select(vec![
            "\r\n",
            "\n",
            "\r",
            "\r\n\r\n",
            "\0",
            "\u{85}",
            "\u{2028}",
            "\"",
            "'",
            "<",
            ">",
            "&",
            ",",
            ";",
            ":",
            "\\",
            "@",
            "--",
            ".\r\n",
            "=?utf-8?q?x?=",
            "<script>alert(1)</script>",
            "{{7*7}}",
            "{% include \"base.html\" %}",
            "\r\nBcc: eve@example.net\r\n",
            "eve@example.net",
            "a@example.org",
            "</td></table>",
            "\u{202e}",
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn compose(name: &str, email: &str, reason: &str) -> Result<Outgoing, ComposeError> {
    let mut order = order(email);
    name.clone_into(&mut order.name);
    // Breaks a rule whatever the name is, so that all mails have the same lines.
    order.qty = 0;
    let mail = mail(OrderStatus::Rejected, order, Some(reason));
    let from = "Orders <orders@example.com>".parse().unwrap();
    Outgoing::compose(&from, &mail, email)
}

/// Holds for every mail: nothing but the address of `to` came from the order, outside of the bodies.
fn check(message: &Outgoing, to: &str) -> Parsed {
    let parsed = Parsed::read(&message.bytes());
    assert_eq!(parsed.names(), HEADERS);
    assert_eq!(parsed.header("To"), to);
    let recipients: Vec<&str> = message.envelope().to().iter().map(AsRef::as_ref).collect();
    assert_eq!(recipients, [to]);
    let parts = parsed.parts();
    let kinds: Vec<&str> = parts
        .iter()
        .map(|part| part.header("Content-Type"))
        .collect();
    assert_eq!(
        kinds,
        ["text/plain; charset=utf-8", "text/html; charset=utf-8"]
    );
    assert!(parts.iter().all(|part| part.headers.len() == 2));
    parsed
}

/// The tags of an HTML text, without their attributes.
fn tags(html: &str) -> Vec<String> {
    let names = html.split('<').skip(1).map(|rest| {
        let end = rest.find([' ', '>']).unwrap();
        rest[..end].to_owned()
    });
    names.collect()
}

proptest! {
    #[test]
    fn a_name_and_a_reason_are_never_more_than_text(name in hostile(), reason in hostile()) {
        let message = compose(&name, "ann@example.org", &reason).unwrap();
        let parts = check(&message, "ann@example.org").parts();
        let plain = compose("x", "ann@example.org", "x").unwrap();
        let plain = check(&plain, "ann@example.org").parts();
        prop_assert_eq!(tags(&parts[1].text()), tags(&plain[1].text()));
        let lines = |text: String| text.lines().count();
        prop_assert_eq!(lines(parts[0].text()), lines(plain[0].text()));
    }

    #[test]
    fn an_address_is_the_only_recipient_or_refused(email in hostile()) {
        match compose("book", &email, "x") {
            Ok(message) => { check(&message, &email); }
            Err(error) => prop_assert!(matches!(error, ComposeError::Recipient)),
        }
    }

    #[test]
    fn a_plausible_address_is_the_only_recipient_or_refused(
        local in "[a-z0-9.+_\"<>, é\r\n-]{1,12}", domain in "[a-z0-9.<>,\\[\\]é-]{1,12}",
    ) {
        let email = format!("{local}@{domain}");
        match compose("book", &email, "x") {
            Ok(message) => { check(&message, &email); }
            Err(error) => prop_assert!(matches!(error, ComposeError::Recipient)),
        }
    }
}

#[test]
fn an_address_that_is_none_is_refused_and_not_repeated() {
    for email in [
        "",
        "nobody",
        "@example.org",
        "a@",
        "a@b@example.org",
        "a b@example.org",
        "\"a b\"@example.org",
        "<a@example.org>",
        "Ann <a@example.org>",
        "a@example.org,eve@example.net",
        "a@example.org\r\nBcc: eve@example.net",
        "a@example.org\0",
        "a..b@example.org",
        "a@example-.org",
        &format!("{}@example.org", "x".repeat(300)),
    ] {
        let error = compose("book", email, "x").unwrap_err();
        assert!(matches!(error, ComposeError::Recipient), "{email:?}");
        assert_eq!(
            error.to_string(),
            "the recipient is not a usable e-mail address"
        );
    }
}

#[test]
fn templates_and_markup_of_a_name_are_shown_not_run() {
    let message = compose(
        "{{7*7}} <script>alert('x')</script>",
        "ann@example.org",
        "x",
    )
    .unwrap();
    let parts = check(&message, "ann@example.org").parts();
    assert!(
        parts[0]
            .text()
            .contains("{{7*7}} <script>alert('x')</script>")
    );
    let html = parts[1].text();
    assert!(
        html.contains("{{7*7}} &#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;"),
        "{html}"
    );
}
