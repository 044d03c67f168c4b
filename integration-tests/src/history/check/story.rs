//! The life of each order as the log tells it.

use std::collections::BTreeMap;

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
    /// One of its records is poison.
    pub(super) poisoned: bool,
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
}

/// Folds the log: of each order first what is not in its home partition (a bare PENDING), then that partition.
pub(super) fn tell(history: &History) -> BTreeMap<OrderId, Story<'_>> {
    let mut events = Vec::new();
    for record in &history.log {
        // It is for one group, whose decision failed; nobody folds it.
        if record.header(header::REDRIVE_GROUP).is_some() {
            continue;
        }
        if let Ok(Reading::Event(heading)) = read(&record.as_ref(), history.partitions) {
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
        story.poisoned |= is_poison(history, record);
        let effective = story.state.apply(heading.status) == Effect::Effective;
        story.events.push(Event {
            record,
            heading,
            effective,
            injected: is_injected(history, record),
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

    pub(super) fn place(&self) -> Place {
        place(self.record)
    }
}
