//! The broker is gone.
//!
//! Without further settings the test has an embedded broker of its own in a child process and
//! freezes it. With `TEST_KAFKA=HOST:PORT`, `TEST_KAFKA_STOP` and `TEST_KAFKA_START` (shell commands)
//! it stops and starts that Kafka.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use integration_tests::broker::{self, Choice};
use integration_tests::{Process, Signal, SystemBuilder};
use test_support::{Test, test};

use crate::support::{ALONE, AROUND, Traffic, Tried, all_run};

const OUTAGE: Duration = Duration::from_secs(20);
/// `KAFKA_DELIVERY_TIMEOUT` of the test, and what an answer may take on top of it.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(3);
const MARGIN: Duration = Duration::from_secs(2);

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(no_answer_lies_while_the_broker_is_gone_and_all_services_go_on_afterwards, no database).threads(2)]
}

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

async fn no_answer_lies_while_the_broker_is_gone_and_all_services_go_on_afterwards() {
    let _alone = ALONE.lock().await;
    // Kept until the end: dropping it would end the broker.
    let (broker, servers) = Breakable::start().await;
    let mut system = SystemBuilder::new()
        .on(&servers)
        .set("KAFKA_DELIVERY_TIMEOUT", "3s")
        .start()
        .await;
    let before = system.place("book order", 1).await;
    assert_eq!(system.settled(&before).await["status"], "RESERVED");

    let traffic = Traffic::start(&system, 0, Duration::from_millis(50));
    tokio::time::sleep(AROUND).await;
    broker.take_away();
    tokio::time::sleep(OUTAGE).await;
    broker.give_back();
    tokio::time::sleep(AROUND).await;
    let tried = traffic.end().await;

    let (mut accepted, mut unknown) = (Vec::new(), Vec::new());
    for Tried { answer, took, .. } in &tried {
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

    all_run(&mut system);
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
