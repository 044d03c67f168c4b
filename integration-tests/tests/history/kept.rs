//! What the services keep of the orders of a [`Lives`].

use std::collections::BTreeMap;

use base_domains::OrderStatus::{Paid, Reserved, Shipped};
use integration_tests::history::{
    Databases, GatewayEntry, Job, OrderRow, OwnRow, Participant, Payment, Reservation, View,
    ViewStep,
};
use serde_json::Value;
use service_runtime::kafka::PartitionLag;

use crate::lives::{Life, Lives, PARTITIONS, id};
use crate::right::UNREADABLE;

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
    let mut orders: Vec<OrderRow> = lives
        .orders
        .iter()
        .map(|(id, life)| order_row(&id.to_string(), life))
        .collect();
    orders.push(OrderRow {
        order_id: id(UNREADABLE).to_string(),
        status: "PENDING".to_owned(),
        rank: 1,
        outcome_rank: 0,
        failed: true,
    });
    let ends: BTreeMap<i32, i64> = (0..PARTITIONS).map(|p| (p, lives.end(p))).collect();
    let mut databases = Databases::default();
    for (service, name, group) in PARTICIPANTS {
        databases.participants.push(Participant {
            service: service.to_owned(),
            name: name.to_owned(),
            group: group.to_owned(),
            orders: orders.clone(),
            positions: ends.clone(),
        });
        let lag = |(partition, end): (&i32, &i64)| PartitionLag {
            partition: *partition,
            committed: (*partition > 0).then_some(*end - 1),
            begin: 0,
            end: *end,
        };
        lives
            .history
            .offsets
            .insert(group.to_owned(), ends.iter().map(lag).collect());
    }
    for (order_id, life) in &lives.orders {
        own_rows(&order_id.to_string(), life, &mut databases);
    }
    let order_id = id(UNREADABLE).to_string();
    let unreadable = lives
        .history
        .log
        .iter()
        .find(|r| r.value.as_deref() == Some(b"{"));
    let place = unreadable.map(|r| (r.partition, r.offset)).unwrap();
    databases.steps.push(ViewStep {
        order_id: order_id.clone(),
        status: "PENDING".to_owned(),
        place,
    });
    let (status, reason) = ("PENDING".to_owned(), String::new());
    databases.views.push(View {
        order_id: order_id.clone(),
        status,
        reason,
    });
    databases.commands.push(OwnRow {
        order_id,
        state: "unreadable".to_owned(),
    });
    lives.history.databases = databases;
}

fn order_row(order_id: &str, life: &Life) -> OrderRow {
    let (status, _) = life.steps.last().unwrap();
    OrderRow {
        order_id: order_id.to_owned(),
        status: status.as_str().to_owned(),
        rank: 100,
        outcome_rank: 2,
        failed: false,
    }
}

/// What the services keep of an order of their own.
fn own_rows(order_id: &str, life: &Life, databases: &mut Databases) {
    let order_id = || order_id.to_owned();
    let passed = |status| life.steps.iter().any(|(step, _)| *step == status);
    let (end, _) = life.steps.last().unwrap();
    for (status, place) in &life.steps {
        let status = status.as_str().to_owned();
        databases.steps.push(ViewStep {
            order_id: order_id(),
            status,
            place: *place,
        });
    }
    let (status, reason) = (end.as_str().to_owned(), life.reason.clone());
    databases.views.push(View {
        order_id: order_id(),
        status,
        reason,
    });
    databases.commands.push(OwnRow {
        order_id: order_id(),
        state: "ended".to_owned(),
    });
    let job = |id: String| Job {
        service: "email".to_owned(),
        id,
        state: "done".to_owned(),
        attempts: 1,
    };
    databases.jobs.extend(
        life.steps
            .iter()
            .map(|(status, _)| job(format!("mail/{}/{status}", order_id()))),
    );
    if !passed(Reserved) {
        return;
    }
    let shipped = *end == Shipped;
    let state = if shipped { "shipped" } else { "released" }.to_owned();
    let (lines, amount) = asked(&life.body);
    databases.reservations.push(Reservation {
        order_id: order_id(),
        state,
        lines,
    });
    let mut entry = |operation: &str, answer: &str| {
        let (operation, answer) = (operation.to_owned(), answer.to_owned());
        databases.gateway.push(GatewayEntry {
            order_id: order_id(),
            operation,
            amount,
            answer,
        });
    };
    let state = match (passed(Paid), shipped) {
        (true, true) => "charged",
        (true, false) => "refunded",
        _ => "declined",
    };
    entry("charge", if passed(Paid) { "accepted" } else { "declined" });
    if state == "refunded" {
        entry("refund", "accepted");
    }
    databases.payments.push(Payment {
        order_id: order_id(),
        state: state.to_owned(),
        amount,
    });
    if passed(Paid) {
        let state = if shipped { "dispatched" } else { "cancelled" }.to_owned();
        databases.shipments.push(OwnRow {
            order_id: order_id(),
            state,
        });
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
