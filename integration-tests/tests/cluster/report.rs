//! What is said where there can be no cluster.

use std::env;
use std::process::{Command, Output};

use test_support::{Test, test};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(without_an_engine_the_tests_on_a_cluster_are_counted_as_not_run, no database),
        test!(an_engine_that_was_asked_for_and_is_down_fails_the_tests, no database),
    ]
}

/// Runs the other tests of this very program, where no engine answers.
fn run(test_kafka: &str) -> (Output, String) {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--skip", "report::"])
        .env("TEST_KAFKA", test_kafka)
        // Nobody listens on the port of tcpmux.
        .env("DOCKER_HOST", "tcp://127.0.0.1:1");
    let output = command.output().unwrap();
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    (output, String::from_utf8(text).unwrap())
}

async fn without_an_engine_the_tests_on_a_cluster_are_counted_as_not_run() {
    for (test_kafka, said, reason) in [
        (
            "",
            "on the embedded broker, SQLite and mail files: no container engine",
            "not run: 2, no container engine answers",
        ),
        (
            "embedded",
            "on the embedded broker, SQLite and mail files.",
            "not run: 2, TEST_KAFKA is `embedded`",
        ),
        (
            "127.0.0.1:9092",
            "on the Kafka at 127.0.0.1:9092, SQLite and mail files.",
            "not run: 2, TEST_KAFKA is `127.0.0.1:9092`",
        ),
    ] {
        let (output, text) = run(test_kafka);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed; 0 failed; 2 ignored"), "{text}");
        assert!(text.contains(said), "{text}");
        assert!(text.contains(reason), "{text}");
    }
}

async fn an_engine_that_was_asked_for_and_is_down_fails_the_tests() {
    let (output, text) = run("testcontainers");
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("no container engine answers"), "{text}");
    assert!(text.contains("start Docker, or set DOCKER_HOST"), "{text}");
}
