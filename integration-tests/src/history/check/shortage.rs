//! Whether there may have been too few pieces of a product when an order was rejected for that.
//!
//! The stock service reads a partition in its order. So of two orders of one partition the log says whether one
//! held its pieces when the other was decided about. Of orders of two partitions only the times do: who was
//! placed after the rejection was appended held nothing before it, and everybody else may have.

use std::collections::BTreeMap;

use base_domains::OrderId;
use stock_service::reservation::lines_of;

use super::super::{Adjustment, CLOCKS, Place, Reservation};
use super::Case;
use super::stock::ledger;
use super::story::{Event, Story};

/// What is known of the stock over time.
pub(super) struct Stockroom<'a> {
    /// The ledger of each product, oldest first.
    ledger: BTreeMap<&'a str, Vec<&'a Adjustment>>,
    /// Who holds or held something of a product.
    holders: BTreeMap<&'a str, Vec<Holder>>,
}

struct Holder {
    order_id: String,
    pieces: i64,
    /// Where the stock service read of it; `None` where the log does not say when.
    place: Option<Place>,
    /// When that was placed at the earliest.
    since: i64,
    /// Where it read, in the same partition, that the pieces are free again.
    released: Option<i64>,
}

/// When an order was decided about.
struct Moment {
    place: Option<Place>,
    from: i64,
    until: i64,
}

impl<'a> Stockroom<'a> {
    pub(super) fn new(case: &Case<'a>) -> Self {
        let databases = &case.history.databases;
        let mut holders = BTreeMap::<&str, Vec<Holder>>::new();
        for reservation in &databases.reservations {
            let story = case.story(&reservation.order_id);
            for (product, pieces) in &reservation.lines {
                let holder = Holder::new(reservation, *pieces, story);
                holders.entry(product).or_default().push(holder);
            }
        }
        Self {
            ledger: ledger(case),
            holders,
        }
    }

    /// Of one of its products there may have been fewer pieces than the order asks for.
    pub(super) fn may_have_been_short(
        &self,
        order_id: &OrderId,
        story: &Story<'_>,
        rejected: &Event<'_>,
    ) -> bool {
        let Some(order) = story.order() else {
            return false;
        };
        let (order_id, moment) = (order_id.to_string(), Moment::of(story, rejected));
        lines_of(&order).iter().any(|(product, pieces)| {
            let holders = self.holders.get(product.as_str()).into_iter().flatten();
            let others = holders.filter(|holder| holder.order_id != order_id);
            let taken = others.filter(|holder| holder.may_hold_at(&moment));
            let taken: i64 = taken.map(|holder| holder.pieces).sum();
            self.fewest(product, &moment) - taken < *pieces
        })
    }

    /// One of the products of the order may not have been there when it was placed.
    pub(super) fn may_not_have_known(&self, story: &Story<'_>) -> bool {
        let Some(order) = story.order() else {
            return false;
        };
        let placed = story.placed();
        lines_of(&order).keys().any(|product| {
            let first = self
                .ledger
                .get(product.as_str())
                .and_then(|all| all.first());
            first.is_none_or(|first| first.at > placed.saturating_sub(CLOCKS))
        })
    }

    /// The fewest pieces, whoever had them, that there may have been by the ledger.
    fn fewest(&self, product: &str, moment: &Moment) -> i64 {
        let entries = self.ledger.get(product).into_iter().flatten();
        let (mut sum, mut fewest) = (0, None::<i64>);
        for entry in entries {
            if entry.at > moment.from.saturating_sub(CLOCKS) {
                fewest = Some(fewest.map_or(sum, |fewest| fewest.min(sum)));
            }
            if entry.at > moment.until.saturating_add(CLOCKS) {
                return fewest.unwrap_or(sum);
            }
            sum += entry.delta;
        }
        fewest.map_or(sum, |fewest| fewest.min(sum))
    }
}

impl Holder {
    fn new(reservation: &Reservation, pieces: i64, story: Option<&Story<'_>>) -> Self {
        let place = story.and_then(Story::read_at);
        let ending = story.and_then(|story| story.ending());
        let released = ending.filter(|_| place.is_some() && reservation.state == "released");
        Self {
            order_id: reservation.order_id.clone(),
            pieces,
            place,
            since: story.map_or(i64::MIN, Story::placed),
            released: released.map(|end| end.record.offset),
        }
    }

    fn may_hold_at(&self, moment: &Moment) -> bool {
        match (self.place, moment.place) {
            (Some((one, offset)), Some((other, decided))) if one == other => {
                offset < decided && self.released.is_none_or(|released| released > decided)
            }
            _ => self.since <= moment.until,
        }
    }
}

impl Moment {
    fn of(story: &Story<'_>, rejected: &Event<'_>) -> Self {
        // Before any of its copies was appended.
        let copies = story
            .events
            .iter()
            .filter(|event| event.heading.event_id == rejected.heading.event_id);
        let until = copies.filter_map(Event::time).min();
        Self {
            place: story.read_at(),
            from: story.placed(),
            until: until.unwrap_or(i64::MAX),
        }
    }
}
