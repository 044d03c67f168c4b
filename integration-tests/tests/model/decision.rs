//! What the services decide about the changes of a batch: their own rule books, and around them what the
//! deciders do with their answers.

use std::collections::BTreeMap;

use base_domains::{EventStatus, OrderEvent, OrderStatus};
use payment_service::payment::{self, Payment};
use service_runtime::participant::Decision;
use shipping_service::shipment::{self, Shipment};
use stock_service::decision::{Action, Request, Stock};
use stock_service::reservation::{Reservation, ReservationState};
use stock_service::unknown_product::UnknownProduct;

use crate::mutation::Mutation;
use crate::participant::Defect;
use crate::state::{Event, Job, Kept, Service, State};
use crate::world::{PRODUCT, World};

/// Brings the rows of `service` in line with `changes`, which are those of `events` that had an effect.
/// Returns what it appends, and about which change.
pub(crate) fn decide(
    state: &mut State,
    world: &World,
    service: Service,
    changes: &[Event],
    events: &[Event],
) -> Result<Vec<(Event, Event)>, Defect> {
    let decide = match service {
        Service::Stock => {
            if world.has(Mutation::StockReleasesTwice) {
                release_again(state, events);
            }
            return stock(state, world, changes);
        }
        Service::Order => keep,
        Service::Payment => pay,
        Service::Shipping => ship,
    };
    for change in changes {
        decide(state, world, *change);
    }
    Ok(Vec::new())
}

/// `Keeper`: what ending an order needs is kept until it has ended, and those who wait are answered.
fn keep(state: &mut State, _: &World, change: Event) {
    let own = &mut state.own[change.order()];
    if !change.status.is_terminal() {
        if own.kept == Kept::None {
            own.kept = Kept::Open;
        }
        return;
    }
    own.kept = Kept::Ended;
    if own.asked && own.answer.is_none() {
        own.answer = Some(change.status);
    }
}

fn release_again(state: &mut State, events: &[Event]) {
    for event in events {
        let given_back = matches!(event.status, OrderStatus::Rejected | OrderStatus::Cancelled);
        let released = Some(ReservationState::Released);
        if given_back && state.own[event.order()].reservation == released {
            state.level.available += 1;
        }
    }
}

/// `StockDecider`: one question to the rule book for the whole batch.
fn stock(
    state: &mut State,
    world: &World,
    changes: &[Event],
) -> Result<Vec<(Event, Event)>, Defect> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let requests: Vec<Request> = changes
        .iter()
        .map(|change| request(world, *change))
        .collect();
    let before = stock_rows(state, world);
    let decided = stock_service::decision::decide(before, &requests, UnknownProduct::Reject)
        .map_err(|error| error.to_string())?;
    state.level = decided.stock.levels[PRODUCT];
    for (own, wish) in state.own.iter_mut().zip(&world.orders) {
        let reservation = decided.stock.reservations.get(&wish.id);
        own.reservation = reservation.map(|reservation| reservation.state);
    }
    let mut outcomes = Vec::new();
    for (change, decision) in changes.iter().zip(decided.decisions) {
        let outcome = outcome(change.order(), decision)?;
        outcomes.extend(outcome.map(|outcome| (*change, outcome)));
    }
    Ok(outcomes)
}

fn request(world: &World, change: Event) -> Request {
    let wish = &world.orders[change.order()];
    let body = || Ok(OrderEvent::new(change.status, wish.wire.clone()));
    Request {
        order_id: wish.id,
        action: Action::new(change.status, body),
    }
}

fn stock_rows(state: &State, world: &World) -> Stock {
    let kept = state.own.iter().zip(&world.orders);
    let reservations = kept.filter_map(|(own, wish)| {
        let mut reservation = Reservation::held([(PRODUCT.to_owned(), 1)].into());
        reservation.state = own.reservation?;
        Some((wish.id, reservation))
    });
    Stock {
        reservations: reservations.collect(),
        levels: BTreeMap::from([(PRODUCT.to_owned(), state.level)]),
    }
}

fn outcome(order: usize, decision: Decision) -> Result<Option<Event>, Defect> {
    let event = match decision {
        Decision::Done => return Ok(None),
        Decision::Append(event) => event,
        Decision::Failed { reason, .. } => return Err(reason),
    };
    let EventStatus::Known(status) = event.status else {
        return Err("an outcome without a status".to_owned());
    };
    let outcome = Event::new(order, Service::Stock, status);
    Ok(Some(match event.reason {
        Some(reason) => outcome.because(&reason),
        None => outcome,
    }))
}

/// The payment that payment-service keeps of an order.
pub(crate) fn payment(world: &World, order: usize, state: payment::State) -> Payment {
    let wish = &world.orders[order];
    let mut payment = Payment::pending(wish.id, wish.total);
    payment.state = state;
    payment
}

/// `PaymentDecider`.
fn pay(state: &mut State, world: &World, change: Event) {
    let own = &mut state.own[change.order()];
    let kept = own
        .payment
        .map(|state| payment(world, change.order(), state));
    let mut payment = match (kept, change.status) {
        (Some(payment), _) => payment,
        (None, OrderStatus::Reserved) => {
            own.charge = Job::Due;
            payment(world, change.order(), payment::State::Pending)
        }
        (None, OrderStatus::Paid) => payment(world, change.order(), payment::State::Pending),
        (None, _) => return,
    };
    let action = match change.status {
        OrderStatus::Paid => payment.paid("p"),
        OrderStatus::Rejected | OrderStatus::Cancelled
            if !world.has(Mutation::PaymentIgnoresEnds) =>
        {
            payment.ended()
        }
        _ => payment::Action::None,
    };
    match action {
        payment::Action::Refund => own.refund = Job::Due,
        payment::Action::Withdraw => {
            let begun = own.charge == Job::Begun && world.has(Mutation::BegunChargeIsDropped);
            if own.charge == Job::Due || begun {
                own.charge = Job::Withdrawn;
                payment.withdrawn();
            }
        }
        _ => {}
    }
    own.payment = Some(payment.state);
}

/// The shipment that shipping-service keeps of an order.
pub(crate) fn shipment(world: &World, order: usize, state: shipment::State) -> Shipment {
    let wish = &world.orders[order];
    let mut shipment = Shipment::prepared(wish.id, shipment::lines(&wish.wire));
    shipment.state = state;
    shipment
}

/// `ShippingDecider`.
fn ship(state: &mut State, world: &World, change: Event) {
    let own = &mut state.own[change.order()];
    if own.shipment.is_none() && shipment::is_wanted(change.status) {
        own.shipment = Some(shipment::State::Prepared);
        own.dispatch = Job::Due;
    }
    let Some(kept) = own.shipment else { return };
    let mut shipment = shipment(world, change.order(), kept);
    let action = shipment.follow(change.status, 0);
    if action == shipment::Action::HandOver && !world.has(Mutation::HandsOverBeforeReadBack) {
        own.parcels += 1;
    }
    if action != shipment::Action::None && own.dispatch == Job::Due {
        own.dispatch = Job::Withdrawn;
    }
    own.shipment = Some(shipment.state);
}
