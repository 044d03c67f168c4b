//! The decision over a log that another run of the service produced, read again from a backup.
//!
//! A model of what the participant does (rule R13) around the pure function: decisions are made again,
//! those of the log win over them, and only orders that the log has no decision about get a new one.

use std::collections::BTreeSet;

use base_domains::{Effect, OrderState};
use proptest::prelude::*;

use super::properties::{PRODUCTS, lines, order};
use super::*;

/// What other services append, all but the last only to what is RESERVED.
const OTHERS: [OrderStatus; 3] = [
    OrderStatus::Paid,
    OrderStatus::Shipped,
    OrderStatus::Cancelled,
];

/// What happens to the first service, besides that it reads.
#[derive(Debug, Clone)]
enum Step {
    Place(usize),
    /// Somebody else appends this.
    Append(usize, OrderStatus),
    /// The service reads so many records.
    Read(usize),
    /// An operator sets a product.
    Set(&'static str, i64),
    /// A copy of the database.
    Backup,
}

#[derive(Debug, Clone)]
struct Story {
    orders: Vec<WireOrder>,
    steps: Vec<Step>,
    unknown: UnknownProduct,
    /// Whether the first service read the log to its end.
    drained: bool,
    /// From which partition the second service reads next.
    turns: Vec<bool>,
    /// What an operator adds to every product of the backup.
    more: i64,
}

fn story() -> impl Strategy<Value = Story> {
    let orders = prop::collection::vec(lines(), 1..8);
    orders.prop_flat_map(|orders| {
        let number = 0..orders.len();
        let step = prop_oneof![
            6 => number.clone().prop_map(Step::Place),
            3 => (number, prop::sample::select(&OTHERS[..]))
                .prop_map(|(number, status)| Step::Append(number, status)),
            6 => (1..4usize).prop_map(Step::Read),
            1 => (prop::sample::select(&PRODUCTS[..2]), 0..12i64)
                .prop_map(|(product, pieces)| Step::Set(product, pieces)),
            1 => Just(Step::Backup),
        ];
        let orders: Vec<WireOrder> = orders.into_iter().enumerate().map(order).collect();
        let unknown = prop_oneof![
            Just(UnknownProduct::Reject),
            (0..12i64).prop_map(UnknownProduct::Create)
        ];
        (
            Just(orders),
            prop::collection::vec(step, 0..60),
            unknown,
            any::<bool>(),
            prop::collection::vec(any::<bool>(), 60),
            prop_oneof![Just(0), 0..4i64, Just(10_000)],
        )
            .prop_map(|(orders, steps, unknown, drained, turns, more)| Story {
                orders,
                steps,
                unknown,
                drained,
                turns,
                more,
            })
    })
}

/// An event of the order with this number; `true`: the service's own.
type Event = (usize, OrderStatus, bool);

/// Two partitions; records of one order are in one of them.
type Log = [Vec<Event>; 2];

/// The service: its database.
#[derive(Debug, Clone)]
struct Service {
    stock: Stock,
    ledger: BTreeMap<String, i64>,
    states: Vec<OrderState>,
    /// Stored outcomes.
    outcomes: BTreeMap<usize, OrderStatus>,
    failed: BTreeSet<usize>,
    positions: [usize; 2],
}

impl Service {
    fn new(orders: usize) -> Self {
        let levels = PRODUCTS[..2].iter().map(|name| ((*name).to_owned(), 6));
        let ledger: BTreeMap<String, i64> = levels.collect();
        let levels = ledger.iter();
        Self {
            stock: Stock {
                levels: levels
                    .map(|(name, pieces)| (name.clone(), Level::of(*pieces)))
                    .collect(),
                ..Stock::default()
            },
            ledger,
            states: vec![OrderState::default(); orders],
            outcomes: BTreeMap::new(),
            failed: BTreeSet::new(),
            positions: [0, 0],
        }
    }

    fn set(&mut self, product: &str, available: i64) {
        let level = self.stock.levels.entry(product.to_owned()).or_default();
        *self.ledger.entry(product.to_owned()).or_default() += available - level.available;
        level.available = available;
    }

