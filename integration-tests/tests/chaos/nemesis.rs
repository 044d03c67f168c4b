//! Does what is planned, and starts again what ended, as whoever runs the services would.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use integration_tests::Signal;
use integration_tests::history::{Kind, Recorder};
use tokio::time::sleep;

use crate::plan::{Operation, Server, Step, Target};
use crate::world::World;

/// Between two looks at the processes.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const SIGTERM: i32 = 15;
/// How long a process may take to end when it is asked to: more than its own limit (see `World`).
const DRAIN: Duration = Duration::from_secs(90);
/// The only reason for which a process may fail here, as its last line says it; the second is order-service's, whose
/// part `producer` ends for nothing else. What is cut, silenced and killed between an idempotent producer and its
/// broker can leave the two with different sequence numbers, which only a new process mends.
const EXCUSES: [&str; 2] = ["the producer failed for good", "\"producer: "];

/// What is meant to be with a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    /// Dead, until its step is undone.
    Down,
    /// Asked to end.
    Ending {
        since: Instant,
        restart: bool,
    },
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// By operation and target.
    pub(crate) done: BTreeMap<String, BTreeMap<String, usize>>,
    /// SIGKILLs of processes and servers.
    pub(crate) kills: usize,
    /// Processes that were asked to end: those that did with success, and the others.
    pub(crate) ended: [usize; 2],
    /// Processes that ended by themselves for the one reason that the nemesis gives them, with their last error.
    pub(crate) excused: Vec<String>,
    /// What the nemesis itself finds wrong.
    pub(crate) wrong: Vec<String>,
}

pub(crate) struct Nemesis<'a> {
    world: &'a mut World,
    recorder: &'a Recorder,
    states: BTreeMap<String, State>,
    tally: Tally,
}

/// Goes through `steps`; at the end everything is undone.
pub(crate) async fn disturb(world: &mut World, recorder: &Recorder, steps: &[Step]) -> Tally {
    let names = world.field().processes.into_iter();
    let mut nemesis = Nemesis {
        states: names.map(|name| (name, State::Up)).collect(),
        world,
        recorder,
        tally: Tally::default(),
    };
    let began = steps.iter().map(|step| (step.at, false, step));
    let ended = steps.iter().map(|step| (step.until, true, step));
    let mut moments: Vec<_> = began.chain(ended).collect();
    moments.sort_by_key(|(at, undo, _)| (*at, *undo));
    let started = Instant::now();
    // What steps themselves take, containers above all, puts off all later ones: everything lasts as long as planned.
    let mut behind = Duration::ZERO;
    for (at, undo, step) in moments {
        while started.elapsed() < at + behind {
            nemesis.look_after_processes().await;
            sleep(LOOK_AGAIN.min((at + behind).saturating_sub(started.elapsed()))).await;
        }
        let begun = Instant::now();
        match undo {
            false => nemesis.act(step).await,
            true => nemesis.undo(step).await,
        }
        behind += begun.elapsed();
    }
    while nemesis.has_ending() {
        nemesis.look_after_processes().await;
        sleep(LOOK_AGAIN).await;
    }
    nemesis.tally
}

