//! Settings from an environment.

use secrecy::ExposeSecret as _;

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
fn nothing_has_to_be_set_and_nothing_private_is_reached() {
    let config = load(&[]);
    assert_eq!(config.common.http.port, 8085);
    assert_eq!(config.participant.group, "webhook");
    assert_eq!(config.common.kafka.client_id, "webhook-service");
    assert_eq!(config.common.database.url.expose_secret(), DATABASE_URL);
    let webhook = config.webhook;
    assert_eq!(webhook.public_url, "http://127.0.0.1:8080");
    let strict = Policy {
        private_addresses: false,
        http: false,
    };
    assert_eq!(webhook.sender.policy, strict);
    assert_eq!(webhook.worker().max_attempts, Some(200));
}

#[test]
fn http_is_allowed_with_private_addresses_or_by_itself() {
    let policy = |environment: &[(&str, &str)]| {
        let Policy {
            private_addresses,
            http,
        } = load(environment).webhook.sender.policy;
        (private_addresses, http)
    };
    let private = ("WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "true");
    assert_eq!(policy(&[private]), (true, true));
    assert_eq!(
        policy(&[private, ("WEBHOOK_ALLOW_HTTP", "false")]),
        (true, false)
    );
    assert_eq!(policy(&[("WEBHOOK_ALLOW_HTTP", "true")]), (false, true));
}

#[test]
fn an_attempt_fits_its_lease_and_no_delay_exceeds_the_longest() {
    let worker = load(&[
        ("WEBHOOK_TIMEOUT", "3m"),
        ("WEBHOOK_RETRY_MAX_DELAY", "20ms"),
    ])
    .webhook
    .worker();
    assert!(worker.lease.mul_f64(0.9) > Duration::from_secs(180));
    let longest = Duration::from_millis(20);
    assert_eq!(worker.backoff.ceiling(30), longest);
    assert_eq!(worker.pause.unwrap().backoff.ceiling(30), longest);
    assert_eq!(load(&[]).webhook.worker().backoff.ceiling(30), HOUR);
}

#[test]
fn links_begin_with_the_public_url_without_its_last_slash() {
    for (url, expected) in [
        ("https://shop.example.com", "https://shop.example.com"),
        ("https://shop.example.com/", "https://shop.example.com"),
        ("http://10.0.0.1:8080/shop/", "http://10.0.0.1:8080/shop"),
    ] {
        assert_eq!(load(&[("PUBLIC_URL", url)]).webhook.public_url, expected);
    }
    for url in [
        "shop.example.com",
        "ftp://shop.example.com",
        "https://shop.example.com?a=b",
        "https://ann:pw@shop.example.com",
    ] {
        let problems = problems(&[("PUBLIC_URL", url)]);
        assert_eq!(problems.len(), 1, "{url}: {problems:?}");
        assert!(
            problems[0].starts_with("PUBLIC_URL: must be"),
            "{problems:?}"
        );
        assert!(!problems[0].contains("pw"), "{problems:?}");
    }
}
