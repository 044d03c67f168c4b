//! The decision about stock: a pure function over stock, reservations and changes in log order.
//!
//! - PENDING without a reservation holds all lines of the order or nothing, and says so by RESERVED
//!   or REJECTED. While the reservation is held it says RESERVED again and moves nothing.
//! - RESERVED, PAID and SHIPPED of an order without a reservation were decided by rows that are lost,
//!   since the database is an older backup: the pieces are held, or gone, from now on. If there are not
//!   enough, the decision fails as [`SHORTAGE`]: an operator sets the stock and redrives it.
//! - REJECTED and CANCELLED give back what is held, SHIPPED lets it go; each once.
//! - An order that ended never reserves: whatever was not held before is not held any more.
//!
//! Every change is brought in line by itself, so it does not matter how the log is cut into batches.

use std::collections::BTreeMap;

use base_domains::{
    BadRecord, Order, OrderEvent, OrderId, OrderStatus, WireLine, WireOrder, reason,
};
use service_runtime::participant::Decision;

use crate::level::Level;
use crate::reservation::{Lines, Reservation, ReservationState, lines_of};
use crate::unknown_product::UnknownProduct;

/// What a change of an order's status asks of the stock.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The order.
    pub order_id: OrderId,
    /// What is asked.
    pub action: Action,
}

/// See [`Request`].
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// PENDING: hold the lines of this order, or reject it.
    Reserve(Body),
    /// REJECTED or CANCELLED.
    Release,
    /// SHIPPED: the lines of this order are gone.
    Ship(Body),
    /// RESERVED or PAID: the lines of this order are held.
    Hold(Body),
}

/// The order that an event carries, or why it cannot be read.
pub type Body = Result<Demand, BadRecord>;

/// Code of the decision about an order that the log says has its pieces, while there are not enough.
pub const SHORTAGE: &str = "stock_shortage";

/// What an order asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// The order as it came.
    pub order: WireOrder,
    /// Its pieces; `None` when the order breaks a rule of the domain.
    pub lines: Option<Lines>,
}

/// The rows that the requests are about; all others stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stock {
    /// By product.
    pub levels: BTreeMap<String, Level>,
    /// By order.
    pub reservations: BTreeMap<OrderId, Reservation>,
}

/// What [`decide`] made of the requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The rows afterwards.
    pub stock: Stock,
    /// Pieces of each product created on the way ([`UnknownProduct::Create`]): ledger entries.
    pub created: BTreeMap<String, i64>,
    /// One for each request.
    pub decisions: Vec<Decision>,
}

/// A reservation is held whose pieces are not among the reserved ones: rows were changed by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("order {order_id} holds pieces that its stock row does not have")]
pub struct Inconsistent {
    /// The order.
    pub order_id: OrderId,
}

impl Action {
    /// What `status` asks for; the body is read only if it may be needed.
    pub fn new(status: OrderStatus, body: impl FnOnce() -> Result<OrderEvent, BadRecord>) -> Self {
        let demand = || body().map(|event| event.order.into());
        match status {
            OrderStatus::Pending => Self::Reserve(demand()),
            OrderStatus::Reserved | OrderStatus::Paid => Self::Hold(demand()),
            OrderStatus::Rejected | OrderStatus::Cancelled => Self::Release,
            OrderStatus::Shipped => Self::Ship(demand()),
        }
    }

    /// The pieces that it is about if the order has no reservation yet.
    #[must_use]
    pub fn lines(&self) -> Option<&Lines> {
        match self {
            Self::Reserve(Ok(demand)) | Self::Hold(Ok(demand)) | Self::Ship(Ok(demand)) => {
                demand.lines.as_ref()
            }
            _ => None,
        }
    }
}

impl From<WireOrder> for Demand {
    fn from(order: WireOrder) -> Self {
        let lines = order.validate().ok().map(|valid| lines_of(&valid));
        Self { order, lines }
    }
}

/// Decides about `requests`, which are in log order.
///
/// # Errors
/// When the rows contradict each other; nothing may be written then.
pub fn decide(
    stock: Stock,
    requests: &[Request],
    unknown: UnknownProduct,
) -> Result<Decided, Inconsistent> {
    let mut decided = Decided {
        stock,
        created: BTreeMap::new(),
        decisions: Vec::with_capacity(requests.len()),
    };
    for request in requests {
        let order_id = request.order_id;
        let decision = match &request.action {
            Action::Release => decided.end(order_id, ReservationState::Released, Level::release)?,
            Action::Hold(body) => decided.adopt(order_id, body),
            Action::Ship(body) => match decided.adopt(order_id, body) {
                Decision::Done => decided.end(order_id, ReservationState::Shipped, Level::ship)?,
                failed => failed,
            },
            Action::Reserve(Err(unreadable)) => Decision::unreadable(unreadable),
            Action::Reserve(Ok(demand)) => decided.reserve(order_id, demand, unknown),
        };
        decided.decisions.push(decision);
    }
    Ok(decided)
}