    /// Reads one record; the status to append.
    fn read(&mut self, story: &Story, log: &Log, partition: usize) -> Option<Event> {
        let (number, status, own) = *log[partition].get(self.positions[partition])?;
        self.positions[partition] += 1;
        if self.states[number].apply(status) == Effect::NoEffect {
            return None;
        }
        let outcome = self.outcomes.get(&number).map_or(0, |s| s.rank());
        if own && outcome > status.rank() {
            self.outcomes.remove(&number);
        }
        let order = &story.orders[number];
        let request = Request {
            order_id: order.order_id,
            action: Action::new(status, || Ok(OrderEvent::new(status, order.clone()))),
        };
        let decided = decide(self.stock.clone(), &[request], story.unknown).unwrap();
        self.stock = decided.stock;
        for (product, pieces) in decided.created {
            *self.ledger.entry(product).or_default() += pieces;
        }
        match decided.decisions.into_iter().next()? {
            Decision::Done => None,
            Decision::Failed { code, .. } => {
                assert_ne!(code, "no_value");
                self.failed.insert(number);
                None
            }
            Decision::Append(event) => {
                let status: OrderStatus = event.status.as_str().parse().unwrap();
                self.outcomes.insert(number, status);
                Some((number, status, true))
            }
        }
    }
}

/// The log that the first service made, and a copy of its database from before its end.
fn first_run(story: &Story) -> (Log, Service) {
    let mut log: Log = [Vec::new(), Vec::new()];
    let mut service = Service::new(story.orders.len());
    let mut backup = service.clone();
    let mut placed = BTreeSet::new();
    let mut unread = Vec::new();
    let rest = story.drained.then_some(Step::Read(usize::MAX));
    for step in story.steps.iter().chain(&rest) {
        match *step {
            Step::Place(number) => {
                placed.insert(number);
                log[number % 2].push((number, OrderStatus::Pending, false));
                unread.push(number % 2);
            }
            Step::Append(number, status) => {
                let reserved = log[number % 2].contains(&(number, OrderStatus::Reserved, true));
                let cancels = status == OrderStatus::Cancelled && placed.contains(&number);
                if reserved || cancels {
                    log[number % 2].push((number, status, false));
                    unread.push(number % 2);
                }
            }
            Step::Set(product, pieces) => service.set(product, pieces),
            Step::Backup => backup = service.clone(),
            Step::Read(count) => {
                for _ in 0..count {
                    if unread.is_empty() {
                        break;
                    }
                    let partition = unread.remove(0);
                    let event = service.read(story, &log, partition);
                    if let Some(event) = event {
                        log[event.0 % 2].push(event);
                        unread.push(event.0 % 2);
                    }
                }
            }
        }
    }
    (log, backup)
}

/// Reads the log to its end from the backup, publishing nothing, and then what nobody had decided.
fn second_run(story: &Story, log: &mut Log, mut service: Service) -> Service {
    let mut turns = story.turns.iter().cycle().map(|turn| usize::from(*turn));
    let ends = [log[0].len(), log[1].len()];
    while service.positions != ends {
        let partition = turns.next().unwrap_or(0);
        let is_read = service.positions[partition] == ends[partition];
        service.read(story, log, if is_read { 1 - partition } else { partition });
    }
    for (number, status) in service.outcomes.clone() {
        if status.rank() > service.states[number].rank() {
            log[number % 2].push((number, status, true));
        }
    }
    for partition in [0, 1] {
        while service.positions[partition] < log[partition].len() {
            service.read(story, log, partition);
        }
    }
    service
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_backup_that_reads_the_log_again_follows_it(story in story()) {
        let (mut log, mut backup) = first_run(&story);
        let products: Vec<(String, i64)> = backup.stock.levels.iter()
            .map(|(product, level)| (product.clone(), level.available)).collect();
        for (product, available) in products {
            backup.set(&product, available + story.more);
        }
        if matches!(story.unknown, UnknownProduct::Create(_)) && story.more >= 10_000 {
            backup.set(PRODUCTS[2], 10_000);
        }
        let before = backup.failed.clone();
        let service = second_run(&story, &mut log, backup);

        for (number, order) in story.orders.iter().enumerate() {
            // Nothing was decided twice.
            let records = log[number % 2].iter();
            let own = records.filter(|event| event.0 == number && event.2).count();
            prop_assert!(own <= 1, "order {} in {:?}", number, log);
            // Every service folds the same log.
            let mut state = OrderState::default();
            for (_, status, _) in log[number % 2].iter().filter(|event| event.0 == number) {
                state.apply(*status);
            }
            prop_assert_eq!(state, service.states[number]);
            // The rows are as the log says, or a dead letter tells of it.
            let reservation = service.stock.reservations.get(&order.order_id);
            let is = reservation.map(|reservation| reservation.state);
            let failed = service.failed.contains(&number);
            match state.status() {
                Some(OrderStatus::Reserved | OrderStatus::Paid) => {
                    prop_assert!(is == Some(ReservationState::Held) || (is.is_none() && failed));
                }
                Some(OrderStatus::Shipped) => {
                    prop_assert!(is == Some(ReservationState::Shipped) || (is.is_none() && failed));
                }
                _ => prop_assert_ne!(is, Some(ReservationState::Held)),
            }
        }
        for (product, level) in &service.stock.levels {
            prop_assert!(level.available >= 0 && level.reserved >= 0 && level.shipped >= 0);
            let pieces = level.available + level.reserved + level.shipped;
            prop_assert_eq!(pieces, service.ledger[product], "{}", product);
        }
        if story.more >= 10_000 {
            let valid = |number: &usize| Demand::from(story.orders[*number].clone()).lines.is_some();
            let short = service.failed.difference(&before).find(|number| valid(number));
            prop_assert_eq!(short, None, "there is enough of everything");
        }
    }
}
