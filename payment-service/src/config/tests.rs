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
    assert_eq!(config.common.http.port, 8083);
    assert_eq!(config.participant.group, "payment");
    assert_eq!(config.common.kafka.client_id, "payment-service");
    assert_eq!(config.common.database.url.expose_secret(), DATABASE_URL);
    assert!(config.payment.gateway.is_none());
    assert_eq!(config.payment.timeout, Duration::from_secs(10));
}

/// Rule R5: whether money was moved has to become known.
#[test]
fn a_payment_is_never_given_up_and_an_attempt_fits_its_lease() {
    let worker = load(&[("PAYMENT_TIMEOUT", "3m")]).payment.worker();
    assert_eq!((worker.max_attempts, worker.max_age), (None, None));
    assert!(worker.lease.mul_f64(0.9) > Duration::from_secs(2 * 180));
    assert_eq!(worker.pause.unwrap().after, 5);
}

#[test]
fn a_gateway_is_used_when_it_is_set_and_its_credentials_are_not_shown() {
    let by_password = load(&[(
        "PAYMENT_GATEWAY_URL",
        "https://shop:hunter2@pay.example.com/v1",
    )]);
    let config = load(&[
        ("PAYMENT_GATEWAY_URL", "https://pay.example.com/v1"),
        ("PAYMENT_GATEWAY_TOKEN", "sesame"),
        ("PAYMENT_CONNECT_TIMEOUT", "1s"),
        ("PAYMENT_TIMEOUT", "2s"),
    ]);
    let shown = format!("{by_password:?} {config:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("sesame"),
        "{shown}"
    );
    let gateway = config.payment.gateway.unwrap();
    assert_eq!(gateway.connect_timeout, Duration::from_secs(1));
    assert_eq!(gateway.timeout, Duration::from_secs(2));
    assert_eq!(gateway.token.unwrap().expose_secret(), "sesame");
}

#[test]
fn a_url_that_cannot_be_used_is_told_without_its_password() {
    for url in [
        "ftp://shop:hunter2@pay.example.com",
        "https://shop:hunter2@pay.example.com?key=1",
        "shop:hunter2",
    ] {
        let problems = problems(&[("PAYMENT_GATEWAY_URL", url)]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with("PAYMENT_GATEWAY_URL: must be an http"),
            "{problems:?}"
        );
        assert!(!problems[0].contains("hunter2"), "{problems:?}");
    }
}

/// Two `Authorization` headers would be sent.
#[test]
fn a_token_and_credentials_in_the_url_are_not_taken_together() {
    for url in [
        "https://shop:hunter2@pay.example.com",
        "https://shop@pay.example.com",
        "https://:hunter2@pay.example.com",
    ] {
        let problems = problems(&[
            ("PAYMENT_GATEWAY_URL", url),
            ("PAYMENT_GATEWAY_TOKEN", "sesame"),
        ]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        let problem = &problems[0];
        assert!(problem.starts_with("PAYMENT_GATEWAY_TOKEN: "), "{problem}");
        assert!(
            !problem.contains("hunter2") && !problem.contains("sesame"),
            "{problem}"
        );
    }
}

#[test]
fn a_token_without_a_gateway_is_a_mistake() {
    let problems = problems(&[("PAYMENT_GATEWAY_TOKEN", "sesame")]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(!problems[0].contains("sesame"), "{problems:?}");
}
