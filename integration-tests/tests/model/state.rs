//! One moment of a world: the log, and what each service keeps.

use base_domains::{OrderState, OrderStatus, reason};
use payment_service::payment;
use shipping_service::shipment;
use stock_service::level::Level;
use stock_service::reservation::ReservationState;

use crate::world::{Faults, ORDERS, World};

/// The participants that append. Those that only read are in [`readers`](crate::readers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Order,
    Stock,
    Payment,
    Shipping,
}

/// A record of the home partition that all orders of a world share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) order: usize,
    pub(crate) status: OrderStatus,
    pub(crate) writer: Service,
    pub(crate) reason: Option<&'static str>,
}

/// The row that a participant keeps of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) fold: OrderState,
    /// The stored outcome, until the fold is past it.
    pub(crate) unconfirmed: Option<Event>,
    /// Stored, and on its way to the log outside of a batch.
    pub(crate) publishing: Option<Event>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Participant {
    /// The next offset, as it was stored.
    pub(crate) next: usize,
    pub(crate) batch: Option<Batch>,
    pub(crate) rows: [Row; ORDERS],
}

/// A batch that is committed, and not published yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The next offset when it is.
    pub(crate) next: usize,
    pub(crate) outcomes: [Option<Event>; ORDERS],
}

/// A job of one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Job {
    #[default]
    None,
    Due,
    /// Leased, and its result is not known; so it runs again, whoever dies.
    Begun,
    Done,
    Withdrawn,
}

/// What order-service keeps of an order, by the name of its row's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    #[default]
    None,
    Open,
    Cancelling,
    Ended,
}

/// What the services keep of one order beside the fold, and what became of it outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Own {
    /// order-service.
    pub(crate) kept: Kept,
    /// Requests to cancel it that may still come.
    pub(crate) cancels: u8,
    /// Somebody has asked for its cancellation.
    pub(crate) asked: bool,
    /// What that one was answered.
    pub(crate) answer: Option<OrderStatus>,
    /// stock-service.
    pub(crate) reservation: Option<ReservationState>,
    /// payment-service.
    pub(crate) payment: Option<payment::State>,
    pub(crate) charge: Job,
    pub(crate) refund: Job,
    /// The gateway's books: how often it moved the money.
    pub(crate) charged: u8,
    pub(crate) refunded: u8,
    /// shipping-service.
    pub(crate) shipment: Option<shipment::State>,
    pub(crate) dispatch: Job,
    /// How often the parcel was handed over.
    pub(crate) parcels: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) log: Vec<Event>,
    pub(crate) participants: [Participant; 4],
    /// stock-service.
    pub(crate) level: Level,
    pub(crate) own: [Own; ORDERS],
    /// What may still go wrong.
    pub(crate) faults: Faults,
}

impl Service {
    pub(crate) const ALL: [Self; 4] = [Self::Order, Self::Stock, Self::Payment, Self::Shipping];

    /// As it is in the ids of events.
    pub(crate) fn writer(self) -> &'static str {
        match self {
            Self::Order => order_service::NAME,
            Self::Stock => stock_service::NAME,
            Self::Payment => payment_service::NAME,
            Self::Shipping => shipping_service::NAME,
        }
    }
}

impl Event {
    pub(crate) fn pending(order: usize) -> Self {
        Self {
            order,
            status: OrderStatus::Pending,
            writer: Service::Order,
            reason: None,
        }
    }

    pub(crate) fn byte(self) -> u8 {
        let reason = match self.reason {
            None => 0,
            Some(reason::OUT_OF_STOCK) => 1,
            Some(reason::PAYMENT_DECLINED) => 2,
            Some(reason::CANCELLED_ON_REQUEST) => 3,
            Some(reason::DEADLINE) => 4,
            Some(other) => panic!("{other} is no reason in these worlds"),
        };
        // The writer follows from status and reason.
        1 + self.order as u8 + 2 * (self.status as u8 + 6 * reason)
    }
}

impl State {
    /// The first order is placed, and nothing was read.
    pub(crate) fn first(world: &World) -> Self {
        let mut own = [Own::default(); ORDERS];
        for (own, wish) in own.iter_mut().zip(&world.orders) {
            own.cancels = wish.cancels;
        }
        Self {
            log: vec![Event::pending(0)],
            participants: [Participant::default(); 4],
            level: world.level(),
            own,
            faults: world.faults,
        }
    }

    pub(crate) fn of(&self, service: Service) -> &Participant {
        &self.participants[service as usize]
    }

    pub(crate) fn of_mut(&mut self, service: Service) -> &mut Participant {
        &mut self.participants[service as usize]
    }

    pub(crate) fn row(&self, service: Service, order: usize) -> &Row {
        &self.of(service).rows[order]
    }

    pub(crate) fn row_mut(&mut self, service: Service, order: usize) -> &mut Row {
        &mut self.of_mut(service).rows[order]
    }

    /// Two states are the same if and only if their keys are.
    pub(crate) fn key(&self, world: &World) -> Box<[u8]> {
        let orders = world.orders.len();
        let event = |event: Option<Event>| event.map_or(0, Event::byte);
        let mut key = Vec::with_capacity(128);
        key.push(self.log.len() as u8);
        key.extend(self.log.iter().map(|event| event.byte()));
        for participant in &self.participants {
            key.push(participant.next as u8);
            key.push(participant.batch.map_or(0, |batch| batch.next as u8));
            for (order, row) in participant.rows.iter().take(orders).enumerate() {
                let batch = participant.batch.and_then(|batch| batch.outcomes[order]);
                let outcomes = [row.unconfirmed, row.publishing, batch];
                key.push(row.fold.status().map_or(0, |status| 1 + status as u8));
                key.extend(outcomes.map(event));
            }
        }
        let Level { available, reserved, shipped } = self.level;
        key.extend([available, reserved, shipped].map(|pieces| pieces as u8));
        let faults = self.faults;
        key.extend([faults.crashes, faults.rereads, faults.repeats, faults.lost_answers]);
        for own in self.own.iter().take(orders) {
            key.extend(own.bytes());
        }
        key.into()
    }
}

impl Own {
    fn bytes(&self) -> [u8; 13] {
        [
            self.kept as u8,
            self.cancels,
            u8::from(self.asked),
            self.answer.map_or(0, |status| 1 + status as u8),
            self.reservation.map_or(0, |state| 1 + state as u8),
            self.payment.map_or(0, |state| 1 + state as u8),
            self.charge as u8,
            self.refund as u8,
            self.charged,
            self.refunded,
            self.shipment.map_or(0, |state| 1 + state as u8),
            self.dispatch as u8,
            self.parcels,
        ]
    }
}
