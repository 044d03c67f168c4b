//! What is done to the system, and when: from a seed alone, so that a run can be had again.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use test_support::{Direction, Fault};

/// Who is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A process of the system by its name.
    Process(String),
    /// A member that joins a group and leaves it again.
    Visitor(String),
    /// A server.
    Server(Server),
    /// The way to a server.
    Way(Server),
}

/// A server that the services need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Server {
    Broker,
    Postgres,
}

/// What is done, and undone at the end of the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Ended by SIGKILL; started again.
    Kill,
    /// Ended by SIGTERM, of a container by a stop; started again.
    End,
    /// SIGSTOP, of a container a pause; continued.
    Freeze,
    /// A fault of the network; healed.
    Fault(Fault),
    /// Joins; leaves by SIGKILL or by SIGTERM.
    Visit { killed: bool },
}

/// One disturbance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Since the start of the run.
    pub(crate) at: Duration,
    /// When it is undone.
    pub(crate) until: Duration,
    pub(crate) target: Target,
    pub(crate) operation: Operation,
}

/// What there is to be disturbed.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Processes that are restarted.
    pub(crate) processes: Vec<String>,
    /// Names of members that come and go.
    pub(crate) visitors: Vec<String>,
    /// Those that can be killed and stopped; the others can only be frozen.
    pub(crate) containers: bool,
    /// Servers that can be frozen.
    pub(crate) servers: Vec<Server>,
    /// Those that have a proxy before them.
    pub(crate) ways: Vec<Server>,
}

/// Between two steps, in milliseconds.
const BETWEEN: std::ops::Range<u64> = 800..2400;
/// What a server gets after a fault before the next one.
const RECOVERY: Duration = Duration::from_secs(12);
/// The same of a process.
const BREATH: Duration = Duration::from_secs(6);
/// Members that come and go one after the other in a storm.
const STORM: usize = 4;

/// Plans something, and says whether its target was free.
type Act = fn(&mut Planner<'_>, Duration) -> bool;

/// What chance may leave out of a minute, by the second at which it happens at the earliest: every run has it where
/// there is a target for it.
const CERTAIN: [(u64, Act); 11] = [
    (0, |planner, at| planner.process(at, Operation::Freeze)),
    (2, |planner, at| planner.fault(at, Server::Broker, LATENCY)),
    (4, |planner, at| planner.storm(at)),
    (6, |planner, at| {
        planner.fault(at, Server::Postgres, CUT_REPLY)
    }),
    (10, |planner, at| planner.kill(at, Server::Broker)),
    (12, |planner, at| planner.process(at, Operation::End)),
    (16, |planner, at| {
        planner.fault(at, Server::Postgres, SILENT)
    }),
    (24, |planner, at| planner.fault(at, Server::Broker, SILENT)),
    (28, |planner, at| planner.kill(at, Server::Postgres)),
    (34, |planner, at| planner.fault(at, Server::Postgres, CUT)),
    (36, |planner, at| planner.fault(at, Server::Broker, CUT)),
];
/// Kinds of [`Fault`], for the dice of [`Planner::fault`].
const CUT: u8 = 0;
const SILENT: u8 = 1;
const LATENCY: u8 = 3;
const CUT_REPLY: u8 = 4;

/// The steps of a run that lasts so long, in their order.
pub(crate) fn plan(seed: u64, length: Duration, field: &Field) -> Vec<Step> {
    let mut planner = Planner {
        random: Rng::with_seed(seed),
        field,
        busy: BTreeMap::new(),
        steps: Vec::new(),
    };
    let mut at = Duration::ZERO;
    let mut certain = CERTAIN.to_vec();
    while at < length {
        let is_done = |(second, act): &(u64, Act)| {
            Duration::from_secs(*second) <= at && act(&mut planner, at)
        };
        match certain.iter().position(is_done) {
            Some(place) => drop(certain.remove(place)),
            None => planner.step(at),
        }
        at += Duration::from_millis(planner.random.u64(BETWEEN));
    }
    // A storm reaches ahead of the steps after it.
    planner.steps.retain(|step| step.at < length);
    planner.steps.sort_by_key(|step| step.at);
    planner.steps
}

struct Planner<'a> {
    random: Rng,
    field: &'a Field,
    /// Until when nothing else may happen to a target.
    busy: BTreeMap<Target, Duration>,
    steps: Vec<Step>,
}

