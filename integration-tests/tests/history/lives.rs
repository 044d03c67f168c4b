//! Builds a history order by order. What is effective is said here, not folded.

use std::collections::BTreeMap;
use std::time::Duration;

use base_domains::{
    NewOrder, OrderEvent, OrderId, OrderStatus, WireOrder, event_id, header, home_partition,
};
use email_service::message_id::MessageId;
use integration_tests::history::{
    Answered, Attempt, Content, History, Injected, Mail, Operation, Outcome, Place,
};
use serde_json::Value;
use service_runtime::kafka::Record;
use uuid::Uuid;

pub(crate) const PARTITIONS: i32 = 3;
pub(crate) const DOMAIN: &str = "orders.example.com";

/// When it began, in epoch milliseconds.
pub(crate) const STARTED: i64 = 1_767_225_600_000;

/// A history under construction.
#[derive(Default)]
pub(crate) struct Lives {
    pub(crate) history: History,
    /// What each order is, and the events that moved it on.
    pub(crate) orders: BTreeMap<OrderId, Life>,
    /// The groups that cannot use a poison, by its place.
    pub(crate) letters: BTreeMap<Place, Vec<&'static str>>,
    ends: [i64; PARTITIONS as usize],
    /// Milliseconds since the start.
    pub(crate) now: i64,
}

pub(crate) struct Life {
    pub(crate) body: Value,
    pub(crate) steps: Vec<(OrderStatus, Place)>,
    pub(crate) reason: String,
}

impl Life {
    pub(crate) fn passed(&self, status: OrderStatus) -> bool {
        self.steps.iter().any(|(step, _)| *step == status)
    }

    pub(crate) fn end(&self) -> Option<OrderStatus> {
        let last = self.steps.last().map(|(status, _)| *status);
        last.filter(|status| status.is_terminal())
    }
}

/// The `n`-th order.
pub(crate) fn id(n: u128) -> OrderId {
    OrderId::new(Uuid::from_u128(
        0x0190_0000_0000_7000_8000_0000_0000_0000 + n,
    ))
}

/// Who appends such.
fn writer(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Pending | OrderStatus::Cancelled => "order-service",
        OrderStatus::Reserved | OrderStatus::Rejected => "stock-service",
        OrderStatus::Paid => "payment-service",
        OrderStatus::Shipped => "shipping-service",
    }
}

/// The body of an event.
pub(crate) fn event(order_id: OrderId, body: &Value, status: OrderStatus) -> OrderEvent {
    let order: NewOrder = serde_json::from_value(body.clone()).unwrap();
    let order = order.into_order(order_id).unwrap();
    OrderEvent::new(status, WireOrder::from(&order))
}

/// A request, answered with `status` (0: not at all).
pub(crate) fn attempt(
    operation: Operation,
    order_id: Option<OrderId>,
    body: &Value,
    status: u16,
) -> Attempt {
    let good = match operation {
        Operation::Cancel => "CANCELLED",
        _ => "PENDING",
    };
    let answer = Answered {
        status,
        problem: None,
        is_problem: status >= 400,
        order_id,
        order_status: (status < 300).then(|| good.to_owned()),
        retry_after: status == 503,
    };
    Attempt {
        order_id,
        operation,
        content: Content(body.clone()),
        start: Duration::from_millis(1),
        end: Duration::from_millis(2),
        outcome: if status == 0 {
            Outcome::Unknown
        } else {
            Outcome::of(status)
        },
        answer: (status > 0).then_some(answer),
    }
}

impl Lives {
    pub(crate) fn asked(
        &mut self,
        operation: Operation,
        order_id: Option<OrderId>,
        body: &Value,
        status: u16,
    ) {
        let attempt = attempt(operation, order_id, body, status);
        self.history.attempts.push(attempt);
    }

    /// Appends a record to a partition.
    pub(crate) fn push(&mut self, partition: i32, mut record: Record) -> Place {
        let end = &mut self.ends[usize::try_from(partition).unwrap()];
        (record.partition, record.offset) = (partition, *end);
        *end += 1;
        self.now += 10;
        record.timestamp = Some(STARTED + self.now);
        let place = (record.partition, record.offset);
        self.history.log.push(record);
        place
    }

    pub(crate) fn end(&self, partition: i32) -> i64 {
        self.ends[usize::try_from(partition).unwrap()]
    }

