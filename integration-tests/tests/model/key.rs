//! A state in few bytes, to know it again.

use crate::state::{Event, Own, Participant, State};
use crate::world::{Faults, World};

impl State {
    /// Two states are the same if and only if their keys are.
    pub(crate) fn key(&self, world: &World) -> Box<[u8]> {
        let orders = world.orders.len();
        let mut key = Vec::with_capacity(128);
        key.push(self.log.len() as u8);
        for event in &self.log {
            key.push(event.byte());
        }
        for participant in &self.participants {
            participant.push(&mut key, orders);
        }
        key.push(self.level.available as u8);
        key.push(self.level.reserved as u8);
        key.push(self.level.shipped as u8);
        let Faults {
            crashes,
            rereads,
            repeats,
            lost_answers,
        } = self.faults;
        key.extend_from_slice(&[crashes, rereads, repeats, lost_answers]);
        for own in &self.own[..orders] {
            key.extend_from_slice(&own.bytes());
        }
        key.into()
    }
}

impl Participant {
    fn push(&self, key: &mut Vec<u8>, orders: usize) {
        let byte = |event: Option<Event>| event.map_or(0, Event::byte);
        key.push(self.next as u8);
        key.push(self.batch.map_or(0, |batch| batch.next as u8));
        for order in 0..orders {
            let row = &self.rows[order];
            key.push(row.fold.status().map_or(0, |status| 1 + status as u8));
            key.push(byte(row.unconfirmed));
            key.push(byte(row.publishing));
            key.push(self.batch.map_or(0, |batch| byte(batch.outcomes[order])));
        }
    }
}

impl Own {
    fn bytes(&self) -> [u8; 13] {
        [
            self.kept as u8,
            self.cancels,
            u8::from(self.asked),
            self.answer.map_or(0, |status| 1 + status as u8),
            self.reservation.map_or(0, |state| 1 + state as u8),
            self.payment.map_or(0, |state| 1 + state as u8),
            self.charge as u8,
            self.refund as u8,
            self.charged,
            self.refunded,
            self.shipment.map_or(0, |state| 1 + state as u8),
            self.dispatch as u8,
            self.parcels,
        ]
    }
}
