//! What the services keep of the orders of a [`Lives`].

use std::collections::BTreeMap;

use base_domains::OrderStatus::{Paid, Pending, Reserved, Shipped};
use base_domains::{OrderId, reason};
use integration_tests::history::{
    Databases, GatewayEntry, Job, OrderRow, OwnRow, Participant, Payment, Reservation, Told, View,
    ViewStep, Webhook,
};
use serde_json::Value;
use service_runtime::kafka::PartitionLag;
use webhook_service::job::delivery_id;

use crate::lives::{Life, Lives, PARTITIONS};

/// Service, participant, group.
pub(crate) const PARTICIPANTS: [(&str, &str, &str); 7] = [
    ("order", "orders", "g-order"),
    ("order", "orders-view", "g-view"),
    ("stock", "stock", "g-stock"),
    ("email", "email", "g-email"),
    ("payment", "payment", "g-payment"),
    ("shipping", "shipping", "g-shipping"),
    ("webhook", "webhook", "g-webhook"),
];

pub(crate) fn databases(lives: &mut Lives) {
    let ends: BTreeMap<i32, i64> = (0..PARTITIONS).map(|p| (p, lives.end(p))).collect();
    let mut databases = Databases::default();
    for (service, name, group) in PARTICIPANTS {
        let orders = lives.orders.iter();
        databases.participants.push(Participant {
            service: service.to_owned(),
            name: name.to_owned(),
            group: group.to_owned(),
            orders: orders
                .map(|(id, life)| order_row(lives, group, *id, life))
                .collect(),
            positions: ends.clone(),
        });
        let lag = |(partition, end): (&i32, &i64)| PartitionLag {
            partition: *partition,
            committed: Some(*end),
            begin: 0,
            end: *end,
        };
        lives
            .history
            .offsets
            .insert(group.to_owned(), ends.iter().map(lag).collect());
    }
    for (order_id, life) in &lives.orders {
        own_rows(lives, &order_id.to_string(), life, &mut databases);
        notifications(
            *order_id,
            life,
            &mut lives.history.webhooks[0],
            &mut databases,
        );
    }
    lives.history.databases = databases;
}

fn order_row(lives: &Lives, group: &str, order_id: OrderId, life: &Life) -> OrderRow {
    let (status, _) = life.steps.last().unwrap();
    let mut poison = life
        .steps
        .iter()
        .filter_map(|(_, place)| lives.letters.get(place));
    OrderRow {
        order_id: order_id.to_string(),
        status: status.as_str().to_owned(),
        rank: status.rank(),
        outcome_rank: status.rank().min(2),
        failed: poison.any(|groups| groups.contains(&group)),
    }
}

/// What the services keep of an order of their own.
fn own_rows(lives: &Lives, order_id: &str, life: &Life, databases: &mut Databases) {
    let order_id = || order_id.to_owned();
    let told = |status| {
        let mut steps = life.steps.iter();
        steps.any(|(step, place)| *step == status && !lives.letters.contains_key(place))
    };
    let (last, _) = life.steps.last().unwrap();
    for (status, place) in &life.steps {
        let status = status.as_str().to_owned();
        databases.steps.push(ViewStep {
            order_id: order_id(),
            status,
            place: *place,
        });
    }
    let (status, reason) = (last.as_str().to_owned(), life.reason.clone());
    databases.views.push(View {
        order_id: order_id(),
        status,
        reason,
    });
    let state = match (life.end(), told(Pending)) {
        (Some(_), _) => "ended",
        (None, true) => "open",
        (None, false) => "unreadable",
    };
    databases.commands.push(OwnRow {
        order_id: order_id(),
        state: state.to_owned(),
    });
    let mailed = life.steps.iter().filter(|(status, _)| told(*status));
    databases
        .jobs
        .extend(mailed.map(|(status, _)| job("email", format!("mail/{}/{status}", order_id()))));
    if !life.passed(Reserved) {
        return;
    }
    let shipped = life.end() == Some(Shipped);
    let state = match life.end() {
        None => "held",
        Some(Shipped) => "shipped",
        Some(_) => "released",
    };
    let (lines, amount) = asked(&life.body);
    databases.reservations.push(Reservation {
        order_id: order_id(),
        state: state.to_owned(),
        lines,
    });
    if !told(Reserved) {
        return;
    }
    let mut entry = |operation: &str, answer: &str| {
        let (operation, answer) = (operation.to_owned(), answer.to_owned());
        databases.gateway.push(GatewayEntry {
            order_id: order_id(),
            operation,
            amount,
            answer,
        });
    };
    let declined = life.reason == reason::PAYMENT_DECLINED;
    let state = match (told(Paid), shipped) {
        (true, true) => "charged",
        (true, false) => "refunded",
        (false, _) if declined => "declined",
        _ => "skipped",
    };
    match state {
        "skipped" => {}
        "declined" => entry("charge", "declined"),
        _ => entry("charge", "accepted"),
    }
    if state == "refunded" {
        entry("refund", "accepted");
    }
    databases.payments.push(Payment {
        order_id: order_id(),
        state: state.to_owned(),
        amount,
    });
    if told(Paid) {
        let state = if shipped { "dispatched" } else { "cancelled" }.to_owned();
        databases.shipments.push(OwnRow {
            order_id: order_id(),
            state,
        });
    }
}

/// A receiver is told of everything but RESERVED, also of what others cannot read.
fn notifications(order_id: OrderId, life: &Life, webhook: &mut Webhook, databases: &mut Databases) {
    for (status, _) in life.steps.iter().filter(|(status, _)| *status != Reserved) {
        let id = delivery_id(webhook.id, order_id, *status);
        databases.jobs.push(job("webhook", id.clone()));
        webhook.told.push(Told {
            id,
            order_id,
            status: *status,
        });
    }
}

fn job(service: &str, id: String) -> Job {
    Job {
        service: service.to_owned(),
        id,
        state: "done".to_owned(),
        attempts: 1,
    }
}

/// Pieces by product, and the sum in minor units.
fn asked(body: &Value) -> (BTreeMap<String, i64>, i64) {
    let lines = body["items"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![body.clone()]);
    let qty = |line: &Value| line["qty"].as_i64().unwrap();
    let pieces = |line: &Value| (line["name"].as_str().unwrap().to_owned(), qty(line));
    let cost = |line: &Value| (line["price"].as_f64().unwrap() * 100.0).round() as i64 * qty(line);
    (
        lines.iter().map(pieces).collect(),
        lines.iter().map(cost).sum(),
    )
}
