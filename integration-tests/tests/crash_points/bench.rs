//! A system whose processes are struck at one crash point after the other.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use integration_tests::invariants::{effects_agree, ended_everywhere, nobody_ended};
use integration_tests::wait::{eventually, eventually_within};
use integration_tests::{DEADLINE, Signal, System, SystemBuilder, broker};
use quickstart::embedded::EmbeddedBroker;
use service_runtime::kafka::{Record, dlt};
use tokio::task::spawn_local;

use crate::load::Asked;
use crate::rows::Row;
use crate::table::{Blow, Mode};

const SESSION_TIMEOUT: &str = "3s";
/// So that an offset is committed before an order is paid late.
const COMMIT_SOON: &str = "auto.commit.interval.ms=100";
/// After it PostgreSQL ends a transaction whose process is frozen.
const STATEMENT_TIMEOUT: &str = "2s";
/// A job's lease is a little longer than five seconds.
const GATEWAY_TIMEOUT: &str = "200ms";
/// Longer than the session timeout, than the time that PostgreSQL gives a transaction, and than a job's lease.
const FROZEN: Duration = Duration::from_secs(7);
/// How long a load may take until it reaches the point; then there is more of it.
const PATIENCE: Duration = Duration::from_secs(3);
const LOADS: usize = 20;
const END: Duration = Duration::from_secs(30);
pub(crate) const SIGABRT: i32 = 6;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A system and what was asked of it.
pub(crate) struct Bench {
    pub(crate) system: System,
    pub(crate) asked: Asked,
    mode: Mode,
    /// After the system: processes that lose their broker end late.
    broker: Option<EmbeddedBroker>,
}

impl Bench {
    /// A system of its own for the cells of a column: in files on an embedded broker where it is enough.
    pub(crate) async fn start(mode: Mode) -> Self {
        let builder = SystemBuilder::new()
            .stock_instances(mode.instances)
            .set("KAFKA_SESSION_TIMEOUT", SESSION_TIMEOUT)
            .set("KAFKA_EXTRA", COMMIT_SOON)
            .set("DATABASE_STATEMENT_TIMEOUT", STATEMENT_TIMEOUT)
            .set("PAYMENT_TIMEOUT", GATEWAY_TIMEOUT);
        let is_alone = mode.instances == 1 && mode.blow == Blow::Abort;
        let broker = is_alone.then(|| EmbeddedBroker::start(0).expect("the embedded broker"));
        let builder = match &broker {
            Some(broker) => builder.on(broker.bootstrap_servers()).in_files(),
            None => builder,
        };
        let mut system = builder.start().await;
        if mode.instances == 2 {
            system.spawn(second("payment")).await;
            system.until_ready().await;
        }
        Self {
            system,
            asked: Asked::default(),
            mode,
            broker,
        }
    }

    /// Of the broker that its services use.
    pub(crate) fn bootstrap_servers(&self) -> String {
        let own = self.broker.as_ref().map(EmbeddedBroker::bootstrap_servers);
        own.map_or_else(broker::bootstrap_servers, str::to_owned)
    }

    /// Strikes the process of `row` at its point, has it go on, and checks everything.
    pub(crate) async fn strike(&mut self, row: Row) {
        let mode = self.mode;
        self.end(row.process).await;
        let is_second_late = row.first.is_some() && mode.instances == 2;
        if is_second_late {
            // It would do what the first one is to be struck at.
            self.end(second(row.process)).await;
        }
        if let Some(first) = row.first {
            self.arm(row.process, first, Blow::Abort).await;
            self.asked.paid_late(&self.system).await;
            self.until_struck(row.process, first, Blow::Abort).await;
        }
        self.arm(row.process, row.point, mode.blow).await;
        if mode.instances == 2 && !is_second_late {
            self.until_it_has_work(row.process).await;
        }
        if row.first.is_some() {
            self.until_struck(row.process, row.point, mode.blow).await;
        } else {
            self.load_until_struck(row.process, row.point, mode.blow)
                .await;
        }
        let struck = Instant::now();
        if is_second_late {
            self.system.spawn(second(row.process)).await;
        }
        if mode.instances == 2 {
            // The other one goes on alone.
            self.asked.that_end(&self.system).await;
        }
        match mode.blow {
            Blow::Abort => self.system.spawn(row.process).await,
            Blow::Freeze => {
                // The scenario itself, not a wait for something.
                tokio::time::sleep(FROZEN.saturating_sub(struck.elapsed())).await;
                self.system.process(row.process).signal(Signal::Continue);
            }
        }
        let service = row.process.split('-').next().unwrap();
        self.verify(&[service]).await;
    }

    /// By SIGTERM, so that nothing is left over.
    pub(crate) async fn end(&mut self, process: &str) {
        let process = self.system.process(process);
        process.signal(Signal::Terminate);
        let status = process.ended(END).await;
        assert!(status.success(), "{status}\n{}", process.output());
    }

