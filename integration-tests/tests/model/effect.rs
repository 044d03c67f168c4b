//! What happens outside of batches: requests, the deadline, and the jobs with the world outside.
//!
//! A job may begin whenever it is due. Rule R11, by which it waits until the log was read, only takes
//! interleavings away.

use base_domains::{OrderStatus, reason};
use order_service::command::{Verdict, judge};
use payment_service::gateway::Answer;
use payment_service::payment;
use shipping_service::shipment;

use crate::decision;
use crate::mutation::Mutation;
use crate::participant::Defect;
use crate::state::{Event, Job, Kept, Service, State};
use crate::world::World;

/// The jobs of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Charge,
    Refund,
    Dispatch,
}

impl State {
    pub(crate) fn job(&self, kind: Kind, order: usize) -> Job {
        let own = &self.own[order];
        match kind {
            Kind::Charge => own.charge,
            Kind::Refund => own.refund,
            Kind::Dispatch => own.dispatch,
        }
    }

    pub(crate) fn set_job(&mut self, kind: Kind, order: usize, job: Job) {
        let own = &mut self.own[order];
        match kind {
            Kind::Charge => own.charge = job,
            Kind::Refund => own.refund = job,
            Kind::Dispatch => own.dispatch = job,
        }
    }

    /// Somebody asks for the cancellation, and is answered by what was read back.
    pub(crate) fn request(&mut self, world: &World, order: usize) -> Result<(), Defect> {
        let own = &mut self.own[order];
        own.cancels -= 1;
        own.asked = true;
        let verdict = self.cancel(world, order, reason::CANCELLED_ON_REQUEST)?;
        let own = &mut self.own[order];
        match verdict {
            Verdict::Ended(status) => own.answer = own.answer.or(Some(status)),
            Verdict::Cancel(_) if world.has(Mutation::AnswersBeforeReadBack) => {
                own.answer = Some(OrderStatus::Cancelled);
            }
            _ => {}
        }
        Ok(())
    }

    /// The order is overdue.
    pub(crate) fn expire(&mut self, world: &World, order: usize) -> Result<(), Defect> {
        self.cancel(world, order, reason::DEADLINE).map(drop)
    }

    /// `Canceller`.
    fn cancel(&mut self, world: &World, order: usize, reason: &str) -> Result<Verdict, Defect> {
        let row = self.row(Service::Order, order);
        let unconfirmed = row.unconfirmed.is_some() && !world.has(Mutation::OutcomeIsOverwritten);
        let verdict = judge(row.fold.status(), unconfirmed);
        if let Verdict::Cancel(_) = verdict {
            self.own[order].kept = Kept::Cancelling;
            let cancelled = Event::new(order, Service::Order, OrderStatus::Cancelled);
            self.append(world, cancelled.because(reason))?;
        }
        Ok(verdict)
    }

    /// The gateway has the request, and moves the money once for its key.
    fn move_money(&mut self, world: &World, kind: Kind, order: usize) {
        let own = &mut self.own[order];
        let moved = match kind {
            Kind::Charge if world.orders[order].declined => return,
            Kind::Charge => &mut own.charged,
            Kind::Refund => &mut own.refunded,
            Kind::Dispatch => return,
        };
        if *moved == 0 || world.has(Mutation::EveryAttemptHasItsKey) {
            *moved += 1;
        }
    }

    /// The money is moved, and nobody hears of it.
    pub(crate) fn lose_answer(
        &mut self,
        world: &World,
        kind: Kind,
        order: usize,
    ) -> Result<(), Defect> {
        self.faults.lost_answers -= 1;
        self.move_money(world, kind, order);
        self.set_job(kind, order, Job::Begun);
        if kind == Kind::Charge && world.has(Mutation::NoAnswerIsADecline) {
            return self.charge_answered(world, order, &declined());
        }
        Ok(())
    }

    /// The job comes to its result, which is recorded under the lock of the order's row.
    pub(crate) fn finish(&mut self, world: &World, kind: Kind, order: usize) -> Result<(), Defect> {
        self.move_money(world, kind, order);
        let accepted = Answer::Accepted { id: "p".to_owned() };
        match kind {
            Kind::Charge if world.orders[order].declined => {
                self.charge_answered(world, order, &declined())
            }
            Kind::Charge => self.charge_answered(world, order, &accepted),
            Kind::Refund => {
                let own = &mut self.own[order];
                own.refund = Job::Done;
                let state = own.payment.ok_or("a refund without a payment")?;
                let mut payment = decision::payment(world, order, state);
                payment.refund_answered(&accepted);
                own.payment = Some(payment.state);
                Ok(())
            }
            Kind::Dispatch => self.dispatch(world, order),
        }
    }

    /// `PaymentHandler`.
    fn charge_answered(
        &mut self,
        world: &World,
        order: usize,
        answer: &Answer,
    ) -> Result<(), Defect> {
        let status = self.row(Service::Payment, order).fold.status();
        let own = &mut self.own[order];
        own.charge = Job::Done;
        let state = own.payment.ok_or("a charge without a payment")?;
        let mut payment = decision::payment(world, order, state);
        let action = payment.charge_answered(answer, status);
        own.payment = Some(payment.state);
        let event = |status| Event::new(order, Service::Payment, status);
        match action {
            payment::Action::Paid => self.append(world, event(OrderStatus::Paid)),
            payment::Action::Reject => {
                let rejected = event(OrderStatus::Rejected).because(reason::PAYMENT_DECLINED);
                self.append(world, rejected)
            }
            payment::Action::Refund => {
                own.refund = Job::Due;
                Ok(())
            }
            payment::Action::None | payment::Action::Withdraw => Ok(()),
        }
    }

    /// `DispatchHandler`.
    fn dispatch(&mut self, world: &World, order: usize) -> Result<(), Defect> {
        let status = self.row(Service::Shipping, order).fold.status();
        let own = &mut self.own[order];
        own.dispatch = Job::Done;
        let state = own.shipment.ok_or("a dispatch without a shipment")?;
        if !decision::shipment(world, order, state).ships(status) {
            return Ok(());
        }
        if world.has(Mutation::HandsOverBeforeReadBack) && state == shipment::State::Prepared {
            own.parcels += 1;
        }
        let shipped = Event::new(order, Service::Shipping, OrderStatus::Shipped);
        self.append(world, shipped)
    }
}

fn declined() -> Answer {
    Answer::Declined {
        reason: "declined".to_owned(),
    }
}
