//! Mail by SMTP, against a server that plays every part.

use std::time::{Duration, Instant};

use base_domains::OrderStatus;
use email_service::mailer::{Mailer as _, SendError, SmtpMailer, SmtpSettings};

use crate::support::message;
use crate::support::sink::{Reply, Reply::Say, Sink};

const TO: &str = "a@example.org";
/// Deadline of steps that are meant to be missed; the others never come near to theirs.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(20);

fn mailer(url: &str, timeout: Duration, data_timeout: Duration) -> SmtpMailer {
    SmtpMailer::new(SmtpSettings {
        server: url.parse().unwrap(),
        timeout,
        data_timeout,
        connections: 2,
    })
}

fn patient(sink: &Sink) -> SmtpMailer {
    mailer(&sink.url(), LONG, LONG)
}

async fn refused(script: &[(&'static str, Reply)]) -> SendError {
    let sink = Sink::start(script).await;
    let error = patient(&sink)
        .send(&message(OrderStatus::Paid, TO))
        .await
        .unwrap_err();
    assert!(sink.accepted().is_empty());
    error
}

#[tokio::test]
async fn a_message_arrives_as_it_was_composed() {
    let sink = Sink::start(&[]).await;
    let message = message(OrderStatus::Paid, TO);
    patient(&sink).send(&message).await.unwrap();
    let accepted = sink.accepted();
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0].from, "orders@example.com");
    assert_eq!(accepted[0].to, [TO]);
    let text = String::from_utf8(accepted[0].data.clone()).unwrap();
    assert_eq!(
        text.trim_end(),
        String::from_utf8(message.bytes()).unwrap().trim_end()
    );
}

#[tokio::test]
async fn the_next_message_takes_the_same_connection() {
    let sink = Sink::start(&[]).await;
    let mailer = patient(&sink);
    for status in [
        OrderStatus::Pending,
        OrderStatus::Paid,
        OrderStatus::Shipped,
    ] {
        mailer.send(&message(status, TO)).await.unwrap();
    }
    assert_eq!((sink.accepted().len(), sink.count("CONNECT")), (3, 1));
    mailer.close().await;
    assert_eq!(sink.count("QUIT"), 1);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    let sink = Sink::start(&[("NOOP", Reply::Close)]).await;
    let mailer = patient(&sink);
    for status in [OrderStatus::Pending, OrderStatus::Paid] {
        mailer.send(&message(status, TO)).await.unwrap();
    }
    assert_eq!((sink.accepted().len(), sink.count("CONNECT")), (2, 2));
}

#[tokio::test]
async fn a_4xx_at_any_step_is_transient_and_the_next_attempt_succeeds() {
    for step in ["CONNECT", "MAIL", "RCPT", "DATA", "."] {
        let sink = Sink::start(&[(step, Say("451 4.3.0 later"))]).await;
        let mailer = patient(&sink);
        let message = message(OrderStatus::Paid, TO);
        let error = mailer.send(&message).await.unwrap_err();
        assert!(!error.is_permanent(), "{step}: {error}");
        assert!(
            error.to_string().contains("the server answered 451"),
            "{step}: {error}"
        );
        mailer.send(&message).await.unwrap();
        assert_eq!(sink.accepted().len(), 1, "{step}");
    }
}

#[tokio::test]
async fn a_5xx_to_the_mail_is_permanent_and_its_words_are_kept_but_not_shown() {
    for step in ["MAIL", "RCPT", "DATA", "."] {
        let error = refused(&[(step, Say("550 5.1.1 <a@example.org> unknown\u{7}"))]).await;
        assert!(error.is_permanent(), "{step}");
        assert!(
            error.to_string().ends_with("the server answered 550"),
            "{error}"
        );
        assert!(!format!("{error:?}").contains("example.org"));
        assert!(
            error
                .detail()
                .ends_with("550: 5.1.1 <a@example.org> unknown "),
            "{step}"
        );
    }
}

#[tokio::test]
async fn a_5xx_to_this_client_is_transient_since_no_mail_is_at_fault() {
    for script in [
        ("CONNECT", Say("554 5.3.2 closed")),
        ("EHLO", Say("550 5.7.1 go away")),
        ("MAIL", Say("530 5.7.0 authentication required")),
    ] {
        assert!(!refused(&[script]).await.is_permanent(), "{script:?}");
    }
}

