//! The life of one order: the events that moved it on, and its state as of a moment.

use base_domains::{OrderId, OrderState, OrderStatus};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::moment::Moment;
use super::view::rfc3339;

/// The life of an order, all of it or up to a moment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "orderId": "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a",
    "status": "RESERVED",
    "events": [
        {"status": "PENDING", "partition": 1, "offset": 17, "at": "2026-11-21T10:15:30.123Z"},
        {"status": "RESERVED", "partition": 1, "offset": 18, "at": "2026-11-21T10:15:30.187Z"},
    ],
}))]
pub(super) struct History {
    order_id: Uuid,
    /// The state that these events come to.
    #[schema(value_type = String)]
    status: OrderStatus,
    /// In the order of the log.
    events: Vec<Entry>,
}

/// An event that moved the order on. Events that had no effect are in the log, but not here.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Entry {
    /// The state that it brought.
    #[schema(value_type = String)]
    pub(super) status: OrderStatus,
    /// Why the order was rejected or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// Where it is in the log.
    pub(super) partition: i32,
    /// Where it is in the partition.
    pub(super) offset: i64,
    /// When it was appended to the log.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub(super) at: Timestamp,
}

impl History {
    /// The life of `order_id`, up to a moment if there is one; `None` when the order did not exist.
    pub(super) fn of(
        order_id: OrderId,
        mut entries: Vec<Entry>,
        moment: Option<Moment>,
    ) -> Option<Self> {
        // Every event but a first one without key is in the order's home partition.
        let home = entries
            .iter()
            .find(|entry| entry.status != OrderStatus::Pending)
            .or_else(|| entries.first())?
            .partition;
        entries.sort_by_key(|entry| (entry.partition == home, entry.offset));
        if let Some(moment) = moment {
            // Up to the first that had not happened: clocks of writers may differ.
            let happened = entries
                .iter()
                .take_while(|entry| moment.reaches(entry, home));
            entries.truncate(happened.count());
        }
        let mut state = OrderState::default();
        for entry in &entries {
            state.apply(entry.status);
        }
        Some(Self {
            order_id: order_id.as_uuid(),
            status: state.status()?,
            events: entries,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OrderStatus::{Pending, Rejected, Reserved};

    fn entry(status: OrderStatus, partition: i32, offset: i64) -> Entry {
        Entry {
            status,
            reason: None,
            partition,
            offset,
            at: Timestamp::from_second(offset).unwrap(),
        }
    }

    fn statuses(entries: Vec<Entry>, moment: Option<Moment>) -> Option<Vec<OrderStatus>> {
        let order_id = OrderId::from_idempotency_key("test", "a");
        let history = History::of(order_id, entries, moment)?;
        let statuses: Vec<_> = history.events.iter().map(|entry| entry.status).collect();
        assert_eq!(statuses.last(), Some(&history.status));
        Some(statuses)
    }

    #[test]
    fn events_come_in_the_order_of_the_log() {
        let entries = vec![entry(Reserved, 1, 8), entry(Pending, 1, 3)];
        assert_eq!(statuses(entries, None), Some(vec![Pending, Reserved]));
    }

    #[test]
    fn a_first_event_of_another_partition_comes_first_whatever_its_offset() {
        let entries = vec![entry(Reserved, 1, 8), entry(Pending, 2, 40)];
        assert_eq!(
            statuses(entries.clone(), None),
            Some(vec![Pending, Reserved])
        );
        let before = Some(Moment::Offset(7));
        assert_eq!(statuses(entries, before), Some(vec![Pending]));
    }

    #[test]
    fn an_offset_and_a_time_include_the_event_at_them() {
        let entries = vec![entry(Pending, 1, 3), entry(Rejected, 1, 8)];
        let of = |moment| statuses(entries.clone(), Some(moment));
        assert_eq!(of(Moment::Offset(8)), Some(vec![Pending, Rejected]));
        assert_eq!(of(Moment::Offset(7)), Some(vec![Pending]));
        let time = |second| Moment::Time(Timestamp::from_second(second).unwrap());
        assert_eq!(of(time(8)), Some(vec![Pending, Rejected]));
        assert_eq!(of(time(7)), Some(vec![Pending]));
    }

    #[test]
    fn before_its_first_event_there_is_no_order() {
        let entries = vec![entry(Pending, 1, 3)];
        assert_eq!(statuses(entries, Some(Moment::Offset(2))), None);
        assert_eq!(statuses(vec![], None), None);
    }
}
