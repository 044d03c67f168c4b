//! A history without a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base_domains::{OrderStatus, header, home_partition, reason};
use integration_tests::history::{
    Adjustment, Databases, GatewayEntry, History, Injected, Interruption, Job, Kind, Observation,
    Operation, OrderRow, OwnRow, Participant, Payment, Poison, Reservation, StockLevel, StockRow,
    View, ViewStep,
};
use serde_json::{Value, json};
use service_runtime::kafka::{PartitionLag, Record, dlt};

use OrderStatus::{Cancelled, Paid, Pending, Rejected, Reserved, Shipped};

use crate::lives::{Life, Lives, PARTITIONS, event, id};

/// Service, participant, group.
const PARTICIPANTS: [(&str, &str, &str); 7] = [
    ("order", "orders", "g-order"),
    ("order", "orders-view", "g-view"),
    ("stock", "stock", "g-stock"),
    ("email", "email", "g-email"),
    ("payment", "payment", "g-payment"),
    ("shipping", "shipping", "g-shipping"),
    ("webhook", "webhook", "g-webhook"),
];

/// Of the orders, by the number in [`id`].
pub(crate) const SHIPPED: u128 = 1;
pub(crate) const SOLD_OUT: u128 = 2;
pub(crate) const REFUNDED: u128 = 3;
pub(crate) const LANDED: u128 = 4;
pub(crate) const NOT_LANDED: u128 = 5;
pub(crate) const BARE: u128 = 6;
pub(crate) const DECLINED: u128 = 7;
pub(crate) const NAMELESS: u128 = 8;
pub(crate) const UNREADABLE: u128 = 9;
pub(crate) const REFUSED: u128 = 10;

pub(crate) fn body(product: &str, qty: i64) -> Value {
    json!({"name": product, "qty": qty, "price": 100.25, "email": "customer@example.org"})
}

/// The history, anew.
pub(crate) fn right() -> History {
    let mut lives = Lives::default();
    lives.history.partitions = PARTITIONS;
    ordered(&mut lives);
    unknown(&mut lives);
    injected(&mut lives);
    lives.mail();
    interrupted(&mut lives.history);
    databases(&mut lives);
    stock(&mut lives.history);
    letters(&mut lives.history);
    lives.history
}

/// Orders whose clients know what became of them.
fn ordered(lives: &mut Lives) {
    let two = json!({"items": [
        {"name": "book", "qty": 5, "price": 100}, {"name": "pen", "qty": 1, "price": 0.5}]});
    lives.asked(Operation::Place, Some(id(SHIPPED)), &two, 201);
    lives.asked(Operation::Cancel, Some(id(SHIPPED)), &Value::Null, 404);
    for status in [Pending, Reserved, Paid, Shipped] {
        lives.step(SHIPPED, &two, status);
    }
    // It was stored, and SHIPPED came first in the log: too late.
    lives.late(
        SHIPPED,
        &two,
        OrderStatus::Cancelled,
        "order-service",
        Some(reason::CANCELLED_ON_REQUEST),
    );
    lives.asked(Operation::Cancel, Some(id(SHIPPED)), &Value::Null, 409);
    let many = body("book", 5000);
    lives.asked(Operation::Place, Some(id(SOLD_OUT)), &many, 201);
    lives.step(SOLD_OUT, &many, Pending);
    lives.decided(
        SOLD_OUT,
        &many,
        Rejected,
        "stock-service",
        Some(reason::OUT_OF_STOCK),
    );
    let one = body("book", 1);
    lives.asked(Operation::Put, Some(id(REFUNDED)), &one, 201);
    for status in [Pending, Reserved, Paid] {
        lives.step(REFUNDED, &one, status);
        lives.again(); // after a kill
    }
    lives.asked(Operation::Cancel, Some(id(REFUNDED)), &Value::Null, 503);
    lives.asked(Operation::Cancel, Some(id(REFUNDED)), &Value::Null, 200);
    let why = Some(reason::CANCELLED_ON_REQUEST);
    lives.decided(REFUNDED, &one, Cancelled, "order-service", why);
    lives.late(REFUNDED, &one, Shipped, "shipping-service", None);
    let key = || Operation::PlaceKeyed("cart-42".to_owned());
    lives.asked(key(), Some(id(DECLINED)), &one, 503);
    lives.asked(key(), None, &one, 0);
    lives.asked(key(), Some(id(DECLINED)), &one, 201);
    lives.asked(key(), Some(id(DECLINED)), &many, 422);
    lives.step(DECLINED, &one, Pending);
    lives.late(DECLINED, &one, Pending, "order-service", None); // made anew for the second request
    lives.step(DECLINED, &one, Reserved);
    lives.decided(
        DECLINED,
        &one,
        Rejected,
        "payment-service",
        Some(reason::PAYMENT_DECLINED),
    );
    lives.asked(Operation::Put, Some(id(REFUSED)), &json!({"qty": 0}), 422);
    lives.asked(Operation::Place, None, &body("", 1), 422);
}

/// Orders whose clients do not.
fn unknown(lives: &mut Lives) {
    let pens = body("pen", 2);
    lives.asked(Operation::Put, Some(id(LANDED)), &pens, 503);
    lives.asked(Operation::Put, Some(id(NOT_LANDED)), &pens, 503);
    // One of these two is in the log.
    lives.asked(Operation::Place, None, &pens, 0);
    lives.asked(Operation::Place, None, &pens, 0);
    for n in [LANDED, NAMELESS] {
        for status in [Pending, Reserved, Paid, Shipped] {
            lives.step(n, &pens, status);
        }
    }
}