    /// Starts `process` such that it is struck at `point`, the first time that it comes there.
    pub(crate) async fn arm(&mut self, process: &str, point: &str, blow: Blow) {
        let failpoints = format!("{point}=1*return({})", blow.action());
        let settings = [("FAILPOINTS", failpoints.as_str())];
        self.system.spawn_with(process, &settings).await;
    }

    /// Waits until the group has given `process` a partition.
    async fn until_it_has_work(&self, process: &str) {
        let (service, client) = match process {
            "payment" => ("payment", &self.system.payment),
            _ => ("stock", &self.system.stock[0]),
        };
        let labels = format!(r#"group="{}","#, self.system.group(service));
        eventually("partition of its own", || async {
            let owned = client.metric("consumer_partition_owned", &labels).await;
            owned.values().any(|owned| *owned > 0.0).then_some(())
        })
        .await;
    }

    /// Waits until the process comes to the point by itself.
    pub(crate) async fn until_struck(&mut self, process: &str, point: &str, blow: Blow) {
        let waiting = Instant::now();
        while !self.is_struck(process, point, blow) {
            assert!(
                waiting.elapsed() < DEADLINE,
                "{process} never came to {point}"
            );
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// # Panics
    /// However much there is to do, the process never comes to the point.
    pub(crate) async fn load_until_struck(&mut self, process: &str, point: &str, blow: Blow) {
        for _ in 0..LOADS {
            if self.is_struck(process, point, blow) {
                return;
            }
            self.asked.more(&self.system).await;
            let loaded = Instant::now();
            while loaded.elapsed() < PATIENCE {
                if self.is_struck(process, point, blow) {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        panic!("{process} never came to {point}");
    }

    /// Whether it died or froze, and that it did so at the point.
    fn is_struck(&mut self, name: &str, point: &str, blow: Blow) -> bool {
        let process = self.system.process(name);
        let ended = process.try_ended();
        match blow {
            Blow::Abort if ended.is_none() => return false,
            Blow::Freeze if ended.is_none() && !process.is_frozen() => return false,
            Blow::Abort => assert_eq!(ended.and_then(|status| status.signal()), Some(SIGABRT)),
            Blow::Freeze => assert_eq!(ended, None, "{}", process.output()),
        }
        let said = format!("failpoint {point}: {}", blow.action());
        assert!(process.output().contains(&said), "{}", process.output());
        true
    }

    /// At rest everything that was asked for was done, once, and `services` dead-lettered what nobody can read.
    pub(crate) async fn verify(&mut self, services: &[&str]) {
        self.system.until_ready().await;
        let statuses = ended_everywhere(&self.system).await;
        assert!(
            statuses.keys().eq(self.asked.wishes.keys()),
            "exactly what was accepted"
        );
        effects_agree(&self.system, &self.asked.wishes, &statuses).await;
        for service in services {
            self.poison_is_dead_lettered(service).await;
        }
        let mut processes = vec![
            "order", "stock-0", "email", "payment", "shipping", "webhook",
        ];
        if self.mode.instances == 2 {
            processes.extend(["stock-1", "payment-1"]);
        }
        nobody_ended(&mut self.system, &processes);
    }

    /// All of it and nothing else, byte for byte; what was repeated may be there again.
    async fn poison_is_dead_lettered(&self, service: &str) {
        let (log, group) = (&self.system.log, self.system.group(service));
        let letters = eventually_within("dead letter of every poison", END, || async {
            let letters: BTreeMap<(i32, i64), Vec<u8>> =
                log.dead_letters(&group).await.iter().map(origin).collect();
            (letters.len() >= self.asked.poison.len()).then_some(letters)
        })
        .await;
        assert_eq!(letters, self.asked.poison);
    }
}

/// Where the record of a letter came from, and its value.
fn origin(letter: &Record) -> ((i32, i64), Vec<u8>) {
    let header = |name: &str| {
        let found = letter.headers.iter().find(|(header, _)| header == name);
        &found.expect("a dead-letter header").1[..]
    };
    let partition = i32::from_be_bytes(header(dlt::ORIGINAL_PARTITION).try_into().unwrap());
    let offset = i64::from_be_bytes(header(dlt::ORIGINAL_OFFSET).try_into().unwrap());
    (
        (partition, offset),
        letter.value.clone().unwrap_or_default(),
    )
}

/// The other instance of a process.
fn second(process: &str) -> &'static str {
    match process {
        "payment" => "payment-1",
        _ => "stock-1",
    }
}

/// Runs a cell on `bench`, or on a new one; the bench to go on with if it holds. Its panic is printed where it happens.
pub(crate) async fn cell(
    bench: Option<Bench>,
    mode: Mode,
    scenario: impl AsyncFnOnce(&mut Bench) + 'static,
) -> Option<Bench> {
    let struck = spawn_local(async move {
        let mut bench = match bench {
            Some(bench) => bench,
            None => Bench::start(mode).await,
        };
        scenario(&mut bench).await;
        bench
    });
    struck.await.ok()
}
