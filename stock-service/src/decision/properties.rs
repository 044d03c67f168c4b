//! The decision against a model, over random histories.
//!
//! A history is what a log could hold: statuses of a few orders in any order, with repeats. Like a
//! participant, the tests fold it first, so that the decision sees effective changes only.

use std::collections::BTreeSet;

use base_domains::{Effect, EventStatus, OrderState, WireLine};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

pub(super) const PRODUCTS: [&str; 3] = ["a", "b", "unknown"];

/// Status of the order with this number; `false`: its body cannot be read.
type Event = (usize, OrderStatus, bool);

#[derive(Debug, Clone)]
pub(crate) struct History {
    /// Pieces of the known products.
    seeded: [i64; 2],
    orders: Vec<WireOrder>,
    events: Vec<Event>,
    pub(crate) unknown: UnknownProduct,
}

pub(crate) fn history() -> impl Strategy<Value = History> {
    let orders = prop::collection::vec(lines(), 1..8);
    orders.prop_flat_map(|orders| {
        let event = (0..orders.len(), status(), prop::bool::weighted(0.9));
        let orders = orders.into_iter().enumerate().map(order).collect();
        (
            [0..12i64, 0..12i64],
            Just(orders),
            prop::collection::vec(event, 0..40),
            prop_oneof![
                Just(UnknownProduct::Reject),
                (0..12i64).prop_map(UnknownProduct::Create)
            ],
        )
            .prop_map(|(seeded, orders, events, unknown)| History {
                seeded,
                orders,
                events,
                unknown,
            })
    })
}

/// A quantity of 0 makes the order invalid.
pub(super) fn lines() -> impl Strategy<Value = Vec<WireLine>> {
    let qty = prop_oneof![1 => Just(0), 15 => 1..6i64];
    let line = (prop::sample::select(&PRODUCTS[..]), qty).prop_map(|(name, qty)| WireLine {
        name: name.to_owned(),
        qty,
        price: 1.0,
    });
    prop::collection::vec(line, 1..4)
}

pub(super) fn order((number, lines): (usize, Vec<WireLine>)) -> WireOrder {
    WireOrder {
        order_id: OrderId::new(Uuid::from_u128(number as u128)),
        name: lines[0].name.clone(),
        qty: lines[0].qty,
        price: lines[0].price,
        email: None,
        items: Some(lines),
    }
}

fn status() -> impl Strategy<Value = OrderStatus> {
    prop_oneof![
        4 => Just(OrderStatus::Pending),
        2 => prop::sample::select(&OrderStatus::ALL[..]),
    ]
}

impl History {
    /// The effective changes, as requests, with the event of each.
    fn changes(&self) -> Vec<(Event, Request)> {
        let mut states = vec![OrderState::default(); self.orders.len()];
        let effective = self
            .events
            .iter()
            .filter(|(number, status, _)| states[*number].apply(*status) == Effect::Effective);
        effective
            .map(|event| (*event, self.request(*event)))
            .collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.changes()
            .into_iter()
            .map(|(_, request)| request)
            .collect()
    }

    fn request(&self, (number, status, readable): Event) -> Request {
        let order = &self.orders[number];
        let body = || match readable {
            true => Ok(OrderEvent::new(status, order.clone())),
            false => Err(BadRecord::NoValue),
        };
        Request {
            order_id: order.order_id,
            action: Action::new(status, body),
        }
    }

    pub(crate) fn stock(&self) -> Stock {
        let levels = PRODUCTS.iter().zip(self.seeded);
        Stock {
            levels: levels
                .map(|(name, pieces)| ((*name).to_owned(), Level::of(pieces)))
                .collect(),
            ..Stock::default()
        }
    }

