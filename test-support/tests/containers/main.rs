//! Containers and networks go with the process that owns them, however it ends.
//!
//! The process is this program again, as a child with [`OWN`]: signals are not for the tests
//! themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::env;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use test_support::containers::{Mailpit, Network, Owned, owned_by};
use test_support::{Test, test};
use testcontainers_modules::testcontainers::bollard::Docker;
use testcontainers_modules::testcontainers::bollard::query_parameters::{
    InspectContainerOptions, RemoveContainerOptionsBuilder,
};

const OWN: &str = "TEST_OWN_CONTAINERS";
const STARTED: &str = "All is there.";
const DEADLINE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match env::var(OWN).as_deref() {
        Ok("one until it is ended") => {
            let _mailpit = Mailpit::start().unwrap();
            wait_for_the_end();
        }
        Ok("two and a network until it is ended") => {
            let name = format!("order-system-tests-{}", std::process::id());
            let _network = Network::create(name).unwrap();
            let _mailpits = [Mailpit::start().unwrap(), Mailpit::start().unwrap()];
            wait_for_the_end();
        }
        Ok("one after another") => {
            println!("{STARTED}");
            loop {
                Mailpit::start().unwrap();
            }
        }
        Ok("one on fixed ports until it is ended") => {
            let mailpit = Mailpit::start_to_be_stopped().unwrap();
            for address in [mailpit.smtp(), mailpit.http()] {
                TcpStream::connect(address).unwrap();
            }
            wait_for_the_end();
        }
        Ok("one until it fails") => {
            let _mailpit = Mailpit::start().unwrap();
            println!("{STARTED}");
            panic!("a test that fails");
        }
        Ok(other) => panic!("{OWN} is {other}"),
        Err(_) => {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/containers");
            test_support::run(folder, tests())
        }
    }
}

fn wait_for_the_end() -> ! {
    println!("{STARTED}");
    loop {
        std::thread::park();
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
        test!(an_interrupted_process_removes_what_it_owns, no database),
        test!(a_terminated_process_removes_what_it_owns, no database),
        test!(a_process_that_is_interrupted_while_it_starts_a_container_leaves_none, no database),
        test!(a_process_that_fails_removes_what_it_owns, no database),
        test!(fixed_ports_are_those_of_this_machine_only, no database),
        test!(the_container_of_a_killed_process_is_removed_by_the_next_that_starts_one, no database),
    ];
    tests.extend(with_container.map(|test| test.needs(available.clone())));
    tests
}

/// This program as a child that owns containers.
struct Owner(Child);

impl Owner {
    /// Waits until they are there.
    fn start(what: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .env(OWN, what)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let owner = Self(child);
        assert_eq!(output.next().unwrap().unwrap(), STARTED);
        owner
    }

    fn owned(&self) -> Owned {
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
        .arg("removes_what_it_owns")
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

async fn an_interrupted_process_removes_what_it_owns() {
    all_is_removed_after("INT", 2).await;
}

async fn a_terminated_process_removes_what_it_owns() {
    all_is_removed_after("TERM", 15).await;
}

async fn all_is_removed_after(name: &str, number: i32) {
    let mut owner = Owner::start("two and a network until it is ended");
    let owned = owner.owned();
    assert_eq!((owned.containers.len(), owned.networks.len()), (2, 1));
    // As a start that failed half-way does: what is gone already keeps nothing else.
    let by_force = RemoveContainerOptionsBuilder::new().force(true).v(true);
    let docker = Docker::connect_with_defaults().unwrap();
    let removed = docker.remove_container(&owned.containers[0], Some(by_force.build()));
    removed.await.unwrap();

    owner.signal(name);
    // By the signal: nothing that waits for it takes it for a success.
    assert_eq!(owner.ended().signal(), Some(number));
    assert_eq!(owner.owned(), Owned::default());
}

async fn a_process_that_is_interrupted_while_it_starts_a_container_leaves_none() {
    let mut owner = Owner::start("one after another");
    let started = Instant::now();
    while owner.owned().containers.is_empty() {
        assert!(started.elapsed() < DEADLINE, "no container was started");
    }
    owner.signal("INT");
    // Not by the failure of a start whose container was removed.
    assert_eq!(owner.ended().signal(), Some(2));
    assert_eq!(owner.owned(), Owned::default());
}

async fn a_process_that_fails_removes_what_it_owns() {
    let mut owner = Owner::start("one until it fails");
    assert_eq!(owner.ended().code(), Some(101));
    assert_eq!(owner.owned(), Owned::default());
}

async fn fixed_ports_are_those_of_this_machine_only() {
    let mut owner = Owner::start("one on fixed ports until it is ended");
    let docker = Docker::connect_with_defaults().unwrap();
    let id = &owner.owned().containers[0];
    let options = None::<InspectContainerOptions>;
    let mailpit = docker.inspect_container(id, options).await.unwrap();
    let ports = mailpit.network_settings.unwrap().ports.unwrap();
    let published: Vec<_> = ports.into_values().flatten().flatten().collect();
    assert_eq!(published.len(), 2, "{published:?}");
    for port in published {
        assert_eq!(port.host_ip.as_deref(), Some("127.0.0.1"));
    }
    owner.signal("INT");
    owner.ended();
}

async fn the_container_of_a_killed_process_is_removed_by_the_next_that_starts_one() {
    let mut killed = Owner::start("one until it is ended");
    let left = killed.owned();
    assert_eq!(left.containers.len(), 1);
    killed.signal("KILL");
    killed.ended();
    // Unless a test beside this one started its own meanwhile.
    let there = killed.owned();
    assert!(there == left || there == Owned::default(), "{there:?}");

    let mut next = Owner::start("one until it is ended");
    assert_eq!(killed.owned(), Owned::default());
    next.signal("INT");
    next.ended();
}
