//! What the harness says when there is no server.

use std::env;
use std::process::{Command, Output};

use test_support::{Test, test};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(without_a_server_its_tests_are_counted_as_not_run, no database),
        test!(without_a_server_that_is_required_its_tests_fail, no database),
        test!(a_server_that_was_named_and_is_down_fails_the_tests, no database),
    ]
}

/// Runs two tests of this very program, both on each database.
fn run(variables: &[(&str, &str)]) -> (Output, String) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg("a_database_is_empty");
    command
        .env_remove("TEST_POSTGRES")
        .env_remove("TEST_REQUIRE")
        // No container either: nobody listens on the port of tcpmux.
        .env("DOCKER_HOST", "tcp://127.0.0.1:1");
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output, text)
}

async fn without_a_server_its_tests_are_counted_as_not_run() {
    let (output, text) = run(&[("TEST_POSTGRES", "")]);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("2 passed; 0 failed; 2 ignored"), "{text}");
    assert!(text.contains("not run: 2, no PostgreSQL server"), "{text}");
}

async fn without_a_server_that_is_required_its_tests_fail() {
    let (output, text) = run(&[("TEST_REQUIRE", "postgres")]);
    assert_eq!(output.status.code(), Some(101), "{text}");
    assert!(text.contains("2 passed; 2 failed; 0 ignored"), "{text}");
    assert!(text.contains("no PostgreSQL server"), "{text}");
}

async fn a_server_that_was_named_and_is_down_fails_the_tests() {
    let (output, text) = run(&[("TEST_POSTGRES", "postgres://nobody@127.0.0.1:1/none")]);
    assert_eq!(output.status.code(), Some(101), "{text}");
    assert!(text.contains("2 passed; 2 failed; 0 ignored"), "{text}");
}
