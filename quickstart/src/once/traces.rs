//! What an order leaves behind: in the log, the mail, the payments, the shipments and the stock.

use std::time::Duration;

use base_domains::{OrderId, OrderStatus};
use service_runtime::kafka::read_all;
use tokio::time::Instant;

use super::case::Case;
use super::history::{Entry, history_of};
use super::{OnceError, WITHIN, equal};
use crate::client::{Client, Mail, Payment, Placed, Product, Shipment};
use crate::system::System;

/// Between two looks at services that have not followed yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// All of it.
pub(super) struct Traces {
    pub(super) history: Vec<Entry>,
    pub(super) mails: Vec<Mail>,
    pub(super) payment: Option<Payment>,
    pub(super) shipment: Option<Shipment>,
    pub(super) before: Product,
    pub(super) after: Product,
}

impl Traces {
    /// The traces once they are as `case` wants them, or as they are after [`WITHIN`]: the services
    /// follow the log each at its own pace.
    pub(super) async fn complete(
        system: &System,
        client: &Client,
        case: &Case,
        placed: &Placed,
        before: &Product,
    ) -> Result<Self, OnceError> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let traces = Self::look(system, client, placed.order_id, before).await?;
            if traces.verify(case).is_ok() || Instant::now() >= deadline {
                return Ok(traces);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn look(
        system: &System,
        client: &Client,
        order_id: OrderId,
        before: &Product,
    ) -> Result<Self, OnceError> {
        let kafka = system.kafka();
        let records = read_all(&kafka, &kafka.topic, WITHIN).await?;
        Ok(Self {
            history: history_of(order_id, &records, kafka.partitions),
            mails: client.mails(order_id).await?,
            payment: client.payment(order_id).await?,
            shipment: client.shipment(order_id).await?,
            before: before.clone(),
            after: client.stock(&before.name).await?,
        })
    }

    /// By how much the available, reserved and shipped pieces changed.
    pub(super) fn moved(&self) -> [i64; 3] {
        [
            self.after.available - self.before.available,
            self.after.reserved - self.before.reserved,
            self.after.shipped - self.before.shipped,
        ]
    }

    pub(super) fn verify(&self, case: &Case) -> Result<(), OnceError> {
        let title = case.title;
        let events: Vec<OrderStatus> = self.history.iter().map(|entry| entry.status).collect();
        equal(title, "the history", events, case.history.to_vec())?;
        let mut mailed: Vec<&str> = self.mails.iter().map(|mail| &*mail.status).collect();
        mailed.sort_unstable();
        equal(title, "the list of mails", mailed, case.mails.to_vec())?;
        for mail in &self.mails {
            equal(title, "the state of a mail", &*mail.state, "sent")?;
        }
        let payment = self.payment.as_ref().map(|payment| &*payment.state);
        equal(title, "the payment", payment, case.payment)?;
        let shipment = self.shipment.as_ref().map(|shipment| &*shipment.state);
        equal(title, "the shipment", shipment, case.shipment)?;
        equal(title, "the movement of stock", self.moved(), case.moved)
    }
}