    /// One batch after the other, with the ledger kept by product.
    fn decide(&self, batches: &[&[Request]]) -> (Stock, BTreeMap<String, i64>, Vec<Decision>) {
        let mut stock = self.stock();
        let mut ledger: BTreeMap<String, i64> = stock
            .levels
            .iter()
            .map(|(product, level)| (product.clone(), level.available))
            .collect();
        let mut decisions = Vec::new();
        for batch in batches {
            let decided = decide(stock, batch, self.unknown).unwrap();
            stock = decided.stock;
            for (product, pieces) in decided.created {
                *ledger.entry(product).or_default() += pieces;
            }
            decisions.extend(decided.decisions);
        }
        (stock, ledger, decisions)
    }
}

/// The model: it keeps no counters, but adds up who holds what each time it is asked.
struct Model<'a> {
    history: &'a History,
    totals: BTreeMap<String, i64>,
    held: BTreeSet<usize>,
    shipped: BTreeSet<usize>,
}

impl<'a> Model<'a> {
    fn new(history: &'a History) -> Self {
        let totals = PRODUCTS.iter().zip(history.seeded);
        Self {
            history,
            totals: totals
                .map(|(name, pieces)| ((*name).to_owned(), pieces))
                .collect(),
            held: BTreeSet::new(),
            shipped: BTreeSet::new(),
        }
    }

    fn pieces(&self, orders: &BTreeSet<usize>, product: &str) -> i64 {
        let orders = orders.iter().map(|number| &self.history.orders[*number]);
        let lines = orders.flat_map(|order| order.items.iter().flatten());
        lines
            .filter(|line| line.name == product)
            .map(|line| line.qty)
            .sum()
    }

    fn levels(&self) -> BTreeMap<String, Level> {
        let level = |(product, total): (&String, &i64)| {
            let (reserved, shipped) = (
                self.pieces(&self.held, product),
                self.pieces(&self.shipped, product),
            );
            let available = total - reserved - shipped;
            let level = Level {
                available,
                reserved,
                shipped,
            };
            (product.clone(), level)
        };
        self.totals.iter().map(level).collect()
    }

    fn step(&mut self, event: Event) -> Answer<'static> {
        let (number, status, readable) = event;
        match status {
            OrderStatus::Pending if readable => {
                let (status, why) = self.pending(number);
                return Answer::Appends(status, why);
            }
            OrderStatus::Pending => return Answer::Fails("no_value"),
            OrderStatus::Rejected | OrderStatus::Cancelled => {
                self.held.remove(&number);
                return Answer::Nothing;
            }
            OrderStatus::Reserved | OrderStatus::Paid | OrderStatus::Shipped => {}
        }
        if !self.held.contains(&number)
            && let Some(code) = self.adopt(number, readable)
        {
            return Answer::Fails(code);
        }
        if status == OrderStatus::Shipped {
            self.held.remove(&number);
            self.shipped.insert(number);
        }
        Answer::Nothing
    }

    /// Code of what is wrong with an order that has its pieces by the log.
    fn adopt(&mut self, number: usize, readable: bool) -> Option<&'static str> {
        let lines = self.history.orders[number].items.clone().unwrap();
        if !readable {
            return Some("no_value");
        }
        if lines.iter().any(|line| line.qty == 0) {
            return Some(reason::INVALID_ORDER);
        }
        let known = lines
            .iter()
            .all(|line| self.totals.contains_key(&line.name));
        self.held.insert(number);
        if !known || self.levels().values().any(|level| level.available < 0) {
            self.held.remove(&number);
            return Some(SHORTAGE);
        }
        None
    }

    fn pending(&mut self, number: usize) -> (OrderStatus, Option<&'static str>) {
        let lines = self.history.orders[number].items.clone().unwrap();
        if lines.iter().any(|line| line.qty == 0) {
            return (OrderStatus::Rejected, Some(reason::INVALID_ORDER));
        }
        for line in &lines {
            match self.history.unknown {
                UnknownProduct::Create(pieces) => {
                    self.totals.entry(line.name.clone()).or_insert(pieces);
                }
                UnknownProduct::Reject if self.totals.contains_key(&line.name) => {}
                UnknownProduct::Reject => {
                    return (OrderStatus::Rejected, Some(reason::UNKNOWN_PRODUCT));
                }
            }
        }
        self.held.insert(number);
        if self.levels().values().any(|level| level.available < 0) {
            self.held.remove(&number);
            return (OrderStatus::Rejected, Some(reason::OUT_OF_STOCK));
        }
        (OrderStatus::Reserved, None)
    }
}

