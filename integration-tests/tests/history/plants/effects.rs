//! Money, parcels and mail that do not agree with the orders.

use base_domains::{OrderStatus, event_id};
use email_service::message_id::MessageId;
use integration_tests::history::{Invariant, Mail, OwnRow};

use crate::lives::{DOMAIN, id};
use crate::plant::Plant;
use crate::right::{LANDED, REFUNDED, SHIPPED, SOLD_OUT, STOPPED, STUCK, mail_job};

pub(super) fn all() -> Vec<Plant> {
    [money(), parcels(), mails()]
        .into_iter()
        .flatten()
        .collect()
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
            name: "a mail was sent at each of its attempts, and nobody was interrupted who sends it",
            breaks: Invariant::MailRepeatsAreBounded,
            plant: |history| {
                let interruptions = &mut history.interruptions;
                interruptions.retain(|one| one.process != "email");
            },
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