    /// An event of order `n` that its usual writer appends, and that moves it on.
    pub(crate) fn step(&mut self, n: u128, body: &Value, status: OrderStatus) {
        self.decided(n, body, status, writer(status), None);
    }

    /// The same of another writer, or with a reason.
    pub(crate) fn decided(
        &mut self,
        n: u128,
        body: &Value,
        status: OrderStatus,
        writer: &str,
        reason: Option<&str>,
    ) {
        let place = self.late(n, body, status, writer, reason);
        self.moves(n, body, status, place);
        if let Some(reason) = reason {
            self.orders.get_mut(&id(n)).unwrap().reason = reason.to_owned();
        }
    }

    /// The record at `place` moves order `n` on.
    pub(crate) fn moves(&mut self, n: u128, body: &Value, status: OrderStatus, place: Place) {
        let life = self.orders.entry(id(n)).or_insert_with(|| Life {
            body: body.clone(),
            steps: Vec::new(),
            reason: String::new(),
        });
        life.steps.push((status, place));
    }

    /// An event that comes too late to have an effect.
    pub(crate) fn late(
        &mut self,
        n: u128,
        body: &Value,
        status: OrderStatus,
        writer: &str,
        reason: Option<&str>,
    ) -> Place {
        let order_id = id(n);
        let mut event = event(order_id, body, status);
        event.reason = reason.map(str::to_owned);
        let event_id = event_id(order_id, status, writer, reason);
        let headers = [
            (header::CE_ID, event_id.to_string()),
            (header::CE_TYPE, status.ce_type().to_owned()),
            (header::CE_SOURCE, format!("/{writer}")),
            (header::CE_SUBJECT, order_id.to_string()),
            (
                header::CE_TIME,
                format!("2026-01-01T00:00:{:02}Z", self.history.log.len() % 60),
            ),
        ];
        let record = Record {
            partition: 0,
            offset: 0,
            timestamp: None,
            key: Some(order_id.to_string().into_bytes()),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.into_bytes()))
                .to_vec(),
            value: Some(event.to_json().unwrap().into_bytes()),
        };
        self.push(home_partition(order_id, PARTITIONS), record)
    }

    /// The last record once more.
    pub(crate) fn again(&mut self) {
        let record = self.history.log.last().unwrap().clone();
        self.push(record.partition, record);
    }

    /// A record that nobody can use who is of these groups.
    pub(crate) fn poison(
        &mut self,
        partition: i32,
        record: Record,
        groups: &[&'static str],
    ) -> Place {
        let place = self.push(partition, record.clone());
        self.history.poison.push(Injected {
            place: Some(place),
            key: record.key,
            headers: record.headers,
            value: record.value,
        });
        self.letters.insert(place, groups.to_vec());
        place
    }

    /// An event of order `n` that has a heading and no body.
    pub(crate) fn spoilt(
        &mut self,
        n: u128,
        status: OrderStatus,
        groups: &[&'static str],
    ) -> Place {
        let record = Record {
            partition: 0,
            offset: 0,
            timestamp: None,
            key: None,
            headers: vec![
                (header::CE_TYPE.to_owned(), status.ce_type().into()),
                (
                    header::CE_SUBJECT.to_owned(),
                    id(n).to_string().into_bytes(),
                ),
            ],
            value: Some(format!("{{{n}").into_bytes()),
        };
        self.poison(home_partition(id(n), PARTITIONS), record, groups)
    }

    /// One mail of each step that can be read.
    pub(crate) fn mail(&mut self) {
        for (order_id, life) in &self.orders {
            for (status, place) in life.steps.iter().filter(|(status, place)| {
                *status != OrderStatus::Reserved && !self.letters.contains_key(place)
            }) {
                let record = self
                    .history
                    .log
                    .iter()
                    .find(|r| (r.partition, r.offset) == *place)
                    .unwrap();
                let nobody = event_id(*order_id, *status, "", None).to_string();
                let event_id = record.header(header::CE_ID).unwrap_or(&nobody);
                let message_id = MessageId::new(*order_id, *status, event_id, DOMAIN)
                    .unwrap()
                    .to_string();
                let to = life.body["email"]
                    .as_str()
                    .unwrap_or("customer@example.com");
                self.history.mails.push(Mail {
                    message_id,
                    recipients: vec![to.to_owned()],
                });
            }
        }
    }
}