/// The tutorial's order in a partition that is not its own, one record for nobody, and one that only some can use.
fn injected(lives: &mut Lives) {
    let bare = json!({"name": "pen", "qty": 1, "price": 3.5});
    let record = |key: Option<&str>, headers: Vec<(String, Vec<u8>)>, value: &[u8]| Record {
        partition: 0,
        offset: 0,
        timestamp: None,
        key: key.map(|key| key.as_bytes().to_vec()),
        headers,
        value: Some(value.to_vec()),
    };
    let away = (home_partition(id(BARE), PARTITIONS) + 1) % PARTITIONS;
    let value = event(id(BARE), &bare, Pending).to_json().unwrap();
    let pending = record(None, vec![], value.as_bytes());
    let place = lives.push(away, pending.clone());
    lives
        .history
        .injected
        .push(injection(&pending, Some(place)));
    lives.moves(BARE, &bare, Pending, place);
    for status in [Reserved, Paid, Shipped] {
        lives.step(BARE, &bare, status);
    }
    let garbage = record(
        Some("k"),
        vec![("mine".to_owned(), b"kept".to_vec())],
        b"\xff garbage",
    );
    let place = lives.push(1, garbage.clone());
    let all = Poison {
        record: injection(&garbage, Some(place)),
        groups: None,
    };
    let headers = vec![
        (header::CE_TYPE.to_owned(), b"order.pending".to_vec()),
        (
            header::CE_SUBJECT.to_owned(),
            id(UNREADABLE).to_string().into_bytes(),
        ),
    ];
    let spoilt = record(None, headers, b"{");
    lives.push(home_partition(id(UNREADABLE), PARTITIONS), spoilt.clone());
    let groups = ["g-order", "g-view", "g-stock", "g-email"].map(str::to_owned);
    // Its append was not acknowledged, and it is there all the same.
    let some = Poison {
        record: injection(&spoilt, None),
        groups: Some(BTreeSet::from(groups)),
    };
    let never = record(None, vec![], b"not acknowledged, and not there");
    let none = Poison {
        record: injection(&never, None),
        groups: None,
    };
    lives.history.poison.extend([all, some, none]);
}

fn injection(record: &Record, place: Option<(i32, i64)>) -> Injected {
    Injected {
        place,
        key: record.key.clone(),
        headers: record.headers.clone(),
        value: record.value.clone(),
    }
}

/// One mail again after a kill of email-service.
fn interrupted(history: &mut History) {
    for process in ["email", "stock-0"] {
        let (process, at) = (process.to_owned(), Duration::from_millis(500));
        history.interruptions.push(Interruption {
            process,
            at,
            kind: Kind::Kill,
        });
    }
    let mail = history.mails[0].clone();
    history.mails.push(mail);
    history.bounds.appended_again = Some(4);
}

fn databases(lives: &mut Lives) {
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

/// Books were seeded and some more came; pens were seeded.
fn stock(history: &mut History) {
    let row = |product: &str, all: i64, reserved: i64, shipped: i64| {
        let product = product.to_owned();
        StockRow {
            product,
            available: all - reserved - shipped,
            reserved,
            shipped,
        }
    };
    for (product, delta) in [("book", 1000), ("pen", 40), ("book", 50)] {
        let product = product.to_owned();
        history
            .databases
            .adjustments
            .push(Adjustment { product, delta });
    }
    history.databases.stock = vec![row("book", 1050, 0, 5), row("pen", 40, 0, 6)];
    let (product, pieces) = ("pen".to_owned(), 40);
    history.stock.push(StockLevel { product, pieces });
    for (n, row) in [
        row("book", 1000, 5, 0),
        row("pen", 40, 2, 1),
        row("book", 1050, 1, 5),
    ]
    .into_iter()
    .enumerate()
    {
        let at = Duration::from_millis(100 * n as u64);
        history.observations.push(Observation { at, row });
    }
}

/// Every group has what it cannot use, one of them twice after a kill.
fn letters(history: &mut History) {
    for (.., group) in PARTICIPANTS {
        let mut letters = Vec::new();
        for record in &history.log {
            let is_it = |poison: &&Poison| {
                poison.record.is(record)
                    && poison
                        .groups
                        .as_ref()
                        .is_none_or(|groups| groups.contains(group))
            };
            if history.poison.iter().any(|poison| is_it(&poison)) {
                letters.push(letter(record, group, letters.len() as i64));
            }
        }
        if group == "g-stock" {
            let mut again = letters[0].clone();
            again.offset = 2;
            letters.push(again);
        }
        history.dead_letters.insert(group.to_owned(), letters);
    }
}

fn letter(record: &Record, group: &str, offset: i64) -> Record {
    let added = [
        (dlt::ORIGINAL_TOPIC, b"orders".to_vec()),
        (
            dlt::ORIGINAL_PARTITION,
            record.partition.to_be_bytes().to_vec(),
        ),
        (dlt::ORIGINAL_OFFSET, record.offset.to_be_bytes().to_vec()),
        (dlt::ORIGINAL_TIMESTAMP, 1_i64.to_be_bytes().to_vec()),
        (dlt::ORIGINAL_CONSUMER_GROUP, group.as_bytes().to_vec()),
        (dlt::EXCEPTION_FQCN, b"invalid_body".to_vec()),
        (dlt::EXCEPTION_MESSAGE, b"why".to_vec()),
    ];
    let added = added.map(|(name, value)| (name.to_owned(), value));
    let mut letter = record.clone();
    letter.headers.extend(added);
    (letter.partition, letter.offset) = (0, offset);
    letter
}
