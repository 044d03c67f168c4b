//! All interleavings of a world, breadth first, so that a trace to a defect is a shortest one.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;

use crate::check;
use crate::state::{Event, State};
use crate::step::{Step, steps};
use crate::world::World;

/// What was found in a world without a defect.
#[derive(Default)]
pub(crate) struct Explored {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    /// States without a step that is due.
    pub(crate) at_rest: usize,
    /// How the orders ended, in words.
    pub(crate) ends: BTreeSet<String>,
    /// Every log that was left.
    pub(crate) logs: Vec<Vec<Event>>,
}

/// A defect, and the way to it.
pub(crate) struct Broken {
    pub(crate) what: String,
    pub(crate) trace: Vec<Step>,
}

/// The states so far, by number, and how they were reached.
#[derive(Default)]
struct Graph {
    numbers: HashMap<Box<[u8]>, u32>,
    /// From which state, by which step.
    parents: Vec<Option<(u32, Step)>>,
    /// The steps that are due.
    edges: Vec<(u32, u32)>,
    at_rest: Vec<bool>,
}

impl Graph {
    /// The number of a state, and whether it is new.
    fn number(&mut self, key: Box<[u8]>, parent: Option<(u32, Step)>) -> (u32, bool) {
        let next = self.parents.len() as u32;
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.parents.push(parent);
            self.at_rest.push(false);
        }
        (number, number == next)
    }

    fn trace(&self, mut number: u32) -> Vec<Step> {
        let mut trace = Vec::new();
        while let Some((parent, step)) = self.parents[number as usize] {
            trace.push(step);
            number = parent;
        }
        trace.reverse();
        trace
    }

    fn broken(&self, number: u32, last: Option<Step>, what: String) -> Broken {
        let mut trace = self.trace(number);
        trace.extend(last);
        Broken { what, trace }
    }

    /// A state from which the steps that are due lead nowhere to rest.
    fn restless(&self) -> Option<u32> {
        let mut rests = self.at_rest.clone();
        let mut found = true;
        while found {
            found = false;
            // Most steps lead to a higher number, so that one or two passes are enough.
            for (from, to) in self.edges.iter().rev() {
                if rests[*to as usize] && !rests[*from as usize] {
                    rests[*from as usize] = true;
                    found = true;
                }
            }
        }
        rests
            .iter()
            .position(|rests| !rests)
            .map(|number| number as u32)
    }
}

/// Goes through every state of `world`.
pub(crate) fn explore(world: &World) -> Result<Explored, Broken> {
    let (mut graph, mut explored) = (Graph::default(), Explored::default());
    let mut logs = HashSet::new();
    let first = State::first(world);
    let (number, _) = graph.number(first.key(world), None);
    let mut queue = VecDeque::from([(number, first)]);
    while let Some((number, state)) = queue.pop_front() {
        check::always(world, &state).map_err(|what| graph.broken(number, None, what))?;
        let mut at_rest = true;
        for step in steps(world, &state) {
            explored.steps += 1;
            at_rest &= !step.is_due();
            let next = step.take(world, &state);
            let next = next.map_err(|what| graph.broken(number, Some(step), what))?;
            let (to, new) = graph.number(next.key(world), Some((number, step)));
            if step.is_due() {
                graph.edges.push((number, to));
            }
            if new {
                queue.push_back((to, next));
            }
        }
        if at_rest {
            let ends = check::at_rest(world, &state);
            explored
                .ends
                .insert(ends.map_err(|what| graph.broken(number, None, what))?);
            explored.at_rest += 1;
            graph.at_rest[number as usize] = true;
            logs.insert(state.log);
        }
    }
    explored.logs = logs.into_iter().collect();
    explored.states = graph.parents.len();
    match graph.restless() {
        Some(number) => Err(graph.broken(number, None, "never comes to rest".to_owned())),
        None => Ok(explored),
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            states,
            steps,
            at_rest,
            ends,
            logs,
        } = self;
        let logs = logs.len();
        write!(
            f,
            "{states} states, {steps} steps, {at_rest} at rest, {logs} logs, ends {ends:?}"
        )
    }
}

impl Broken {
    /// The way to the defect, with what each step appended to the log.
    pub(crate) fn story(&self, world: &World) -> String {
        let mut state = State::first(world);
        let mut story = format!("{}: {}\n", world.name, self.what);
        for (index, step) in self.trace.iter().enumerate() {
            let before = state.log.len();
            let taken = step.take(world, &state);
            // The last one may be what is refused.
            state = taken.unwrap_or(state);
            let appended = state.log[before..]
                .iter()
                .map(|event| format!("  => {event:?}"));
            let appended: String = appended.collect();
            story += &format!("{:3}. {step:?}{appended}\n", index + 1);
        }
        story
    }
}
