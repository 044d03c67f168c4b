//! The broker is gone.
//!
//! On `testcontainers` the test stops and starts a Kafka of its own. On `embedded` it has a broker of
//! its own in a child process and freezes it. With `TEST_KAFKA=HOST:PORT` it stops and starts that
//! Kafka by `TEST_KAFKA_STOP` and `TEST_KAFKA_START` (shell commands); without them it cannot run.

use std::collections::BTreeMap;
use std::env;
use std::process::Command;
use std::time::Duration;

use integration_tests::aftermath::{DELIVERY_TIMEOUT, kept_every_promise, one_more_order, verify};
use integration_tests::broker::{self, Choice};
use integration_tests::history::{Kind, Recorder};
use integration_tests::pace::lasting;
use integration_tests::traffic::Traffic;
use integration_tests::{Process, Signal, SystemBuilder};
use test_support::containers::Kafka;
use test_support::{Test, test};

use crate::support::{ALONE, AROUND, CLIENTS};

const OUTAGE: Duration = Duration::from_secs(20);
const SHORT_OUTAGE: Duration = Duration::from_secs(10);
pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(no_answer_lies_while_the_broker_is_gone_and_all_services_go_on_afterwards, no database)
            .threads(2)
            .needs(a_broker_to_be_stopped()),
    ]
}

/// How to stop and start a Kafka that is given.
fn commands() -> Result<[String; 2], String> {
    let command = |name: &str| env::var(name).map_err(|_| format!("{name} is not set"));
    Ok([command("TEST_KAFKA_STOP")?, command("TEST_KAFKA_START")?])
}

fn a_broker_to_be_stopped() -> Result<(), String> {
    match broker::choose()? {
        Choice::Given(_) => commands().map(|_| ()),
        _ => Ok(()),
    }
}

/// A broker that can be taken away.
enum Breakable {
    Container(Box<Kafka>),
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
        match broker::choose().unwrap() {
            Choice::Container => {
                println!("The outage test stops and starts a Kafka of its own.");
                let kafka = Kafka::start_to_be_stopped().unwrap();
                let servers = kafka.bootstrap_servers().to_owned();
                (Self::Container(Box::new(kafka)), servers)
            }
            Choice::Given(servers) => {
                println!("The outage test stops and starts the Kafka at {servers}.");
                let [stop, start] = commands().unwrap();
                (Self::Commands { stop, start }, servers.clone())
            }
            Choice::Embedded { .. } => Self::frozen().await,
        }
    }

    async fn frozen() -> (Self, String) {
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
            Self::Container(kafka) => kafka.stop().unwrap(),
            Self::Frozen { process, .. } => process.signal(Signal::Stop),
            Self::Commands { stop, .. } => run(stop),
        }
    }

    fn give_back(&self) {
        match self {
            Self::Container(kafka) => kafka.start_again().unwrap(),
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
        .keep_mail()
        .set("KAFKA_DELIVERY_TIMEOUT", DELIVERY_TIMEOUT)
        .start()
        .await;
    let recorder = Recorder::new();
    let traffic = Traffic::start(&system, &recorder, CLIENTS);
    tokio::time::sleep(AROUND).await;
    recorder.interrupted("broker", Kind::End);
    broker.take_away();
    tokio::time::sleep(lasting(OUTAGE, SHORT_OUTAGE)).await;
    broker.give_back();
    tokio::time::sleep(AROUND).await;
    let answers = traffic.end().await;
    assert!(!answers.accepted.is_empty(), "before the outage");
    assert!(!answers.unknown.is_empty(), "the outage was noticed");
    println!("{}", verify(&mut system, &recorder, &answers).await);
    one_more_order(&system, &recorder).await;
    kept_every_promise(&system, &recorder).await;
}
