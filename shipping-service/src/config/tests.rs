//! Settings from an environment.

use service_runtime::config::ExposeSecret as _;

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
    assert_eq!(config.common.http.port, 8084);
    assert_eq!(config.participant.group, "shipping");
    assert_eq!(config.common.kafka.client_id, "shipping-service");
    assert_eq!(config.common.database.url.expose_secret(), DATABASE_URL);
    let expected = DispatchConfig {
        after: Some(Duration::from_secs(5)),
        answer_wait: Duration::from_secs(3),
    };
    assert_eq!(config.dispatch, expected);
}

#[test]
fn a_delay_counts_only_if_dispatching_is_automatic() {
    let delay = ("SHIPPING_DISPATCH_DELAY", "1h");
    assert_eq!(load(&[delay]).dispatch.after, Some(DAY / 24));
    let by_hand = load(&[delay, ("SHIPPING_AUTO_DISPATCH", "false")]);
    assert_eq!(by_hand.dispatch.after, None);
}

#[test]
fn a_dispatch_is_never_given_up_and_a_short_delay_is_looked_at_often() {
    for (delay, poll) in [("0s", 100), ("300ms", 300), ("5s", 1000)] {
        let worker = load(&[("SHIPPING_DISPATCH_DELAY", delay)])
            .dispatch
            .worker();
        assert_eq!((worker.max_attempts, worker.max_age), (None, None));
        assert_eq!(worker.poll_interval, Duration::from_millis(poll), "{delay}");
    }
    let by_hand = load(&[("SHIPPING_AUTO_DISPATCH", "false")]).dispatch;
    assert_eq!(by_hand.worker().poll_interval, Duration::from_secs(1));
}

#[test]
fn an_answer_that_may_wait_longer_than_its_request_is_a_problem() {
    let problems = problems(&[
        ("SHIPPING_ANSWER_WAIT", "5s"),
        ("HTTP_REQUEST_TIMEOUT", "5s"),
    ]);
    let expected =
        "SHIPPING_ANSWER_WAIT: 5s is not below HTTP_REQUEST_TIMEOUT (5s) (from the environment)";
    assert_eq!(problems, [expected]);
}
