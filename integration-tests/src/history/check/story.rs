//! The life of each order as the log tells it.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{
    Effect, Heading, Order, OrderEvent, OrderId, OrderState, OrderStatus, Reading, header,
    home_partition, read,
};
use service_runtime::kafka::Record;

use super::super::{History, Place};
use super::{is_injected, is_poison, place};

/// An order of the log.
#[derive(Default)]
pub(super) struct Story<'a> {
    state: OrderState,
    /// All its events, in the order in which they are folded.
    pub(super) events: Vec<Event<'a>>,
    /// A decision about it was asked for again.
    redriven: bool,
    /// Its PENDING is not in the home partition, so that nobody can say when others read it.
    pub(super) loose: bool,
}

/// An event of an order.
pub(super) struct Event<'a> {
    pub(super) record: &'a Record,
    pub(super) heading: Heading,
    pub(super) effective: bool,
    /// Appended by hand.
    pub(super) injected: bool,
    /// Such that its body cannot be read.
    pub(super) poison: bool,
}

/// Folds the log: of each order first what is not in its home partition (a bare PENDING), then that partition.
pub(super) fn tell(history: &History) -> BTreeMap<OrderId, Story<'_>> {
    let (mut events, mut redriven) = (Vec::new(), BTreeSet::new());
    for record in &history.log {
        let Ok(Reading::Event(heading)) = read(&record.as_ref(), history.partitions) else {
            continue;
        };
        // It is for one group, whose decision failed; nobody folds it.
        if record.header(header::REDRIVE_GROUP).is_some() {
            redriven.insert(heading.order_id);
        } else {
            events.push((record, heading));
        }
    }
    let is_home = |(record, heading): &(&Record, Heading)| {
        record.partition == home_partition(heading.order_id, history.partitions)
    };
    events.sort_by_key(|event| (is_home(event), place(event.0)));
    let mut orders = BTreeMap::<OrderId, Story<'_>>::new();
    for event in events {
        let home = is_home(&event);
        let (record, heading) = event;
        let story = orders.entry(heading.order_id).or_default();
        story.loose |= !home;
        story.redriven = redriven.contains(&heading.order_id);
        let effective = story.state.apply(heading.status) == Effect::Effective;
        let poison = is_poison(history, record) && heading.decode(record.value.as_deref()).is_err();
        story.events.push(Event {
            record,
            heading,
            effective,
            injected: is_injected(history, record),
            poison,
        });
    }
    orders
}

impl<'a> Story<'a> {
    /// The folded status.
    pub(super) fn status(&self) -> Option<OrderStatus> {
        self.state.status()
    }

    /// The folded status if it is an end.
    pub(super) fn end(&self) -> Option<OrderStatus> {
        self.status().filter(|status| status.is_terminal())
    }

    pub(super) fn has_shipped(&self) -> bool {
        self.end() == Some(OrderStatus::Shipped)
    }

    /// The effective events.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Event<'a>> {
        self.events.iter().filter(|event| event.effective)
    }

    /// Whether the order was this.
    pub(super) fn passed(&self, status: OrderStatus) -> bool {
        self.steps().any(|step| step.heading.status == status)
    }

    /// Whether it was this by an event whose body can be read: what services do about the state, they can do then.
    pub(super) fn was_told(&self, status: OrderStatus) -> bool {
        let mut steps = self.steps();
        steps.any(|step| step.heading.status == status && !step.poison)
    }

    /// It cannot go on: whoever has to decide about its state cannot read what brought it.
    pub(super) fn is_stuck(&self) -> bool {
        self.end().is_none() && self.steps().last().is_some_and(|step| step.poison)
    }

    /// Whether it is where it stays, at an end or stuck, so that what it leaves can be judged.
    pub(super) fn is_over(&self) -> bool {
        self.end().is_some() || self.is_stuck()
    }

    /// Whether `writer` decided so, in time or too late.
    pub(super) fn was_decided(&self, writer: &str, status: OrderStatus) -> bool {
        let own = |event: &&Event<'_>| !event.injected && event.writer() == Some(writer);
        let mut own = self.events.iter().filter(own);
        own.any(|event| event.heading.status == status)
    }

    /// When it was placed at the earliest, in epoch milliseconds.
    pub(super) fn placed(&self) -> i64 {
        let pending = |event: &&Event<'_>| event.heading.status == OrderStatus::Pending;
        let placed = self.events.iter().filter(pending).map(Event::time);
        placed.min().flatten().unwrap_or(i64::MIN)
    }

    /// Where its readers decided about its PENDING, as far as the log says it.
    pub(super) fn read_at(&self) -> Option<Place> {
        let mut steps = self.steps().filter(|_| !self.loose && !self.redriven);
        let pending = steps.find(|step| step.heading.status == OrderStatus::Pending);
        pending.map(Event::place)
    }

    /// Every PENDING that a service appended.
    pub(super) fn placements(&self) -> impl Iterator<Item = &Event<'a>> {
        let own =
            |event: &&Event<'_>| event.heading.status == OrderStatus::Pending && !event.injected;
        self.events.iter().filter(own)
    }

    /// The order itself, by the first event that says it well.
    pub(super) fn order(&self) -> Option<Order> {
        self.events.iter().find_map(Event::order)
    }

    /// The event that ended it.
    pub(super) fn ending(&self) -> Option<&Event<'a>> {
        self.steps().find(|step| step.heading.status.is_terminal())
    }
}

impl Event<'_> {
    pub(super) fn body(&self) -> Option<OrderEvent> {
        self.heading.decode(self.record.value.as_deref()).ok()
    }

    pub(super) fn order(&self) -> Option<Order> {
        self.body()?.order.validate().ok()
    }

    /// The last part of `ce_source`.
    pub(super) fn writer(&self) -> Option<&str> {
        self.record.header(header::CE_SOURCE)?.rsplit('/').next()
    }

    /// In epoch milliseconds, if its producer has a clock.
    pub(super) fn time(&self) -> Option<i64> {
        self.record.timestamp.filter(|time| *time > 0)
    }

    pub(super) fn place(&self) -> Place {
        place(self.record)
    }
}
