//! Moments that are left out, because they make no difference to anything that can happen later.
//!
//! - What the fold ignores it ignores for ever. Where it is no cause of an outcome any more either, reading it
//!   moves the cursor and nothing else: it is passed over at once.
//! - A record that changes the fold of a service, but no row of its own, and for which there is nothing that the
//!   service could be doing meanwhile: it is read at once.
//!
//! Both take away steps that could come sooner or later, and whatever comes in between is the same in either
//! order. A test compares what is left with all there is.

use base_domains::{Effect, OrderStatus};

use crate::participant::Defect;
use crate::state::{Job, Row, Service, State};
use crate::world::World;

impl State {
    /// Goes on to the next moment that makes a difference.
    pub(crate) fn settle(&mut self, world: &World) -> Result<(), Defect> {
        if !world.reduced {
            return Ok(());
        }
        for service in Service::ALL {
            while self.pass(world, service)? {}
        }
        Ok(())
    }

    /// Reads the next record if that may as well happen at once.
    fn pass(&mut self, world: &World, service: Service) -> Result<bool, Defect> {
        let participant = self.of(service);
        if participant.batch.is_some() || participant.next == self.log.len() {
            return Ok(false);
        }
        let event = self.log[participant.next];
        if participant.rows[event.order()].is_past(event.status) {
            self.of_mut(service).next += 1;
            return Ok(true);
        }
        if !self.is_idle(service, event.order()) {
            return Ok(false);
        }
        let before = (self.own, self.level, *self.of(service));
        self.read(world, service, 1)?;
        let same = (self.own, self.level) == (before.0, before.1);
        let quiet = same && self.of(service).batch.is_none();
        if !quiet {
            (self.own, self.level, *self.of_mut(service)) = before;
        }
        Ok(quiet)
    }

    /// Whether a service does nothing about an order but read.
    fn is_idle(&self, service: Service, order: usize) -> bool {
        let (row, own) = (self.row(service, order), &self.own[order]);
        let jobs = match service {
            // Somebody may cancel it at any moment.
            Service::Order => return false,
            Service::Stock => [Job::None; 2],
            Service::Payment => [own.charge, own.refund],
            Service::Shipping => [own.dispatch, Job::None],
        };
        let open = |job: &Job| matches!(job, Job::Due | Job::Begun);
        row.unconfirmed.is_none() && row.publishing.is_none() && !jobs.iter().any(open)
    }
}

impl Row {
    /// Whether a record of this status means nothing any more.
    fn is_past(&self, status: OrderStatus) -> bool {
        let mut fold = self.fold;
        let ignored = fold.apply(status) == Effect::NoEffect;
        ignored && (fold.status() != Some(status) || status.is_terminal())
    }
}