impl Nemesis<'_> {
    async fn act(&mut self, step: &Step) {
        self.count(step);
        match (&step.target, &step.operation) {
            (Target::Process(name), operation) => self.disturb(name, operation).await,
            (Target::Visitor(name), _) => match self.states.get(name) {
                // Still on its way out.
                Some(State::Ending { .. }) => {}
                _ => self.launch(name),
            },
            (Target::Server(server), operation) => {
                self.note(name_of(*server), operation);
                self.tally.kills += usize::from(*operation == Operation::Kill);
                self.world.disturb(*server, operation);
            }
            (Target::Way(server), operation) => {
                self.note(name_of(*server), operation);
                if let Operation::Fault(fault) = operation {
                    self.world.way(*server).inject(fault.clone());
                }
            }
        }
    }

    async fn undo(&mut self, step: &Step) {
        match (&step.target, &step.operation) {
            (Target::Process(name), Operation::Freeze) => self.signal(name, Signal::Continue),
            (Target::Process(name), _) => match self.states.get_mut(name) {
                Some(State::Ending { restart, .. }) => *restart = true,
                Some(State::Down) => self.launch(name),
                _ => {}
            },
            (Target::Visitor(name), Operation::Visit { killed: true }) => {
                self.disturb(name, &Operation::Kill).await;
            }
            (Target::Visitor(name), _) => self.disturb(name, &Operation::End).await,
            (Target::Server(server), operation) => self.world.restore(*server, operation),
            (Target::Way(server), _) => self.world.way(*server).heal(),
        }
    }

    /// Noted before it is done: its effects come after it. Who has not ended yet is left alone: a second
    /// SIGTERM would end it at once.
    async fn disturb(&mut self, name: &str, operation: &Operation) {
        if self.states.get(name) != Some(&State::Up) {
            return;
        }
        self.note(name, operation);
        self.tally.kills += usize::from(*operation == Operation::Kill);
        match operation {
            Operation::Kill => {
                self.states.insert(name.to_owned(), State::Down);
                self.signal(name, Signal::Kill);
                self.world.system.process(name).ended(DRAIN).await;
            }
            Operation::End => {
                let (since, restart) = (Instant::now(), false);
                self.states
                    .insert(name.to_owned(), State::Ending { since, restart });
                self.signal(name, Signal::Terminate);
            }
            _ => self.signal(name, Signal::Stop),
        }
    }

    fn note(&self, name: &str, operation: &Operation) {
        let kind = match operation {
            Operation::Kill => Kind::Kill,
            Operation::End | Operation::Visit { .. } => Kind::End,
            Operation::Freeze => Kind::Freeze,
            Operation::Fault(_) => Kind::Cut,
        };
        self.recorder.interrupted(name, kind);
    }

    /// One that ended meanwhile gets none.
    fn signal(&mut self, name: &str, signal: Signal) {
        let process = self.world.system.process(name);
        if process.is_running() {
            process.signal(signal);
        }
    }

    fn launch(&mut self, name: &str) {
        self.world.system.launch(name);
        self.states.insert(name.to_owned(), State::Up);
    }

    fn has_ending(&self) -> bool {
        let mut states = self.states.values();
        states.any(|state| matches!(state, State::Ending { .. }))
    }

    /// Starts what ended.
    async fn look_after_processes(&mut self) {
        for (name, state) in self.states.clone() {
            let process = self.world.system.process(&name);
            let running = process.is_running();
            match state {
                State::Up if !running => {
                    let code = process.ended(DRAIN).await;
                    let how = format!("{name}: {code}: {}", last_error(&process.output()));
                    self.has_failed(how);
                    self.launch(&name);
                }
                State::Ending { restart, .. } if !running => {
                    self.has_ended(&name).await;
                    match restart {
                        true => self.launch(&name),
                        false => drop(self.states.insert(name, State::Down)),
                    }
                }
                State::Ending { since, .. } if since.elapsed() > DRAIN => {
                    let wrong = format!("{name} did not end within {DRAIN:?} when it was asked to");
                    self.tally.wrong.push(wrong);
                    self.note(&name, &Operation::Kill);
                    self.signal(&name, Signal::Kill);
                }
                _ => {}
            }
        }
    }

    async fn has_ended(&mut self, name: &str) {
        let process = self.world.system.process(name);
        let code = process.ended(DRAIN).await;
        let output = process.output();
        self.tally.ended[usize::from(!code.success())] += 1;
        // Before it listens for signals, they end it in the system's own way.
        let was_up = output.contains("Listening.");
        if !code.success() && (was_up || code.signal() != Some(SIGTERM)) {
            let how = format!("{name}: asked to end: {code}: {}", last_error(&output));
            self.has_failed(how);
        }
    }

    fn has_failed(&mut self, how: String) {
        let is_excused = EXCUSES.iter().any(|excuse| how.contains(excuse));
        match is_excused && how.contains("Service failed.") {
            true => {
                let name = how.split(':').next().unwrap_or_default();
                self.note(name, &Operation::Kill);
                self.tally.excused.push(how);
            }
            false => self.recorder.ended_by_itself(&how),
        }
    }

    fn count(&mut self, step: &Step) {
        let (target, operation) = (&step.target, &step.operation);
        let name = match target {
            Target::Process(name) | Target::Visitor(name) => name.clone(),
            Target::Server(server) => name_of(*server).to_owned(),
            Target::Way(server) => format!("way to {}", name_of(*server)),
        };
        let what = match operation {
            Operation::Fault(fault) => {
                let fault = format!("{fault:?}");
                fault.split('(').next().unwrap().to_owned()
            }
            Operation::Visit { .. } => "Visit".to_owned(),
            other => format!("{other:?}"),
        };
        let of_what = self.tally.done.entry(what).or_default();
        *of_what.entry(name).or_default() += 1;
    }
}

impl Tally {
    /// A line for each operation.
    pub(crate) fn lines(&self) -> String {
        let mut lines = String::new();
        for (what, targets) in &self.done {
            let sum: usize = targets.values().sum();
            writeln!(lines, "  {what:<12} {sum:>4}  {targets:?}").unwrap();
        }
        lines
    }
}

fn name_of(server: Server) -> &'static str {
    match server {
        Server::Broker => "broker",
        Server::Postgres => "postgres",
    }
}

fn last_error(output: &str) -> String {
    let mut lines = output.lines().rev();
    let error = lines.find(|line| line.contains("ERROR"));
    let last = error.or_else(|| output.lines().last());
    last.unwrap_or("it wrote nothing").to_owned()
}
