//! What holds at every moment, and what holds when nothing is left to do.

use base_domains::OrderStatus;
use payment_service::payment;
use shipping_service::shipment;
use stock_service::reservation::ReservationState;

use crate::participant::Defect;
use crate::state::{Event, Job, Kept, Own, Service, State};
use crate::world::World;

/// How an order ended by the log: its first end counts. This says so without the fold that is tested.
pub(crate) fn end_of(log: &[Event], order: usize) -> Option<OrderStatus> {
    let mut statuses = log.iter().filter(|event| event.order() == order);
    let end = statuses.find(|event| event.status.is_terminal());
    end.map(|event| event.status)
}

fn holds(what: bool, told: impl FnOnce() -> String) -> Result<(), Defect> {
    if what { Ok(()) } else { Err(told()) }
}

/// At every moment.
pub(crate) fn always(world: &World, state: &State) -> Result<(), Defect> {
    stock_is_conserved(world, state)?;
    for order in 0..world.orders.len() {
        let end = end_of(&state.log, order);
        every_service_sees(state, order, end)?;
        every_service_decides_once(state, order)?;
        let own = &state.own[order];
        holds(own.charged <= 1 && own.refunded <= own.charged, || {
            format!(
                "order {order} was charged {} times and refunded {}",
                own.charged, own.refunded
            )
        })?;
        let shipped = end == Some(OrderStatus::Shipped);
        holds(own.parcels <= u8::from(shipped), || {
            format!("{} parcels of order {order}, which is {end:?}", own.parcels)
        })?;
        holds(own.answer.is_none() || own.answer == end, || {
            format!(
                "a cancellation was answered {:?}, and the log says {end:?}",
                own.answer
            )
        })?;
    }
    Ok(())
}

fn stock_is_conserved(world: &World, state: &State) -> Result<(), Defect> {
    let level = state.level;
    let pieces = [level.available, level.reserved, level.shipped];
    let with = |wanted| {
        let of_state = |own: &&Own| own.reservation == Some(wanted);
        state.own.iter().filter(of_state).count() as i64
    };
    let expected = (
        with(ReservationState::Held),
        with(ReservationState::Shipped),
    );
    holds(
        pieces.iter().all(|pieces| *pieces >= 0)
            && pieces.iter().sum::<i64>() == world.pieces
            && (level.reserved, level.shipped) == expected,
        || {
            format!(
                "{level:?} of {} pieces, (held, shipped) are {expected:?}",
                world.pieces
            )
        },
    )
}

/// No service believes in another end than the log says, however far it has read.
fn every_service_sees(state: &State, order: usize, end: Option<OrderStatus>) -> Result<(), Defect> {
    for service in Service::ALL {
        let seen = state.row(service, order).fold.status();
        let ended = seen.filter(|status| status.is_terminal());
        holds(ended.is_none() || ended == end, || {
            format!("{service:?} sees order {order} as {seen:?}, and the log says {end:?}")
        })?;
    }
    Ok(())
}

/// A repeated decision is the same event. order-service has two to make: it places, and it may cancel.
fn every_service_decides_once(state: &State, order: usize) -> Result<(), Defect> {
    for service in Service::ALL {
        let most = if service == Service::Order { 2 } else { 1 };
        let mut decisions: Vec<&Event> = Vec::new();
        for event in &state.log {
            if event.order() == order && event.writer == service && !decisions.contains(&event) {
                decisions.push(event);
            }
        }
        holds(decisions.len() <= most, || {
            format!("{service:?} decided {decisions:?}")
        })?;
    }
    Ok(())
}

/// When nothing is left to do: what has to happen has happened. Returns how the orders ended, in words.
pub(crate) fn at_rest(world: &World, state: &State) -> Result<String, Defect> {
    let mut ends = Vec::new();
    for order in 0..world.orders.len() {
        let end = end_of(&state.log, order);
        let end = end.ok_or_else(|| format!("at rest, and order {order} has not ended"))?;
        for service in Service::ALL {
            let row = state.row(service, order);
            holds(
                row.fold.status() == Some(end) && row.unconfirmed.is_none(),
                || format!("at rest, and {service:?} has {row:?} of order {order}, which is {end}"),
            )?;
        }
        let own = &state.own[order];
        let rows = rows_agree(own, end) && outside_agrees(own, end);
        holds(rows, || {
            format!("at rest, order {order} is {end}, and there is {own:?}")
        })?;
        ends.push(end.as_str());
    }
    Ok(ends.join(" "))
}

/// What the services keep agrees with the end.
fn rows_agree(own: &Own, end: OrderStatus) -> bool {
    use ReservationState::{Released, Shipped};
    use payment::State::{Charged, Declined, Refunded, Skipped};
    let jobs = [own.charge, own.refund, own.dispatch];
    let shipped = end == OrderStatus::Shipped;
    let rows = if shipped {
        own.reservation == Some(Shipped)
            && own.payment == Some(Charged)
            && own.shipment == Some(shipment::State::Dispatched)
    } else {
        matches!(own.reservation, None | Some(Released))
            && matches!(own.payment, None | Some(Declined | Refunded | Skipped))
            && matches!(own.shipment, None | Some(shipment::State::Cancelled))
    };
    rows && own.kept == Kept::Ended && !jobs.iter().any(|job| matches!(job, Job::Due | Job::Begun))
}

/// Money, parcel and answer agree with it.
fn outside_agrees(own: &Own, end: OrderStatus) -> bool {
    let due = u8::from(end == OrderStatus::Shipped);
    let answer = own.asked.then_some(end);
    own.charged - own.refunded == due && own.parcels == due && own.answer == answer
}
