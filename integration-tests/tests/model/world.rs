//! A small world: which orders there are, what may go wrong, and how often.

use base_domains::{OrderId, Total, WireOrder};
use stock_service::level::Level;

use crate::mutation::Mutation;

/// Most orders of a world.
pub(crate) const ORDERS: usize = 2;

/// The one product.
pub(crate) const PRODUCT: &str = "last copy";

/// What never changes while a world is explored.
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) orders: Vec<Wish>,
    /// Pieces of the product at the beginning.
    pub(crate) pieces: i64,
    /// Most records that a participant takes at once.
    pub(crate) batch: usize,
    /// Whether orders may be overdue, at any moment.
    pub(crate) deadline: bool,
    pub(crate) faults: Faults,
    /// Whether moments are left out that make no difference, see [`reduction`](crate::reduction).
    pub(crate) reduced: bool,
    /// What is wrong on purpose.
    pub(crate) mutation: Option<Mutation>,
}

/// One order and what is known of it beforehand.
pub(crate) struct Wish {
    pub(crate) id: OrderId,
    pub(crate) wire: WireOrder,
    pub(crate) total: Total,
    /// The gateway declines to charge it.
    pub(crate) declined: bool,
    /// How often somebody asks for its cancellation, at most and at any moment.
    pub(crate) cancels: u8,
}

/// How often something may still go wrong, at any moment and in any service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// A service dies between commit and publish.
    pub(crate) crashes: u8,
    /// A service reads again, the last record or everything.
    pub(crate) rereads: u8,
    /// A record is appended once more, by a retry that came late.
    pub(crate) repeats: u8,
    /// The gateway moves the money, and its answer is lost.
    pub(crate) lost_answers: u8,
}

impl Wish {
    pub(crate) fn new(number: u8) -> Self {
        let id = OrderId::from_idempotency_key("model", &number.to_string());
        let wire = WireOrder {
            order_id: id,
            name: PRODUCT.to_owned(),
            qty: 1,
            price: 10.0,
            email: None,
            items: None,
        };
        Self {
            id,
            total: wire.validate().unwrap().total(),
            wire,
            declined: false,
            cancels: 0,
        }
    }

    pub(crate) fn cancelled(self, cancels: u8) -> Self {
        Self { cancels, ..self }
    }

    pub(crate) fn declined(self) -> Self {
        let declined = true;
        Self { declined, ..self }
    }
}

impl World {
    /// These orders compete for one piece, and nothing goes wrong.
    pub(crate) fn new(name: &'static str, orders: Vec<Wish>) -> Self {
        assert!(orders.len() <= ORDERS, "{name} has too many orders");
        Self {
            name,
            orders,
            pieces: 1,
            batch: 1,
            deadline: false,
            faults: Faults::default(),
            reduced: true,
            mutation: None,
        }
    }

    pub(crate) fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    pub(crate) fn overdue(self) -> Self {
        let deadline = true;
        Self { deadline, ..self }
    }

    pub(crate) fn crash(mut self) -> Self {
        self.faults.crashes += 1;
        self
    }

    pub(crate) fn reread(mut self) -> Self {
        self.faults.rereads += 1;
        self
    }

    pub(crate) fn repeat(mut self) -> Self {
        self.faults.repeats += 1;
        self
    }

    pub(crate) fn lost_answer(mut self) -> Self {
        self.faults.lost_answers += 1;
        self
    }

    /// The same with every moment, and this defect.
    pub(crate) fn with(self, mutation: Mutation) -> Self {
        let (reduced, mutation) = (false, Some(mutation));
        Self {
            reduced,
            mutation,
            ..self
        }
    }

    pub(crate) fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub(crate) fn level(&self) -> Level {
        Level::of(self.pieces)
    }
}