impl Planner<'_> {
    /// One more step at this moment, or none where everything is disturbed already.
    fn step(&mut self, at: Duration) {
        match self.random.u8(..100) {
            0..62 => self.process(at, Operation::Kill),
            62..69 => self.process(at, Operation::End),
            69..76 => self.process(at, Operation::Freeze),
            76..80 => self.storm(at),
            80..86 => self.server(at),
            _ => self.way(at),
        };
    }

    fn process(&mut self, at: Duration, operation: Operation) -> bool {
        let names = self.field.processes.iter().cloned();
        let Some(target) = self.free(at, names.map(Target::Process)) else {
            return false;
        };
        let lasting = match operation {
            // Longer than the session timeout: its partitions are given away.
            Operation::Freeze => self.millis(7000..9500),
            _ => self.millis(50..2000),
        };
        self.add(at, lasting, BREATH, target, operation);
        true
    }

    fn storm(&mut self, at: Duration) -> bool {
        let names = self.field.visitors.iter().cloned();
        let Some(target) = self.free(at, names.map(Target::Visitor)) else {
            return false;
        };
        let mut joins = at;
        for _ in 0..STORM {
            let (stays, killed) = (self.millis(1500..3500), self.random.bool());
            let visit = Operation::Visit { killed };
            self.add(joins, stays, Duration::ZERO, target.clone(), visit);
            joins += stays + self.millis(200..1000);
        }
        true
    }

    fn kill(&mut self, at: Duration, server: Server) -> bool {
        let servers = self.field.servers.iter().filter(|one| **one == server);
        let target = servers.copied().map(Target::Server);
        match self.free(at, target) {
            Some(target) if self.field.containers => {
                let lasting = self.millis(200..5000);
                self.add(at, lasting, RECOVERY, target, Operation::Kill);
                true
            }
            _ => false,
        }
    }

    fn server(&mut self, at: Duration) -> bool {
        let servers = self.field.servers.clone();
        let Some(target) = self.free(at, servers.into_iter().map(Target::Server)) else {
            return false;
        };
        let operation = match self.random.u8(..4) {
            0 | 1 if self.field.containers => Operation::Kill,
            2 if self.field.containers => Operation::End,
            _ => Operation::Freeze,
        };
        let lasting = match operation {
            Operation::Freeze => self.millis(2000..10_000),
            _ => self.millis(200..5000),
        };
        self.add(at, lasting, RECOVERY, target, operation);
        true
    }

    fn way(&mut self, at: Duration) -> bool {
        let die = self.random.u8(..6);
        match self.random.choice(self.field.ways.clone()) {
            Some(server) => self.fault(at, server, die),
            None => false,
        }
    }

    fn fault(&mut self, at: Duration, server: Server, die: u8) -> bool {
        let ways = self.field.ways.iter().filter(|way| **way == server);
        let target = ways.copied().map(Target::Way);
        let Some(target) = self.free(at, target) else {
            return false;
        };
        let (fault, lasting) = match die {
            CUT => (Fault::Cut, self.millis(50..4000)),
            SILENT | 2 => {
                let directions = [Direction::ToServer, Direction::ToClient];
                let direction = directions[usize::from(self.random.bool())];
                (Fault::Silent(direction), self.millis(1000..8000))
            }
            LATENCY => (
                Fault::Latency(self.millis(50..300)),
                self.millis(2000..6000),
            ),
            _ if server == Server::Postgres => (
                Fault::CutReplyTo("COMMIT".to_owned()),
                self.millis(1000..3000),
            ),
            _ => (Fault::Cut, self.millis(50..300)),
        };
        self.add(at, lasting, BREATH, target, Operation::Fault(fault));
        true
    }

    /// One of `targets` to which nothing happens at this moment.
    fn free(&mut self, at: Duration, targets: impl Iterator<Item = Target>) -> Option<Target> {
        let is_free = |target: &Target| self.busy.get(target).is_none_or(|until| *until <= at);
        let free: Vec<Target> = targets.filter(is_free).collect();
        self.random.choice(free)
    }

    fn add(
        &mut self,
        at: Duration,
        lasting: Duration,
        afterwards: Duration,
        target: Target,
        operation: Operation,
    ) {
        let until = at + lasting;
        self.busy.insert(target.clone(), until + afterwards);
        self.steps.push(Step {
            at,
            until,
            target,
            operation,
        });
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.u64(range))
    }
}
