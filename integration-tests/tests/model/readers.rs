//! Those that only read: email-service.
//!
//! It appends nothing, and nobody reads what it keeps. So each of its steps can be put off until the others
//! are at rest, without a difference to anybody, and it is enough to take it through every log that they can
//! leave; with deaths and rereads of its own.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{Effect, OrderState, OrderStatus, event_id};
use email_service::message_id::MessageId;
use service_runtime::lifecycle::ServiceConfig as _;

use crate::mutation::Mutation;
use crate::participant::Defect;
use crate::state::Event;
use crate::world::{ORDERS, World};

/// What email-service does when nothing is set.
pub(crate) struct Settings {
    states: Vec<OrderStatus>,
    domain: String,
}

/// A mail job by what its id says: the order, and the place of the status in [`OrderStatus::ALL`].
type Mail = (usize, usize);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Job {
    /// The record in the log that it was made of.
    cause: usize,
    /// How often it was handed over.
    sent: u8,
    done: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mailing {
    next: usize,
    /// Folded states by their place in [`OrderStatus::ALL`].
    folds: [Option<usize>; ORDERS],
    jobs: BTreeMap<Mail, Job>,
    /// How often it may still read everything again, and die between handing over and recording.
    rereads: u8,
    deaths: u8,
}

impl Settings {
    pub(crate) fn default() -> Self {
        let nothing = std::iter::empty::<(String, String)>();
        let mail = email_service::Config::load(None, nothing).unwrap().0.mail;
        Self {
            states: mail.states,
            domain: mail.message_id_domain,
        }
    }
}

/// Takes email-service through `log` in every way; the number of its states.
pub(crate) fn explore(world: &World, settings: &Settings, log: &[Event]) -> Result<usize, Defect> {
    let first = Mailing {
        next: 0,
        folds: [None; ORDERS],
        jobs: BTreeMap::new(),
        rereads: 1,
        deaths: 1,
    };
    let mut seen = BTreeSet::from([first.clone()]);
    let mut open = vec![first];
    while let Some(state) = open.pop() {
        let next = state.steps(world, settings, log);
        if state.next == log.len() && state.jobs.values().all(|job| job.done) {
            state.check(world, settings, log)?;
        } else if next.is_empty() {
            return Err(format!("mail is stuck: {state:?} {log:?}"));
        }
        open.extend(next.into_iter().filter(|next| seen.insert(next.clone())));
    }
    Ok(seen.len())
}

impl Mailing {
    fn steps(&self, world: &World, settings: &Settings, log: &[Event]) -> Vec<Self> {
        let mut steps = Vec::new();
        if self.next < log.len() {
            let mut read = self.clone();
            read.read(world, settings, log[self.next]);
            steps.push(read);
        }
        for (mail, job) in self.jobs.iter().filter(|(_, job)| !job.done) {
            let sent = |done| Job {
                cause: job.cause,
                sent: job.sent + 1,
                done,
            };
            let mut recorded = self.clone();
            recorded.jobs.insert(*mail, sent(true));
            steps.push(recorded);
            if self.deaths > 0 {
                let mut died = self.clone();
                died.deaths -= 1;
                died.jobs.insert(*mail, sent(false));
                steps.push(died);
            }
        }
        if self.rereads > 0 && self.next > 0 {
            let mut again = self.clone();
            again.rereads -= 1;
            again.next = 0;
            steps.push(again);
        }
        steps
    }

    /// `MailDecider`: one job for each change to a state that is mailed.
    fn read(&mut self, world: &World, settings: &Settings, event: Event) {
        let fold = &mut self.folds[event.order()];
        let mut state = OrderState::from(fold.map(|place| OrderStatus::ALL[place]));
        let effect = state.apply(event.status);
        *fold = state.status().map(place);
        let changes = effect == Effect::Effective || world.has(Mutation::MailsWithoutFold);
        if changes && settings.states.contains(&event.status) {
            let (cause, sent, done) = (self.next, 0, false);
            let job = self.jobs.entry((event.order(), place(event.status)));
            job.or_insert(Job { cause, sent, done });
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
        if self.jobs.keys().copied().collect::<BTreeSet<_>>() != mailed {
            return Err(format!(
                "{:?} are mailed instead of {mailed:?} of {log:?}",
                self.jobs
            ));
        }
        let mut all = BTreeSet::new();
        for job in self.jobs.values() {
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
