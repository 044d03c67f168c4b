//! How every participant reads and appends, as `service_runtime::participant` does it, with the system's own
//! fold. What a service decides stands in [`decision`](crate::decision).
//!
//! - A batch is one transaction: fold, decide about what had an effect, store the outcome. It is published
//!   after the commit, and only then the offset is stored.
//! - Who dies in between reads the batch again. The fold ignores it, and the stored outcome of a repeated
//!   cause is published again.
//! - An unconfirmed outcome is replaced only by one of a higher rank. What was read back, or overtaken, is
//!   confirmed.
//! - The sweep publishes what is unconfirmed when the log is read to its end.

use base_domains::{Effect, OrderState};

use crate::decision;
use crate::mutation::Mutation;
use crate::state::{Batch, Event, Row, Service, State};
use crate::world::{ORDERS, World};

/// A contradiction that a step came upon.
pub(crate) type Defect = String;

impl Row {
    fn apply(&mut self, world: &World, event: Event) -> Effect {
        let effect = self.fold.apply(event.status);
        let late = effect == Effect::NoEffect
            && event.status.is_terminal()
            && self.fold.status() != Some(event.status);
        if late && world.has(Mutation::LateEndWins) {
            self.fold = OrderState::from(Some(event.status));
            return Effect::Effective;
        }
        self.confirm();
        effect
    }

    fn confirm(&mut self) {
        let rank = self.fold.rank();
        self.unconfirmed = self
            .unconfirmed
            .filter(|outcome| outcome.status.rank() > rank);
    }

    /// Stores what was decided about an order that was at `state` then; whether it is stored.
    fn store(
        &mut self,
        world: &World,
        mut state: OrderState,
        outcome: Event,
    ) -> Result<bool, Defect> {
        if state.apply(outcome.status) == Effect::NoEffect {
            return Err(format!("{outcome:?} has no effect on {state:?}"));
        }
        let further = |stored: Event| stored.status.rank() >= outcome.status.rank();
        if self.unconfirmed.is_some_and(further) && !world.has(Mutation::OutcomeIsOverwritten) {
            return Ok(false);
        }
        self.unconfirmed = Some(outcome);
        Ok(true)
    }
}

impl State {
    /// The next `records` of the log are read, decided about and committed.
    pub(crate) fn read(
        &mut self,
        world: &World,
        service: Service,
        records: usize,
    ) -> Result<(), Defect> {
        let begin = self.of(service).next;
        let events = self.log[begin..begin + records].to_vec();
        let mut causes = [false; ORDERS];
        let mut changes = Vec::with_capacity(records);
        for event in &events {
            let row = self.row_mut(service, event.order());
            let before = row.fold.status();
            if row.apply(world, *event) == Effect::Effective {
                changes.push(*event);
            } else if before == Some(event.status) && !world.has(Mutation::LostIsLost) {
                causes[event.order()] = true;
            }
        }
        let mut batch = Batch {
            next: begin + records,
            outcomes: [None; ORDERS],
        };
        for (change, outcome) in decision::decide(self, world, service, &changes, &events)? {
            let at = OrderState::from(Some(change.status));
            if self
                .row_mut(service, change.order())
                .store(world, at, outcome)?
            {
                batch.outcomes[change.order()] = Some(outcome);
            }
        }
        for (order, again) in causes.into_iter().enumerate() {
            let row = self.row_mut(service, order);
            // What this very batch has read past needs no publishing.
            row.confirm();
            let stored = row.unconfirmed.filter(|_| again);
            batch.outcomes[order] = batch.outcomes[order].and(row.unconfirmed).or(stored);
        }
        let participant = self.of_mut(service);
        if batch.outcomes == [None; ORDERS] {
            participant.next = batch.next;
        } else {
            participant.batch = Some(batch);
        }
        Ok(())
    }

    /// The outcomes of the committed batch are acknowledged, and its offset is stored.
    pub(crate) fn publish_batch(&mut self, service: Service) {
        let participant = self.of_mut(service);
        if let Some(batch) = participant.batch.take() {
            participant.next = batch.next;
            self.log.extend(batch.outcomes.into_iter().flatten());
        }
    }

    /// The outcome of a job, of a request or of the sweep is acknowledged.
    pub(crate) fn publish(&mut self, service: Service, order: usize) {
        let outcome = self.row_mut(service, order).publishing.take();
        self.log.extend(outcome);
    }

    /// Stores what was decided outside of a batch; its publishing follows.
    pub(crate) fn append(&mut self, world: &World, outcome: Event) -> Result<(), Defect> {
        let row = self.row_mut(outcome.writer, outcome.order());
        if row.store(world, row.fold, outcome)? {
            row.publishing = Some(outcome);
        }
        Ok(())
    }

    pub(crate) fn is_lost(&self, service: Service, order: usize) -> bool {
        let participant = self.of(service);
        let row = &participant.rows[order];
        let read_all = participant.next == self.log.len() && participant.batch.is_none();
        read_all && row.unconfirmed.is_some() && row.publishing.is_none()
    }

    /// The process dies: what it was about to publish is not.
    pub(crate) fn crash(&mut self, service: Service) {
        let participant = self.of_mut(service);
        participant.batch = None;
        for row in &mut participant.rows {
            row.publishing = None;
        }
    }
}
