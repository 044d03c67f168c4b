//! Stock, money, parcels and mail that do not agree with the orders.

use base_domains::{OrderStatus, event_id};
use email_service::message_id::MessageId;
use integration_tests::history::{History, Invariant, Mail, OwnRow, Reservation, StockRow};

use crate::lives::{DOMAIN, id};
use crate::plant::Plant;
use crate::right::{
    HOLDER, LANDED, REFUNDED, SHIPPED, SOLD_OUT, STOPPED, STUCK, mail_job, too_late,
};

fn reservation(history: &mut History, n: u128) -> &mut Reservation {
    let order_id = id(n).to_string();
    let mut all = history.databases.reservations.iter_mut();
    all.find(|reservation| reservation.order_id == order_id)
        .unwrap()
}

fn books(history: &mut History) -> &mut StockRow {
    &mut history.databases.stock[0]
}

pub(super) fn all() -> Vec<Plant> {
    [stock(), money(), parcels(), mails()]
        .into_iter()
        .flatten()
        .collect()
}

fn stock() -> Vec<Plant> {
    vec![
        Plant {
            name: "a piece of stock is gone",
            breaks: Invariant::StockIsConserved,
            plant: |history| books(history).available -= 1,
        },
        Plant {
            name: "pieces were released twice",
            breaks: Invariant::StockIsConserved,
            plant: |history| (books(history).available, books(history).shipped) = (1050, 0),
        },
        Plant {
            name: "pieces came without an entry in the ledger",
            breaks: Invariant::StockIsConserved,
            plant: |history| history.stock[0].pieces += 1,
        },
        Plant {
            name: "a piece was missing for a moment",
            breaks: Invariant::StockIsConserved,
            plant: |history| history.observations[1].row.reserved -= 1,
        },
        Plant {
            name: "for a moment there was what there had been long before",
            breaks: Invariant::StockIsConserved,
            plant: |history| history.observations[4].row.available -= 50,
        },
        Plant {
            name: "for a moment there was what there should be later",
            breaks: Invariant::StockIsConserved,
            plant: |history| history.observations[0].row.available += 50,
        },
        Plant {
            name: "a product was seeded twice",
            breaks: Invariant::StockIsConserved,
            plant: |history| {
                let pens = history.databases.adjustments[1].clone();
                history.databases.stock[1].available += pens.delta;
                history.databases.adjustments.push(pens);
            },
        },
        Plant {
            name: "a product came from nowhere, with an entry in the ledger",
            breaks: Invariant::StockIsConserved,
            plant: |history| {
                let mut entry = history.databases.adjustments[3].clone();
                let mut row = history.databases.stock[3].clone();
                for product in [&mut entry.product, &mut row.product] {
                    "unicorn".clone_into(product);
                }
                history.databases.adjustments.push(entry);
                history.databases.stock.push(row);
            },
        },
        Plant {
            name: "stock was below zero for a moment",
            breaks: Invariant::StockIsNotNegative,
            plant: |history| {
                let row = &mut history.observations[0].row;
                (row.available, row.reserved) = (-1, 1001);
            },
        },
        Plant {
            name: "stock is below zero",
            breaks: Invariant::StockIsNotNegative,
            plant: |history| (books(history).available, books(history).shipped) = (-5, 1055),
        },
        Plant {
            name: "the pieces of a cancelled order are still held",
            breaks: Invariant::ReservationIsTheLogs,
            plant: |history| {
                "held".clone_into(&mut reservation(history, REFUNDED).state);
                (books(history).available, books(history).reserved) = (1044, 1);
            },
        },
        Plant {
            name: "the pieces of an order that a poison ended are still held",
            breaks: Invariant::ReservationIsTheLogs,
            plant: |history| {
                "held".clone_into(&mut reservation(history, STOPPED).state);
                let chairs = &mut history.databases.stock[2];
                (chairs.available, chairs.reserved) = (7, 2);
            },
        },
        Plant {
            name: "an order that is stuck holds nothing",
            breaks: Invariant::ReservationIsTheLogs,
            plant: |history| {
                let order_id = id(STUCK).to_string();
                let reservations = &mut history.databases.reservations;
                reservations.retain(|one| one.order_id != order_id);
                let chairs = &mut history.databases.stock[2];
                (chairs.available, chairs.reserved) = (9, 0);
            },
        },
        Plant {
            name: "an order was rejected for want of pieces that it got",
            breaks: Invariant::ReservationIsTheLogs,
            plant: |history| {
                let mut released = reservation(history, HOLDER).clone();
                released.order_id = id(too_late()).to_string();
                history.databases.reservations.push(released);
            },
        },
        Plant {
            name: "a SHIPPED order took other pieces than it asked for",
            breaks: Invariant::ReservationIsTheLogs,
            plant: |history| {
                reservation(history, SHIPPED)
                    .lines
                    .insert("book".to_owned(), 4);
                (books(history).available, books(history).shipped) = (1046, 4);
            },
        },
        Plant {
            name: "somebody who is not in the log has a reservation",
            breaks: Invariant::ReservationIsTheLogs,
            plant: |history| {
                let mut stranger = reservation(history, REFUNDED).clone();
                stranger.order_id = id(97).to_string();
                history.databases.reservations.push(stranger);
            },
        },
    ]
}