#[tokio::test]
async fn a_refused_login_is_transient_and_the_password_is_not_repeated() {
    let sink = Sink::start(&[("AUTH", Say("535 5.7.8 no"))]).await;
    let url = format!("smtp://user:hunter2@{}", sink.address);
    let mailer = mailer(&url, LONG, LONG);
    let error = mailer
        .send(&message(OrderStatus::Paid, TO))
        .await
        .unwrap_err();
    assert!(!error.is_permanent());
    assert_eq!(error.to_string(), "cannot log in: the server answered 535");
    assert!(!format!("{mailer:?} {error:?} {}", error.detail()).contains("hunter2"));
}

#[tokio::test]
async fn required_encryption_is_not_done_without() {
    let sink = Sink::start(&[]).await;
    let url = format!("{}?tls=required", sink.url());
    let mailer = mailer(&url, LONG, LONG);
    let error = mailer
        .send(&message(OrderStatus::Paid, TO))
        .await
        .unwrap_err();
    assert!(!error.is_permanent());
    assert!(
        error.to_string().starts_with("cannot start TLS: "),
        "{error}"
    );
    assert_eq!(sink.count("MAIL"), 0);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_after_the_timeout() {
    for step in ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"] {
        let sink = Sink::start(&[(step, Reply::Hang)]).await;
        let mailer = mailer(&sink.url(), SHORT, LONG);
        let start = Instant::now();
        let error = mailer
            .send(&message(OrderStatus::Paid, TO))
            .await
            .unwrap_err();
        assert!(!error.is_permanent());
        assert!(error.to_string().contains("no answer"), "{step}: {error}");
        assert!(start.elapsed() < LONG, "{step}");
    }
}

#[tokio::test]
async fn the_end_of_the_message_has_a_timeout_of_its_own() {
    let sink = Sink::start(&[(".", Reply::Hang)]).await;
    let mailer = mailer(&sink.url(), LONG, SHORT);
    let message = message(OrderStatus::Paid, TO);
    let start = Instant::now();
    let error = mailer.send(&message).await.unwrap_err();
    assert_eq!(error.to_string(), "no answer to the message within 1s");
    assert!(start.elapsed() < LONG);
    // The connection that still owes an answer is not used for the next mail.
    mailer.send(&message).await.unwrap();
    assert_eq!((sink.accepted().len(), sink.count("CONNECT")), (1, 2));
}

#[tokio::test]
async fn an_answer_to_another_question_does_not_count_as_accepted() {
    let error = refused(&[("DATA", Say("250 2.0.0 what?"))]).await;
    assert!(!error.is_permanent());
    assert_eq!(error.to_string(), "the server answered 250 instead of 354");
}

#[tokio::test]
async fn a_lost_connection_is_transient() {
    for step in ["CONNECT", "MAIL", "."] {
        assert!(
            !refused(&[(step, Reply::Close)]).await.is_permanent(),
            "{step}"
        );
    }
    let nobody = Sink::start(&[]).await.address.port();
    let nobody = mailer(&format!("smtp://127.0.0.2:{nobody}"), LONG, LONG);
    let error = nobody
        .send(&message(OrderStatus::Paid, TO))
        .await
        .unwrap_err();
    assert!(!error.is_permanent());
    assert!(error.to_string().starts_with("cannot connect: "), "{error}");
}

#[tokio::test]
async fn an_address_outside_of_ascii_needs_a_server_that_takes_it() {
    let address = "jürgen@example.org";
    let sink = Sink::start(&[]).await;
    patient(&sink)
        .send(&message(OrderStatus::Paid, address))
        .await
        .unwrap();
    assert_eq!(sink.accepted()[0].to, [address]);
    let plain = Sink::start(&[("EHLO", Reply::Ascii)]).await;
    let error = patient(&plain)
        .send(&message(OrderStatus::Paid, address))
        .await
        .unwrap_err();
    assert!(error.is_permanent());
    assert_eq!(plain.count("MAIL"), 0);
}
