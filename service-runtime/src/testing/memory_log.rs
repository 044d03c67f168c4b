//! A log in memory, which can refuse or lose what is appended.

use std::sync::{Arc, Mutex};

use base_domains::{Encoder, OrderEvent, OrderId, header, home_partition};

use crate::kafka::{Delivered, Delivery, EventProducer, NewRecord, ProduceError, Record};

/// Partitions of the log.
pub const PARTITIONS: i32 = 3;

/// 1 January 2100: whatever happened then is young.
const YOUNG: i64 = 4_102_444_800_000;

/// What becomes of an appended record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fate {
    /// It is in the log.
    #[default]
    Kept,
    /// The broker is down: it is not in the log, and not acknowledged.
    Refused,
    /// It is acknowledged, and gone all the same.
    Lost,
}

/// The records of the topic `orders` and of the dead-letter topics. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    records: Vec<Record>,
    letters: Vec<NewRecord>,
    fate: Fate,
}

impl MemoryLog {
    /// Appends an event of another service.
    pub fn append(&self, event: &OrderEvent) -> Record {
        self.push(read_record(event))
    }

    /// Appends a record as it is, but for its offset.
    pub fn push(&self, mut record: Record) -> Record {
        let mut kept = self.kept.lock().unwrap();
        let same = |other: &&Record| other.partition == record.partition;
        let count = kept.records.iter().filter(same).count();
        record.offset = i64::try_from(count).unwrap();
        kept.records.push(record.clone());
        record
    }

    /// The records of one order, in their order.
    #[must_use]
    pub fn of(&self, order_id: OrderId) -> Vec<Record> {
        let key = order_id.to_string().into_bytes();
        let kept = self.kept.lock().unwrap();
        let of = kept.records.iter();
        of.filter(|record| record.key.as_ref() == Some(&key))
            .cloned()
            .collect()
    }

    /// The dead letters.
    #[must_use]
    pub fn letters(&self) -> Vec<NewRecord> {
        self.kept.lock().unwrap().letters.clone()
    }

    /// What becomes of what participants append from now on.
    pub fn set_fate(&self, fate: Fate) {
        self.kept.lock().unwrap().fate = fate;
    }
}

impl EventProducer for MemoryLog {
    fn enqueue(&self, record: &NewRecord) -> Result<Delivery, ProduceError> {
        let fate = self.kept.lock().unwrap().fate;
        if fate == Fate::Refused {
            let down = ProduceError::Unknown("down for the test".to_owned());
            return Ok(Box::pin(async { Err(down) }));
        }
        if record.topic.ends_with(".dlt") {
            self.kept.lock().unwrap().letters.push(record.clone());
        } else if fate == Fate::Kept {
            let key = record.key.clone().unwrap();
            let order_id = std::str::from_utf8(&key).unwrap().parse().unwrap();
            self.push(Record {
                partition: home_partition(order_id, PARTITIONS),
                offset: 0,
                timestamp: Some(YOUNG),
                key: Some(key),
                headers: record.headers.clone(),
                value: record.value.clone(),
            });
        }
        let (partition, offset) = (0, 0);
        Ok(Box::pin(async move { Ok(Delivered { partition, offset }) }))
    }
}

/// The record that carries `event`, as it is read from the log; of the year 2100.
#[must_use]
pub fn read_record(event: &OrderEvent) -> Record {
    let encoder = Encoder {
        writer: "test".to_owned(),
        type_id: None,
    };
    let at = jiff::Timestamp::UNIX_EPOCH;
    let encoded = encoder.encode(event, at, None).unwrap();
    Record {
        partition: home_partition(event.order.order_id, PARTITIONS),
        offset: 0,
        timestamp: Some(YOUNG),
        key: Some(encoded.key.clone().into_bytes()),
        headers: encoded.header_bytes(),
        value: Some(encoded.value.into_bytes()),
    }
}

/// The same with a body that nobody can read.
#[must_use]
pub fn garbled(record: Record) -> Record {
    Record {
        value: Some(b"{".to_vec()),
        ..record
    }
}

/// The same as an operator appends it for `group`, after a decision about it had failed.
#[must_use]
pub fn redriven(mut record: Record, group: &str) -> Record {
    let header = (header::REDRIVE_GROUP.to_owned(), group.into());
    record.headers.push(header);
    record
}
