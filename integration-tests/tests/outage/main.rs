//! The broker is gone for a while, in the middle of the traffic.
//!
//! Without further settings the test has an embedded broker of its own in a child process and
//! freezes it. With `TEST_KAFKA=HOST:PORT`, `TEST_KAFKA_STOP` and `TEST_KAFKA_START` (shell commands)
//! it stops and starts that Kafka.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use integration_tests::broker::{self, Choice};
use integration_tests::system::order;
use integration_tests::{Answer, Process, Signal, System, SystemBuilder};
use test_support::{Test, test};
use tokio::task::JoinSet;

const OUTAGE: Duration = Duration::from_secs(20);
/// Traffic before the outage, and after it.
const AROUND: Duration = Duration::from_secs(4);
/// `KAFKA_DELIVERY_TIMEOUT` of the test, and what an answer may take on top of it.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(3);
const MARGIN: Duration = Duration::from_secs(2);

/// A broker that can be taken away.
enum Breakable {
    Frozen {
        process: Process,
        _folder: tempfile::TempDir,
    },
    Commands {
        stop: String,
        start: String,
    },
}

impl Breakable {
    async fn start() -> (Self, String) {
        let stop = std::env::var("TEST_KAFKA_STOP");
        let start = std::env::var("TEST_KAFKA_START");
        if let (Ok(Choice::Given(servers)), Ok(stop), Ok(start)) = (broker::choose(), stop, start) {
            println!("The outage test stops and starts the Kafka at {servers}.");
            return (Self::Commands { stop, start }, servers.clone());
        }
        println!("The outage test freezes an embedded broker of its own.");
        let folder = tempfile::tempdir().unwrap();
        let settings = BTreeMap::new();
        let mut process = Process::start("broker", &settings, folder.path().join("broker.log"));
        let port = process.port().await;
        let broker = Self::Frozen {
            process,
            _folder: folder,
        };
        (broker, format!("127.0.0.1:{port}"))
    }

    /// Gone for [`OUTAGE`], after a while of ordinary traffic.
    fn break_for_a_while(&self) {
        std::thread::sleep(AROUND);
        self.take_away();
        std::thread::sleep(OUTAGE);
        self.give_back();
    }

    fn take_away(&self) {
        match self {
            Self::Frozen { process, .. } => process.signal(Signal::Stop),
            Self::Commands { stop, .. } => run(stop),
        }
    }

    fn give_back(&self) {
        match self {
            Self::Frozen { process, .. } => process.signal(Signal::Continue),
            Self::Commands { start, .. } => run(start),
        }
    }
}

fn run(command: &str) {
    let status = Command::new("sh").args(["-c", command]).status();
    assert!(status.unwrap().success(), "{command}");
}

/// Places orders one after the other until `end`; how each was answered and how long it took.
async fn traffic(system: &System, end: Instant) -> Vec<(Answer, Duration)> {
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let client = system.order.clone();
        workers.spawn(async move {
            let mut answers = Vec::new();
            while Instant::now() < end {
                let started = Instant::now();
                let body = order("book order", 1);
                let answer = client.post("/api/v1/orders", &body, &[]).await.unwrap();
                answers.push((answer, started.elapsed()));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answers
        });
    }
    let mut all = Vec::new();
    while let Some(answers) = workers.join_next().await {
        all.extend(answers.unwrap());
    }
    all
}

async fn no_answer_lies_while_the_broker_is_gone_and_all_services_go_on_afterwards() {
    let (broker, servers) = Breakable::start().await;
    let mut system = SystemBuilder::new()
        .on(&servers)
        .set("KAFKA_DELIVERY_TIMEOUT", "3s")
        .start()
        .await;
    let before = system.place("book order", 1).await;
    assert_eq!(system.settled(&before).await["status"], "RESERVED");

    let breaking = tokio::task::spawn_blocking(move || {
        broker.break_for_a_while();
        broker
    });
    let answers = traffic(&system, Instant::now() + AROUND + OUTAGE + AROUND).await;
    // Kept until the end: dropping it would end the broker.
    let _broker = breaking.await.unwrap();

    let (mut accepted, mut unknown) = (Vec::new(), Vec::new());
    for (answer, took) in &answers {
        assert!(
            *took < DELIVERY_TIMEOUT + MARGIN,
            "{} after {took:?}",
            answer.status
        );
        match answer.status {
            201 => accepted.push(answer.member("orderId")),
            503 => {
                assert!(answer.retry_after.is_some(), "{}", answer.text);
                assert_eq!(answer.content_type, "application/problem+json");
                unknown.push(answer.member("orderId"));
            }
            other => panic!("{other}: {}", answer.text),
        }
    }
    assert!(!accepted.is_empty(), "there was traffic before the outage");
    assert!(!unknown.is_empty(), "the outage was noticed");

    for name in ["order", "email", "stock-0"] {
        let running = system.process(name).is_running();
        assert!(
            running,
            "{name} ended by itself:\n{}",
            system.process(name).output()
        );
    }
    system.until_ready().await;
    let after = system.place("book order", 1).await;
    assert_eq!(system.settled(&after).await["status"], "RESERVED");
    assert_eq!(system.mails(&after, 1).await.len(), 1);

    let log = system.log.orders().await;
    for order_id in &accepted {
        assert!(
            log.contains_key(&order_id.parse().unwrap()),
            "{order_id} was accepted"
        );
        system.settled(order_id).await;
    }
    let there = unknown
        .iter()
        .filter(|id| log.contains_key(&id.parse().unwrap()))
        .count();
    println!(
        "{} orders accepted, all in the log; {} answered 503, {there} of them in the log",
        accepted.len(),
        unknown.len()
    );
}

fn tests() -> Vec<Test> {
    vec![test!(no_answer_lies_while_the_broker_is_gone_and_all_services_go_on_afterwards, no database).threads(2)]
}

fn main() -> std::process::ExitCode {
    integration_tests::suite::run(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outage"),
        tests(),
    )
}
