//! Those that only read: email-service.
//!
//! It appends nothing, and nobody reads what it keeps. So each of its steps can be put off until the others
//! are at rest, without a difference to anybody, and it is enough to take it through every log that they can
//! leave; with a death and a reread of its own. Of each order it keeps rows that no other order changes: so one
//! order of a log is enough at a time.

use std::collections::{BTreeSet, HashSet};

use base_domains::{Effect, OrderState, OrderStatus, event_id};
use email_service::message_id::MessageId;
use service_runtime::lifecycle::ServiceConfig as _;

use crate::mutation::Mutation;
use crate::participant::Defect;
use crate::state::Event;
use crate::world::{ORDERS, World};

/// What email-service does when nothing is set.
struct Settings {
    states: Vec<OrderStatus>,
    domain: String,
}

/// A mail job by what its id says: the order, and the place of the status in [`OrderStatus::ALL`].
type Mail = (usize, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Job {
    /// The offset of the record that it was made of.
    cause: usize,
    /// How often it was handed over.
    sent: u8,
    done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Mailing {
    next: usize,
    folds: [OrderState; ORDERS],
    jobs: [[Option<Job>; OrderStatus::ALL.len()]; ORDERS],
    /// How often it may still read everything again, and die between handing over and recording.
    rereads: u8,
    deaths: u8,
}

impl Settings {
    fn default() -> Self {
        let nothing = std::iter::empty::<(String, String)>();
        let mail = email_service::Config::load(None, nothing).unwrap().0.mail;
        Self {
            states: mail.states,
            domain: mail.message_id_domain,
        }
    }
}

/// Takes email-service through all of `logs`; the number of its states.
pub(crate) fn explore_all(world: &World, logs: &[Vec<Event>]) -> Result<usize, Defect> {
    let orders = 0..world.orders.len();
    let lives: HashSet<Vec<Event>> = orders
        .flat_map(|order| {
            let of_order = move |event: &&Event| event.order() == order;
            let life = move |log: &Vec<Event>| log.iter().filter(of_order).copied().collect();
            logs.iter().map(life)
        })
        .collect();
    let settings = Settings::default();
    lives
        .iter()
        .map(|life| explore(world, &settings, life))
        .sum()
}

/// Takes it through `log` in every way.
fn explore(world: &World, settings: &Settings, log: &[Event]) -> Result<usize, Defect> {
    let first = Mailing {
        next: 0,
        folds: [OrderState::default(); ORDERS],
        jobs: Default::default(),
        rereads: 1,
        deaths: 1,
    };
    let mut seen = HashSet::from([first]);
    let mut open = vec![first];
    while let Some(state) = open.pop() {
        if state.next == log.len() && state.due().is_none() {
            state.check(world, settings, log)?;
        }
        for next in state.steps(world, settings, log) {
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    Ok(seen.len())
}

impl Mailing {
    fn jobs(&self) -> impl Iterator<Item = (Mail, Job)> {
        let mails = (0..ORDERS).flat_map(|order| {
            let places = 0..OrderStatus::ALL.len();
            places.map(move |place| (order, place))
        });
        mails.filter_map(|mail| Some((mail, self.jobs[mail.0][mail.1]?)))
    }

    /// The next job. They have nothing in common, so that it is enough to run one after the other.
    fn due(&self) -> Option<(Mail, Job)> {
        self.jobs().find(|(_, job)| !job.done)
    }

    fn steps(&self, world: &World, settings: &Settings, log: &[Event]) -> Vec<Self> {
        let mut steps = Vec::new();
        if self.next < log.len() {
            let mut read = *self;
            read.read(world, settings, log[self.next]);
            steps.push(read);
        }
        if let Some(((order, place), job)) = self.due() {
            let sent = |done| {
                let sent = job.sent + 1;
                Some(Job { sent, done, ..job })
            };
            let mut recorded = *self;
            recorded.jobs[order][place] = sent(true);
            steps.push(recorded);
            if self.deaths > 0 {
                let mut died = *self;
                died.deaths -= 1;
                died.jobs[order][place] = sent(false);
                steps.push(died);
            }
        }
        if self.rereads > 0 && self.next > 0 {
            let mut again = *self;
            again.rereads -= 1;
            again.next = 0;
            steps.push(again);
        }
        steps
    }

    /// `MailDecider`: one job for each change to a state that is mailed.
    fn read(&mut self, world: &World, settings: &Settings, event: Event) {
        let effect = self.folds[event.order()].apply(event.status);
        let changes = effect == Effect::Effective || world.has(Mutation::MailsWithoutFold);
        if changes && settings.states.contains(&event.status) {
            let (cause, sent, done) = (self.next, 0, false);
            // Of two jobs with one id the first one is kept.
            let job = &mut self.jobs[event.order()][place(event.status)];
            job.get_or_insert(Job { cause, sent, done });
        }
        self.next += 1;
    }

    /// When all is sent: one `Message-ID` for each state of each order that is mailed, and no other.
    fn check(&self, world: &World, settings: &Settings, log: &[Event]) -> Result<(), Defect> {
        let mailed: BTreeSet<Mail> = (0..world.orders.len())
            .flat_map(|order| {
                passed(log, order)
                    .into_iter()
                    .map(move |status| (order, status))
            })
            .filter(|(_, status)| settings.states.contains(status))
            .map(|(order, status)| (order, place(status)))
            .collect();
        let jobs: Vec<(Mail, Job)> = self.jobs().collect();
        if jobs.iter().map(|(mail, _)| *mail).collect::<BTreeSet<_>>() != mailed {
            return Err(format!(
                "{jobs:?} are mailed instead of {mailed:?} of {log:?}"
            ));
        }
        let mut all = BTreeSet::new();
        for (_, job) in jobs {
            let ids: BTreeSet<String> = (0..job.sent)
                .map(|attempt| message_id(world, settings, log[job.cause], attempt))
                .collect();
            if ids.len() != 1 || job.sent > 2 - self.deaths {
                return Err(format!("{job:?} was sent with the ids {ids:?}"));
            }
            all.extend(ids);
        }
        if all.len() != mailed.len() {
            return Err(format!("two mails have one id: {all:?}"));
        }
        Ok(())
    }
}

fn place(status: OrderStatus) -> usize {
    OrderStatus::ALL
        .iter()
        .position(|other| *other == status)
        .unwrap()
}

/// The states that an order passed by this log, in words other than those of the fold: each goes further than
/// all before, and the first end is the last.
fn passed(log: &[Event], order: usize) -> Vec<OrderStatus> {
    let mut passed: Vec<OrderStatus> = Vec::new();
    for event in log.iter().filter(|event| event.order() == order) {
        let last = passed.last().copied();
        let ended = last.is_some_and(OrderStatus::is_terminal);
        let further = last.is_none_or(|last| place(event.status) > place(last));
        if !ended && (further || event.status.is_terminal()) {
            passed.push(event.status);
        }
    }
    passed
}

fn message_id(world: &World, settings: &Settings, event: Event, attempt: u8) -> String {
    let order_id = world.orders[event.order()].id;
    let writer = event.writer.writer();
    let mut event_id = event_id(order_id, event.status, writer, event.reason()).to_string();
    if world.has(Mutation::EveryAttemptHasItsMessageId) {
        event_id += &attempt.to_string();
    }
    let id = MessageId::new(order_id, event.status, &event_id, &settings.domain);
    id.unwrap().to_string()
}