fn money() -> Vec<Plant> {
    vec![
        Plant {
            name: "a cancelled order was not refunded",
            breaks: Invariant::MoneyIsConserved,
            plant: |history| {
                history
                    .databases
                    .gateway
                    .retain(|entry| entry.operation != "refund")
            },
        },
        Plant {
            name: "a SHIPPED order was not charged",
            breaks: Invariant::MoneyIsConserved,
            plant: |history| {
                let order_id = id(LANDED).to_string();
                history
                    .databases
                    .gateway
                    .retain(|entry| entry.order_id != order_id);
            },
        },
        Plant {
            name: "an order was charged twice and refunded once",
            breaks: Invariant::ChargedOnce,
            plant: |history| {
                let order_id = id(LANDED).to_string();
                let mut entries = history.databases.gateway.iter();
                let charge = entries
                    .find(|entry| entry.order_id == order_id)
                    .unwrap()
                    .clone();
                let mut refund = charge.clone();
                "refund".clone_into(&mut refund.operation);
                history.databases.gateway.extend([charge, refund]);
            },
        },
        Plant {
            name: "an order that a poison ended was not refunded",
            breaks: Invariant::MoneyIsConserved,
            plant: |history| {
                let order_id = id(STOPPED).to_string();
                history
                    .databases
                    .gateway
                    .retain(|entry| entry.order_id != order_id || entry.operation != "refund");
            },
        },
        Plant {
            name: "an order that is stuck before its payment was charged",
            breaks: Invariant::MoneyIsConserved,
            plant: |history| {
                let mut charge = history.databases.gateway[0].clone();
                charge.order_id = id(STUCK).to_string();
                history.databases.gateway.push(charge);
            },
        },
        Plant {
            name: "an order was PAID and cancelled, and nobody ever charged it",
            breaks: Invariant::PaymentIsTheLogs,
            plant: |history| {
                let order_id = id(REFUNDED).to_string();
                let databases = &mut history.databases;
                databases.gateway.retain(|entry| entry.order_id != order_id);
                let mut payments = databases.payments.iter_mut();
                let payment = payments.find(|payment| payment.order_id == order_id);
                "skipped".clone_into(&mut payment.unwrap().state);
            },
        },
        Plant {
            name: "the gateway charged what it declines",
            breaks: Invariant::PaymentIsTheLogs,
            plant: |history| {
                let mut entries = history.databases.gateway.iter_mut();
                let declined = entries.find(|entry| entry.answer == "declined");
                "accepted".clone_into(&mut declined.unwrap().answer);
            },
        },
        Plant {
            name: "an order was charged too much",
            breaks: Invariant::PaymentIsTheLogs,
            plant: |history| history.databases.gateway[0].amount += 1,
        },
        Plant {
            name: "a payment says that it is not known whether it was charged",
            breaks: Invariant::PaymentIsTheLogs,
            plant: |history| "pending".clone_into(&mut history.databases.payments[0].state),
        },
        Plant {
            name: "somebody who is not in the log was charged",
            breaks: Invariant::PaymentIsTheLogs,
            plant: |history| {
                let mut entry = history.databases.gateway[0].clone();
                entry.order_id = id(96).to_string();
                history.databases.gateway.push(entry);
            },
        },
    ]
}

