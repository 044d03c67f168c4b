//! The life of one order, as the log tells it.

use base_domains::{Effect, OrderId, OrderState, OrderStatus, Reading, header, read};
use service_runtime::kafka::Record;

/// One event that had an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) status: OrderStatus,
    /// Who wrote it; empty when the record does not say.
    pub(super) writer: String,
}

/// The effective events of `order_id` among `records`, in the order of the log.
pub(super) fn history_of(order_id: OrderId, records: &[Record], partitions: i32) -> Vec<Entry> {
    let mut state = OrderState::default();
    let mut history = Vec::new();
    for record in records {
        if let Ok(Reading::Event(heading)) = read(&record.as_ref(), partitions)
            && heading.order_id == order_id
            && state.apply(heading.status) == Effect::Effective
        {
            history.push(Entry {
                partition: record.partition,
                offset: record.offset,
                status: heading.status,
                writer: record
                    .header(header::CE_SOURCE)
                    .unwrap_or_default()
                    .to_owned(),
            });
        }
    }
    history
}