/// A decision in short.
#[derive(Debug, PartialEq)]
enum Answer<'a> {
    Nothing,
    /// Status and reason.
    Appends(OrderStatus, Option<&'a str>),
    /// Code.
    Fails(&'static str),
}

fn answer(decision: &Decision) -> Answer<'_> {
    match decision {
        Decision::Append(event) => match event.status {
            EventStatus::Known(status) => Answer::Appends(status, event.reason.as_deref()),
            EventStatus::Unknown(_) => Answer::Nothing,
        },
        Decision::Done => Answer::Nothing,
        Decision::Failed { code, .. } => Answer::Fails(code),
    }
}

/// Cuts `requests` at these points, in any order and possibly beyond the end.
pub(crate) fn cut<'a>(requests: &'a [Request], points: &BTreeSet<usize>) -> Vec<&'a [Request]> {
    let mut batches = Vec::new();
    let mut from = 0;
    for point in points.iter().filter(|point| **point < requests.len()) {
        batches.push(&requests[from..*point]);
        from = *point;
    }
    batches.push(&requests[from..]);
    batches
}

proptest! {
    #[test]
    fn after_every_step_rows_and_answers_are_those_of_the_model(history in history()) {
        let mut model = Model::new(&history);
        let mut stock = history.stock();
        for (event, request) in history.changes() {
            let decided = decide(stock, &[request], history.unknown).unwrap();
            let expected = model.step(event);
            prop_assert_eq!(answer(&decided.decisions[0]), expected);
            prop_assert_eq!(&decided.stock.levels, &model.levels());
            stock = decided.stock;
        }
    }

    #[test]
    fn after_every_step_stock_is_conserved_and_not_negative(history in history()) {
        let requests = history.requests();
        for end in 0..=requests.len() {
            let (stock, ledger, _) = history.decide(&[&requests[..end]]);
            prop_assert_eq!(stock.levels.len(), ledger.len());
            for (product, level) in stock.levels {
                prop_assert!(level.available >= 0 && level.reserved >= 0 && level.shipped >= 0);
                let pieces = level.available + level.reserved + level.shipped;
                prop_assert_eq!(pieces, ledger[&product], "{}", product);
            }
        }
    }

    #[test]
    fn it_does_not_matter_how_the_log_is_cut_into_batches(
        history in history(),
        points in prop::collection::btree_set(0..40usize, 0..10),
    ) {
        let requests = history.requests();
        let whole = history.decide(&[&requests]);
        prop_assert_eq!(history.decide(&cut(&requests, &points)), whole);
    }

    #[test]
    fn a_repeated_event_changes_nothing(
        history in history(),
        repeats in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..10),
    ) {
        prop_assume!(!history.events.is_empty());
        let mut repeated = history.clone();
        for (which, after) in repeats {
            let which = which.index(repeated.events.len());
            let at = which + 1 + after.index(repeated.events.len() - which);
            repeated.events.insert(at, repeated.events[which]);
        }
        let expected = history.decide(&[&history.requests()]);
        prop_assert_eq!(repeated.decide(&[&repeated.requests()]), expected);
    }

    #[test]
    fn a_change_that_is_decided_twice_is_answered_alike_and_moves_nothing(history in history()) {
        let mut stock = history.stock();
        for request in history.requests() {
            let once = decide(stock, std::slice::from_ref(&request), history.unknown).unwrap();
            let twice = decide(once.stock.clone(), &[request], history.unknown).unwrap();
            prop_assert_eq!(&twice.stock, &once.stock);
            prop_assert_eq!(&twice.decisions, &once.decisions);
            prop_assert!(twice.created.is_empty());
            stock = once.stock;
        }
    }
}