fn parcels() -> Vec<Plant> {
    vec![
        Plant {
            name: "a SHIPPED order has no parcel",
            breaks: Invariant::ShipmentIsTheLogs,
            plant: |history| {
                let order_id = id(SHIPPED).to_string();
                history
                    .databases
                    .shipments
                    .retain(|row| row.order_id != order_id);
            },
        },
        Plant {
            name: "the parcel of a cancelled order was handed over",
            breaks: Invariant::ShipmentIsTheLogs,
            plant: |history| {
                let order_id = id(REFUNDED).to_string();
                let mut rows = history.databases.shipments.iter_mut();
                let row = rows.find(|row| row.order_id == order_id);
                "dispatched".clone_into(&mut row.unwrap().state);
            },
        },
        Plant {
            name: "the parcel of an order that a poison ended was handed over",
            breaks: Invariant::ShipmentIsTheLogs,
            plant: |history| {
                let order_id = id(STOPPED).to_string();
                let mut rows = history.databases.shipments.iter_mut();
                let row = rows.find(|row| row.order_id == order_id);
                "dispatched".clone_into(&mut row.unwrap().state);
            },
        },
        Plant {
            name: "a rejected order has a parcel",
            breaks: Invariant::ShipmentIsTheLogs,
            plant: |history| {
                let (order_id, state) = (id(SOLD_OUT).to_string(), "dispatched".to_owned());
                history.databases.shipments.push(OwnRow { order_id, state });
            },
        },
    ]
}

/// The mail of a state of an order, as email-service would name it.
fn mail(n: u128, status: OrderStatus, writer: &str) -> Mail {
    let event_id = event_id(id(n), status, writer, None).to_string();
    let message_id = MessageId::new(id(n), status, &event_id, DOMAIN).unwrap();
    Mail {
        message_id: message_id.to_string(),
        recipients: vec!["customer@example.org".to_owned()],
    }
}

fn mails() -> Vec<Plant> {
    vec![
        Plant {
            name: "nobody was told that an order is SHIPPED",
            breaks: Invariant::MailIsSent,
            plant: |history| {
                let prefix = format!("<{}.shipped.", id(LANDED));
                history
                    .mails
                    .retain(|mail| !mail.message_id.starts_with(&prefix));
            },
        },
        Plant {
            name: "a mail tells of SHIPPED, which came too late",
            breaks: Invariant::MailHasItsState,
            plant: |history| {
                history
                    .mails
                    .push(mail(REFUNDED, OrderStatus::Shipped, "shipping-service"));
            },
        },
        Plant {
            name: "a mail tells of an order that there is not",
            breaks: Invariant::MailHasItsState,
            plant: |history| {
                history
                    .mails
                    .push(mail(95, OrderStatus::Pending, "order-service"));
            },
        },
        Plant {
            name: "a mail went to somebody else",
            breaks: Invariant::MailHasItsState,
            plant: |history| {
                let prefix = format!("<{}.", id(LANDED));
                let mut mails = history.mails.iter_mut();
                let mail = mails.find(|mail| mail.message_id.starts_with(&prefix));
                mail.unwrap().recipients = vec!["somebody@example.org".to_owned()];
            },
        },
        Plant {
            name: "the mail of an order without an address went to somebody",
            breaks: Invariant::MailHasItsState,
            plant: |history| {
                let prefix = format!("<{}.", id(SHIPPED));
                let mut mails = history.mails.iter_mut();
                let mail = mails.find(|mail| mail.message_id.starts_with(&prefix));
                mail.unwrap().recipients = vec!["customer@example.org".to_owned()];
            },
        },
        Plant {
            name: "a mail was sent again under another Message-ID",
            breaks: Invariant::MailHasOneId,
            plant: |history| {
                let mut again = history.mails[0].clone();
                again.message_id = again.message_id.replace('@', "x@");
                history.mails.push(again);
            },
        },
        Plant {
            name: "a mail was skipped",
            breaks: Invariant::MailIsSent,
            plant: |history| {
                "skipped".clone_into(&mut mail_job(history).state);
                let prefix = format!("<{}.pending.", id(SHIPPED));
                history
                    .mails
                    .retain(|mail| !mail.message_id.starts_with(&prefix));
            },
        },
        Plant {
            name: "a mail was sent three times, in two attempts",
            breaks: Invariant::MailRepeatsAreBounded,
            plant: |history| history.mails.push(history.mails[0].clone()),
        },
        Plant {
            name: "a mail was sent twice in one attempt, whoever was killed",
            breaks: Invariant::MailRepeatsAreBounded,
            plant: |history| mail_job(history).attempts = 1,
        },
        Plant {
            name: "a mail was sent and no job was kept of it",
            breaks: Invariant::MailRepeatsAreBounded,
            plant: |history| {
                let order_id = id(SHIPPED).to_string();
                let jobs = &mut history.databases.jobs;
                jobs.retain(|job| !job.id.contains(&order_id));
            },
        },
    ]
}
