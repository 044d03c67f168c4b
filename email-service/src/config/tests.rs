//! Settings from an environment.

use super::*;

fn load(environment: &[(&str, &str)]) -> Config {
    Config::load(None, environment.iter().copied()).unwrap().0
}

fn problems(environment: &[(&str, &str)]) -> Vec<String> {
    match Config::load(None, environment.iter().copied()) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().to_vec(),
    }
}

#[test]
fn nothing_has_to_be_set() {
    let config = load(&[]);
    assert_eq!(config.common.http.port, 8082);
    assert_eq!(config.participant.group, "email");
    assert_eq!(config.common.kafka.client_id, "email-service");
    assert_eq!(config.common.database.url.expose_secret(), DATABASE_URL);
    let mail = config.mail;
    assert_eq!(mail.states, STATES);
    assert_eq!(mail.from, "orders@example.com");
    assert_eq!(mail.message_id_domain, "example.com");
    assert_eq!(
        mail.default_recipient.as_deref(),
        Some("customer@example.com")
    );
    assert!(matches!(&mail.transport, Transport::Folder(folder) if folder == "data/mail"));
    assert_eq!(mail.worker().max_attempts, None);
    assert_eq!(mail.worker().max_age, Some(Duration::from_secs(259_200)));
}

#[test]
fn a_mail_server_is_used_when_it_is_set() {
    let config = load(&[
        (
            "SMTP_URL",
            "smtp://app:hunter2@mail.example.com?tls=required",
        ),
        ("SMTP_TIMEOUT", "1s"),
        ("SMTP_DATA_TIMEOUT", "3s"),
        ("EMAIL_FROM", "Book shop <shop@books.example>"),
        ("EMAIL_STATES", "RESERVED, REJECTED"),
        ("EMAIL_DEFAULT_RECIPIENT", "none"),
    ]);
    assert!(!format!("{config:?}").contains("hunter2"));
    let mail = config.mail;
    let Transport::Smtp(settings) = &mail.transport else {
        panic!("{mail:?}");
    };
    assert_eq!(
        (settings.server.host.as_str(), settings.server.port),
        ("mail.example.com", 587)
    );
    assert_eq!(settings.longest_attempt(), Duration::from_secs(10));
    assert!(mail.worker().lease.mul_f64(0.9) > settings.longest_attempt());
    assert_eq!(mail.message_id_domain, "books.example");
    assert_eq!(mail.states, [OrderStatus::Reserved, OrderStatus::Rejected]);
    assert_eq!(mail.default_recipient, None);
}

#[test]
fn the_password_of_the_mail_server_is_not_printed() {
    let environment = [("SMTP_URL", "smtp://app:hunter2@mail.example.com")];
    let (_, loaded) = Config::load(None, environment).unwrap();
    let printed = loaded.to_string();
    assert!(
        printed.contains("smtp://app:[redacted]@mail.example.com"),
        "{printed}"
    );
}

#[test]
fn every_setting_that_cannot_be_used_is_told_by_name() {
    let problems = problems(&[
        ("SMTP_URL", "smtp://app:hunter2@mail/path"),
        ("EMAIL_FROM", "nobody"),
        ("EMAIL_MESSAGE_ID_DOMAIN", "a b"),
        ("EMAIL_DEFAULT_RECIPIENT", "a@example.org, b@example.org"),
        ("EMAIL_STATES", "PENDING,LOST"),
    ]);
    for name in [
        "SMTP_URL: ",
        "EMAIL_FROM: ",
        "EMAIL_MESSAGE_ID_DOMAIN: ",
        "EMAIL_DEFAULT_RECIPIENT: ",
        "EMAIL_STATES: ",
    ] {
        assert!(
            problems.iter().any(|text| text.starts_with(name)),
            "{name} {problems:?}"
        );
    }
    assert_eq!(problems.len(), 5, "{problems:?}");
    assert!(!problems.concat().contains("hunter2"));
}
