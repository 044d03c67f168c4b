//! One moment of a world: the log, and what each service keeps.

use std::fmt;

use base_domains::{OrderState, OrderStatus, reason};
use payment_service::payment;
use shipping_service::shipment;
use stock_service::level::Level;
use stock_service::reservation::ReservationState;

use crate::world::{Faults, ORDERS, World};

/// The participants that append. Those that only read are in [`readers`](crate::readers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    Order,
    Stock,
    Payment,
    Shipping,
}

/// A record of the home partition that all orders of a world share. Small, because states are copied often.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Event {
    pub(crate) status: OrderStatus,
    pub(crate) writer: Service,
    order: u8,
    /// Its place in [`REASONS`].
    reason: Option<u8>,
}

/// Those that these worlds know.
const REASONS: [&str; 4] = [
    reason::OUT_OF_STOCK,
    reason::PAYMENT_DECLINED,
    reason::CANCELLED_ON_REQUEST,
    reason::DEADLINE,
];

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
    pub(crate) fn new(order: usize, writer: Service, status: OrderStatus) -> Self {
        Self {
            status,
            writer,
            order: order as u8,
            reason: None,
        }
    }

    pub(crate) fn pending(order: usize) -> Self {
        Self::new(order, Service::Order, OrderStatus::Pending)
    }

    pub(crate) fn because(self, reason: &str) -> Self {
        let known = REASONS.iter().position(|known| *known == reason);
        let place = known.unwrap_or_else(|| panic!("{reason} is no reason in these worlds"));
        let reason = Some(place as u8);
        Self { reason, ..self }
    }

    pub(crate) fn order(self) -> usize {
        usize::from(self.order)
    }

    pub(crate) fn reason(self) -> Option<&'static str> {
        self.reason.map(|place| REASONS[usize::from(place)])
    }

    /// Its own for each event of these worlds, and never 0; the writer follows from the rest.
    pub(crate) fn byte(self) -> u8 {
        let reason = self.reason.map_or(0, |place| 1 + place);
        1 + self.order + 2 * (self.status as u8 + 6 * reason)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self
            .reason()
            .map_or(String::new(), |why| format!(" ({why})"));
        write!(f, "{}{why} of order {}", self.status, self.order)
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
}
