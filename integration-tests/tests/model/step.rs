//! What can happen next.

use crate::effect::Kind;
use crate::mutation::Mutation;
use crate::participant::Defect;
use crate::state::{Event, Job, Kept, Service, State};
use crate::world::World;

/// One step. Orders are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// An order is placed.
    Place(usize),
    /// A participant takes so many records and commits.
    Read(Service, usize),
    /// The outcomes of its batch are acknowledged.
    PublishBatch(Service),
    /// Its outcome of a job, a request or the sweep is acknowledged.
    Publish(Service, usize),
    /// Its sweep finds a lost outcome.
    Sweep(Service, usize),
    /// A worker leases a job.
    Begin(Kind, usize),
    /// A job comes to its result.
    Finish(Kind, usize),
    /// Somebody asks for the cancellation.
    Cancel(usize),
    /// The order is overdue.
    Deadline(usize),
    /// The gateway moves the money, and its answer is lost.
    LoseAnswer(Kind, usize),
    /// A service dies before it has published.
    Crash(Service),
    /// A service reads again, from this offset.
    Reread(Service, usize),
    /// The record at this offset is appended once more.
    Repeat(usize),
}

impl Step {
    /// Whether it happens in the end. Everything else may as well never happen.
    pub(crate) fn is_due(self) -> bool {
        match self {
            Self::Place(_) | Self::Read(..) | Self::PublishBatch(_) | Self::Publish(..) => true,
            Self::Sweep(..) | Self::Begin(..) | Self::Finish(..) => true,
            Self::Cancel(_) | Self::Deadline(_) | Self::LoseAnswer(..) => false,
            Self::Crash(_) | Self::Reread(..) | Self::Repeat(_) => false,
        }
    }

    /// The state after this step, which is one of [`steps`].
    pub(crate) fn take(self, world: &World, before: &State) -> Result<State, Defect> {
        let mut state = before.clone();
        match self {
            Self::Place(order) => state.log.push(Event::pending(order)),
            Self::Read(service, records) => state.read(world, service, records)?,
            Self::PublishBatch(service) => state.publish_batch(service),
            Self::Publish(service, order) => state.publish(service, order),
            Self::Sweep(service, order) => {
                let row = state.row_mut(service, order);
                row.publishing = row.unconfirmed;
            }
            Self::Begin(kind, order) => state.set_job(kind, order, Job::Begun),
            Self::Finish(kind, order) => state.finish(world, kind, order)?,
            Self::Cancel(order) => state.request(world, order)?,
            Self::Deadline(order) => state.expire(world, order)?,
            Self::LoseAnswer(kind, order) => state.lose_answer(world, kind, order)?,
            Self::Crash(service) => {
                state.faults.crashes -= 1;
                state.crash(service);
            }
            Self::Reread(service, from) => {
                state.faults.rereads -= 1;
                state.of_mut(service).next = from;
            }
            Self::Repeat(offset) => {
                state.faults.repeats -= 1;
                state.log.push(state.log[offset]);
            }
        }
        state.settle(world)?;
        Ok(state)
    }
}

/// Everything that can happen next.
pub(crate) fn steps(world: &World, state: &State) -> Vec<Step> {
    let mut steps = Vec::new();
    for service in Service::ALL {
        of_service(world, state, service, &mut steps);
    }
    for order in 0..world.orders.len() {
        of_order(world, state, order, &mut steps);
    }
    if state.faults.repeats > 0 {
        let log = &state.log;
        let first = |offset: &usize| !log[..*offset].contains(&log[*offset]);
        steps.extend((0..log.len()).filter(first).map(Step::Repeat));
    }
    steps
}

fn of_service(world: &World, state: &State, service: Service, steps: &mut Vec<Step>) {
    let participant = state.of(service);
    if participant.batch.is_some() {
        steps.push(Step::PublishBatch(service));
    } else {
        let most = world.batch.min(state.log.len() - participant.next);
        steps.extend((1..=most).map(|records| Step::Read(service, records)));
        if state.faults.rereads > 0 && participant.next > 0 {
            steps.push(Step::Reread(service, 0));
            if participant.next > 1 {
                steps.push(Step::Reread(service, participant.next - 1));
            }
        }
    }
    let mut publishes = participant.batch.is_some();
    for order in 0..world.orders.len() {
        if participant.rows[order].publishing.is_some() {
            publishes = true;
            steps.push(Step::Publish(service, order));
        } else if state.is_lost(service, order) && !world.has(Mutation::LostIsLost) {
            steps.push(Step::Sweep(service, order));
        }
    }
    if publishes && state.faults.crashes > 0 {
        steps.push(Step::Crash(service));
    }
}

fn of_order(world: &World, state: &State, order: usize, steps: &mut Vec<Step>) {
    let own = &state.own[order];
    if !state.log.contains(&Event::pending(order)) {
        steps.push(Step::Place(order));
    }
    for kind in [Kind::Charge, Kind::Refund, Kind::Dispatch] {
        match state.job(kind, order) {
            // Nobody takes a refund back, so it makes no difference who has begun it.
            Job::Due if kind != Kind::Refund => steps.push(Step::Begin(kind, order)),
            Job::Due | Job::Begun => {
                steps.push(Step::Finish(kind, order));
                if state.faults.lost_answers > 0 && kind != Kind::Dispatch {
                    steps.push(Step::LoseAnswer(kind, order));
                }
            }
            Job::None | Job::Done | Job::Withdrawn => {}
        }
    }
    let read = state.row(Service::Order, order).fold.status().is_some();
    if own.cancels > 0 && read {
        steps.push(Step::Cancel(order));
    }
    let read_all = state.of(Service::Order).next == state.log.len();
    if world.deadline && own.kept == Kept::Open && read_all {
        steps.push(Step::Deadline(order));
    }
}