impl Decided {
    fn reserve(&mut self, order_id: OrderId, demand: &Demand, unknown: UnknownProduct) -> Decision {
        let order = &demand.order;
        match self.stock.reservations.get(&order_id) {
            Some(reservation) if reservation.is_held() => return reserved(order),
            Some(_) => return Decision::Done,
            None => {}
        }
        let Some(lines) = &demand.lines else {
            return rejected(&shortened(order), reason::INVALID_ORDER);
        };
        if let UnknownProduct::Create(pieces) = unknown {
            self.create_missing(lines, pieces);
        }
        match self.hold(order_id, lines) {
            Ok(()) => reserved(order),
            Err(why) => rejected(order, why),
        }
    }

    /// Holds the pieces of an order that has them by what the log says.
    fn adopt(&mut self, order_id: OrderId, body: &Body) -> Decision {
        if self.stock.reservations.contains_key(&order_id) {
            return Decision::Done;
        }
        let demand = match body {
            Ok(demand) => demand,
            Err(error) => return Decision::unreadable(error),
        };
        let Some(lines) = &demand.lines else {
            return Decision::Failed {
                code: reason::INVALID_ORDER,
                reason: "an order that breaks a rule has its pieces by the log".to_owned(),
            };
        };
        match self.hold(order_id, lines) {
            Ok(()) => Decision::Done,
            Err(why) => Decision::Failed {
                code: SHORTAGE,
                reason: format!("the order has its pieces by the log, but not here: {why}"),
            },
        }
    }

    /// Holds all `lines`, or tells why not all of them can be.
    fn hold(&mut self, order_id: OrderId, lines: &Lines) -> Result<(), &'static str> {
        let levels = hold(&self.stock.levels, lines)?;
        self.stock.levels.extend(levels);
        let reservation = Reservation::held(lines.clone());
        self.stock.reservations.insert(order_id, reservation);
        Ok(())
    }

    fn create_missing(&mut self, lines: &Lines, pieces: i64) {
        for product in lines.keys() {
            if !self.stock.levels.contains_key(product) {
                self.stock.levels.insert(product.clone(), Level::of(pieces));
                self.created.insert(product.clone(), pieces);
            }
        }
    }

    /// Ends the reservation of `order_id`, if one is held.
    fn end(
        &mut self,
        order_id: OrderId,
        state: ReservationState,
        move_pieces: fn(Level, i64) -> Option<Level>,
    ) -> Result<Decision, Inconsistent> {
        let held = self.stock.reservations.get_mut(&order_id);
        let Some(reservation) = held.filter(|reservation| reservation.is_held()) else {
            return Ok(Decision::Done);
        };
        for (product, pieces) in &reservation.lines {
            let level = self.stock.levels.get_mut(product);
            let level = level.ok_or(Inconsistent { order_id })?;
            *level = move_pieces(*level, *pieces).ok_or(Inconsistent { order_id })?;
        }
        reservation.state = state;
        Ok(Decision::Done)
    }
}

/// The levels of all `lines` with their pieces held, or why not all of them can be.
fn hold(
    levels: &BTreeMap<String, Level>,
    lines: &Lines,
) -> Result<BTreeMap<String, Level>, &'static str> {
    // A product that is missing is the better answer, wherever its line stands.
    if lines.keys().any(|product| !levels.contains_key(product)) {
        return Err(reason::UNKNOWN_PRODUCT);
    }
    lines
        .iter()
        .map(|(product, pieces)| {
            let level = levels.get(product).and_then(|level| level.reserve(*pieces));
            Some((product.clone(), level?))
        })
        .collect::<Option<_>>()
        .ok_or(reason::OUT_OF_STOCK)
}

fn reserved(order: &WireOrder) -> Decision {
    Decision::Append(OrderEvent::new(OrderStatus::Reserved, order.clone()))
}

/// Longest text that is repeated from an order that breaks the rules, in characters.
const MAX_TEXT: usize = 254;

/// What an invalid order says, but no more of it than of a valid one: its rejection has to fit into
/// the log whatever size it came in.
fn shortened(order: &WireOrder) -> WireOrder {
    let text = |text: &String| text.chars().take(MAX_TEXT).collect::<String>();
    let line = |line: &WireLine| WireLine {
        name: text(&line.name),
        ..line.clone()
    };
    WireOrder {
        name: text(&order.name),
        email: order.email.as_ref().map(text),
        items: order
            .items
            .as_ref()
            .map(|items| items.iter().take(Order::MAX_LINES).map(line).collect()),
        ..order.clone()
    }
}

fn rejected(order: &WireOrder, why: &str) -> Decision {
    Decision::Append(OrderEvent::new(OrderStatus::Rejected, order.clone()).with_reason(why))
}

#[cfg(test)]
pub(crate) mod properties;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod tests;
