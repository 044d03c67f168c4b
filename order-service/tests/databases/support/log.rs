//! The log as the two sides read it, record by record.

use std::collections::HashMap;

use base_domains::{
    Effect, Encoder, Heading, OrderEvent, OrderId, OrderState, OrderStatus, Reading, WireOrder,
    home_partition, read,
};
use service_runtime::kafka::Record;
use service_runtime::participant::{Change, Decider, Decision};

use super::Service;

pub(crate) const PARTITIONS: i32 = 3;

pub(crate) fn order_id(name: &str) -> OrderId {
    OrderId::from_idempotency_key("test", name)
}

/// Hands records to the read model, as the participant does.
#[derive(Default)]
pub(crate) struct Log {
    states: HashMap<OrderId, OrderState>,
    offset: i64,
}

/// A record with what was read from it.
pub(crate) struct Mark {
    pub(crate) heading: Heading,
    pub(crate) record: Record,
}

impl Log {
    /// The next record, about `order`, with the broker's time `at` in epoch milliseconds.
    pub(crate) fn record(&mut self, event: &OrderEvent, at: i64) -> Mark {
        let encoder = Encoder {
            writer: "test".to_owned(),
            type_id: None,
        };
        let encoded = encoder
            .encode(event, jiff::Timestamp::UNIX_EPOCH, None)
            .unwrap();
        self.offset += 1;
        let record = Record {
            partition: home_partition(event.order.order_id, PARTITIONS),
            offset: self.offset,
            timestamp: Some(at),
            key: Some(encoded.key.clone().into_bytes()),
            headers: encoded.header_bytes(),
            value: Some(encoded.value.into_bytes()),
        };
        let Ok(Reading::Event(heading)) = read(&record.as_ref(), PARTITIONS) else {
            panic!("not an event: {event:?}")
        };
        Mark { heading, record }
    }

    /// A record that brings the plain test order `id` to `status`.
    pub(crate) fn event(&mut self, id: OrderId, status: OrderStatus) -> Mark {
        let at = 1_000 * (self.offset + 1);
        self.record(&OrderEvent::new(status, plain(id)), at)
    }

    /// Folds the records into the read model, in one batch.
    pub(crate) async fn fold(&mut self, service: &Service, marks: &[Mark]) -> Vec<Decision> {
        let mut changes = Vec::new();
        for mark in marks {
            let state = self.states.entry(mark.heading.order_id).or_default();
            let before = state.status();
            if state.apply(mark.heading.status) == Effect::Effective {
                changes.push(change(mark, mark.heading.status, before));
            }
        }
        decide(service, &changes).await
    }

    /// Folds a record as another instance on the same database does: nobody here is told.
    pub(crate) async fn fold_elsewhere(&mut self, service: &Service, mark: &Mark) {
        let state = self.states.entry(mark.heading.order_id).or_default();
        let before = state.status();
        state.apply(mark.heading.status);
        let change = change(mark, mark.heading.status, before);
        let mut tx = service.database.begin().await.unwrap();
        service.projection.decide(&mut tx, &[change]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Hands the first record of an order to the command side.
    pub(crate) async fn keep(&mut self, service: &Service, mark: &Mark) -> Vec<Decision> {
        self.keep_all(service, std::slice::from_ref(mark)).await
    }

    /// The same of the first events of one order, in one batch.
    pub(crate) async fn keep_all(&mut self, service: &Service, life: &[Mark]) -> Vec<Decision> {
        let mut before = None;
        let changes: Vec<_> = life
            .iter()
            .map(|mark| {
                let status = mark.heading.status;
                change(mark, status, before.replace(status))
            })
            .collect();
        let mut tx = service.database.begin().await.unwrap();
        let decisions = service.keeper.decide(&mut tx, &changes).await.unwrap();
        tx.commit().await.unwrap();
        decisions
    }

    /// Hands a record over once more after its decision had failed.
    pub(crate) async fn redrive(&self, service: &Service, mark: &Mark) -> Vec<Decision> {
        let status = self.states[&mark.heading.order_id].status().unwrap();
        decide(service, &[change(mark, status, Some(status))]).await
    }

    /// One event, read back at once.
    pub(crate) async fn bring(&mut self, service: &Service, id: OrderId, status: OrderStatus) {
        let mark = self.event(id, status);
        assert_eq!(self.fold(service, &[mark]).await, [Decision::Done]);
    }
}

pub(crate) fn plain(order_id: OrderId) -> WireOrder {
    WireOrder {
        order_id,
        name: "book order".to_owned(),
        qty: 5,
        price: 10000.0,
        email: Some("canary@example.org".to_owned()),
        items: None,
    }
}

fn change(mark: &Mark, status: OrderStatus, before: Option<OrderStatus>) -> Change<'_> {
    Change {
        status,
        before,
        heading: &mark.heading,
        record: &mark.record,
        home_partition: mark.record.partition,
        redriven: false,
    }
}

async fn decide(service: &Service, changes: &[Change<'_>]) -> Vec<Decision> {
    let mut tx = service.database.begin().await.unwrap();
    let decisions = service.projection.decide(&mut tx, changes).await.unwrap();
    tx.commit().await.unwrap();
    service.projection.committed(changes);
    decisions
}
