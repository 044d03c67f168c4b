//! Containers go with the process that owns them, however it ends.
//!
//! The process is this program again, as a child with [`OWN_ONE`]: signals are not for the tests
//! themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use test_support::containers::{Mailpit, owned_by};
use test_support::{Test, test};

const OWN_ONE: &str = "TEST_OWN_A_CONTAINER";
const STARTED: &str = "The container is there.";
const DEADLINE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match env::var(OWN_ONE).as_deref() {
        Ok("until it is ended") => {
            let _mailpit = Mailpit::start().unwrap();
            println!("{STARTED}");
            loop {
                std::thread::park();
            }
        }
        Ok("until it fails") => {
            let _mailpit = Mailpit::start().unwrap();
            println!("{STARTED}");
            panic!("a test that fails");
        }
        Ok(other) => panic!("{OWN_ONE} is {other}"),
        Err(_) => {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/containers");
            test_support::run(folder, tests())
        }
    }
}

fn tests() -> Vec<Test> {
    // Where no container can be had, they are not run; who asks for containers gets a failure.
    let listed = env::args().any(|argument| argument == "--list");
    let asked_for = env::var("TEST_KAFKA").is_ok_and(|choice| choice == "testcontainers");
    let available = if listed || asked_for {
        Ok(())
    } else {
        Mailpit::start().map(drop)
    };
    let mut tests = vec![test!(without_an_engine_these_tests_are_counted_as_not_run, no database)];
    let with_container = [
        test!(an_interrupted_process_removes_its_container, no database),
        test!(a_terminated_process_removes_its_container, no database),
        test!(a_process_that_fails_removes_its_container, no database),
        test!(the_container_of_a_killed_process_is_removed_by_the_next_that_starts_one, no database),
    ];
    tests.extend(with_container.map(|test| test.needs(available.clone())));
    tests
}

/// This program as a child that owns a container.
struct Owner(Child);

impl Owner {
    /// Waits until the container is there.
    fn start(how_long: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .env(OWN_ONE, how_long)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let owner = Self(child);
        assert_eq!(output.next().unwrap().unwrap(), STARTED);
        owner
    }

    fn containers(&self) -> Vec<String> {
        owned_by(self.0.id()).unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    fn ended(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < DEADLINE, "the process still runs");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Of a test that failed.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

async fn without_an_engine_these_tests_are_counted_as_not_run() {
    let output = Command::new(env::current_exe().unwrap())
        .arg("removes_its_container")
        .env_remove("TEST_KAFKA")
        // Nobody listens on the port of tcpmux.
        .env("DOCKER_HOST", "tcp://127.0.0.1:1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("0 passed; 0 failed; 3 ignored"), "{text}");
    assert!(text.contains("not run: 3, no container engine"), "{text}");
}

async fn an_interrupted_process_removes_its_container() {
    is_removed_after("INT");
}

async fn a_terminated_process_removes_its_container() {
    is_removed_after("TERM");
}

fn is_removed_after(signal: &str) {
    let mut owner = Owner::start("until it is ended");
    assert_eq!(owner.containers().len(), 1);
    owner.signal(signal);
    // By the signal: nothing that waits for it takes it for a success.
    assert_eq!(owner.ended().code(), None);
    assert_eq!(owner.containers(), [""; 0]);
}

async fn a_process_that_fails_removes_its_container() {
    let mut owner = Owner::start("until it fails");
    assert_eq!(owner.ended().code(), Some(101));
    assert_eq!(owner.containers(), [""; 0]);
}

async fn the_container_of_a_killed_process_is_removed_by_the_next_that_starts_one() {
    let mut killed = Owner::start("until it is ended");
    let left = killed.containers();
    assert_eq!(left.len(), 1);
    killed.signal("KILL");
    killed.ended();
    // Unless a test beside this one started its own meanwhile.
    let there = killed.containers();
    assert!(there == left || there.is_empty(), "{there:?}");

    let _next = Owner::start("until it is ended");
    assert_eq!(killed.containers(), [""; 0]);
}
