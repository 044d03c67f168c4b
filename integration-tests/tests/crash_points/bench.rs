//! A system whose processes are struck at one crash point after the other.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use integration_tests::history::{Kind, Recorder, Violation, check, collect};
use integration_tests::receiver::Registered;
use integration_tests::system::PROCESSES;
use integration_tests::wait::eventually;
use integration_tests::{DEADLINE, Signal, System, SystemBuilder, broker};
use quickstart::embedded::EmbeddedBroker;
use tokio::task::spawn_local;

use crate::load::{an_order_that_is_paid_late, orders_that_end, some_of_everything};
use crate::rows::{Before, Row};
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
const LOADS: usize = 40;
/// Events and poison of [`some_of_everything`], four events an order at most, and as many of what follows a strike.
const RECORDS_OF_A_LOAD: usize = 2 * (6 * 4 + 3);
/// Of one event in the log: published, struck, taken over by another instance, and swept.
const COPIES: usize = 5;
const END: Duration = Duration::from_secs(30);
pub(crate) const SIGABRT: i32 = 6;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A system and what was asked of it.
pub(crate) struct Bench {
    pub(crate) system: System,
    pub(crate) recorder: Recorder,
    /// Who is told of every order.
    pub(crate) receiver: Registered,
    mode: Mode,
    /// After the system: processes that lose their broker end late.
    broker: Option<EmbeddedBroker>,
}

impl Bench {
    /// A system of its own for the cells of a column: in files on an embedded broker where it is enough.
    pub(crate) async fn start(mode: Mode) -> Self {
        let builder = SystemBuilder::new()
            .keep_mail()
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
            receiver: Registered::with(&system).await,
            recorder: Recorder::new(),
            system,
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
        let (process, blow) = (row.process, self.mode.blow);
        let is_shared = self.mode.instances == 2;
        if row.before == Before::LostDatabase {
            // So that there is a history.
            orders_that_end(&self.system, &self.recorder).await;
        }
        self.end(process).await;
        if row.before == Before::Nothing {
            self.arm(process, row.point, blow).await;
            if is_shared {
                self.until_it_has_work(process).await;
            }
            self.load_until_struck(process, row.point, blow).await;
        } else {
            if is_shared {
                // It would do what the first one is to be struck at.
                self.end(second(process)).await;
            }
            match row.before {
                Before::Death(point) => self.lose_an_outcome(process, point).await,
                _ => self.lose_the_database(process).await,
            }
            self.arm(process, row.point, blow).await;
            self.until_struck(process, row.point, blow).await;
            if is_shared {
                self.system.spawn(second(process)).await;
            }
        }
        self.go_on(process).await;
        self.verify().await;
    }

    /// With the database of `process`, and with an order in the log that it has not decided about yet.
    async fn lose_the_database(&mut self, process: &str) {
        an_order_that_is_paid_late(&self.system, &self.recorder).await;
        let service = process.split('-').next().unwrap_or(process);
        self.system.empty_database(service).await;
    }

    /// At this point it dies with an outcome that is stored and not published, and whose cause is not read again.
    async fn lose_an_outcome(&mut self, process: &str, point: &str) {
        self.arm(process, point, Blow::Abort).await;
        an_order_that_is_paid_late(&self.system, &self.recorder).await;
        self.until_struck(process, point, Blow::Abort).await;
    }

    /// The other instance, if there is one, alone; then the one that was struck again.
    async fn go_on(&mut self, process: &str) {
        let struck = Instant::now();
        if self.mode.instances == 2 {
            orders_that_end(&self.system, &self.recorder).await;
        }
        match self.mode.blow {
            Blow::Abort => self.system.spawn(process).await,
            Blow::Freeze => {
                // The scenario itself, not a wait for something.
                tokio::time::sleep(FROZEN.saturating_sub(struck.elapsed())).await;
                self.system.process(process).signal(Signal::Continue);
            }
        }
    }

    /// By SIGTERM, so that nothing is left over.
    pub(crate) async fn end(&mut self, process: &str) {
        self.recorder.interrupted(process, Kind::End);
        let process = self.system.process(process);
        process.signal(Signal::Terminate);
        let status = process.ended(END).await;
        assert!(status.success(), "{status}\n{}", process.output());
    }

    /// Starts `process` such that it is struck at `point`, the first time that it comes there.
    pub(crate) async fn arm(&mut self, process: &str, point: &str, blow: Blow) {
        let kind = match blow {
            Blow::Abort => Kind::Kill,
            Blow::Freeze => Kind::Freeze,
        };
        self.recorder.interrupted(process, kind);
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
            some_of_everything(&self.system, &self.recorder).await;
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

    /// At rest every promise was kept.
    pub(crate) async fn verify(&mut self) {
        let violations = self.violations().await;
        assert!(violations.is_empty(), "{violations:#?}");
    }

    /// The promises that were broken, once the system is at rest.
    pub(crate) async fn violations(&mut self) -> Vec<Violation> {
        self.system.until_ready().await;
        let mut history = collect(&self.system, &self.recorder).await;
        history.webhooks.push(self.receiver.webhook());
        // Offsets are committed every tenth of a second: who is struck, or asked to end before, repeats no more
        // than what was under way, and whoever takes its partitions over no more than that.
        let strikes = 1 + history.interruptions.len();
        history.bounds.appended_again = Some(strikes * RECORDS_OF_A_LOAD);
        history.bounds.copies = COPIES;
        let mut processes = PROCESSES.to_vec();
        if self.mode.instances == 2 {
            processes.extend(["stock-1", "payment-1"]);
        }
        self.system.nobody_ended(&processes);
        check(&history)
    }
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

/// Runs a command to its end; at `point` it dies.
pub(crate) async fn output_dying_at(mut command: Command, point: Option<&str>) -> Output {
    command.stdin(Stdio::null());
    if let Some(point) = point {
        command.env("FAILPOINTS", format!("{point}=return(abort)"));
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    output.await.unwrap()
}
