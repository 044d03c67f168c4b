//! A history without a fault.

use std::collections::BTreeSet;
use std::time::Duration;

use base_domains::{OrderStatus, header, home_partition, reason};
use integration_tests::history::{
    Adjustment, History, Injected, Interruption, Job, Kind, Observation, Operation, Poison,
    StockLevel, StockRow,
};
use serde_json::{Value, json};
use service_runtime::kafka::Record;

use OrderStatus::{Cancelled, Paid, Pending, Rejected, Reserved, Shipped};

use crate::lives::{Lives, PARTITIONS, event, id};
use crate::{kept, letters};

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
    kept::databases(&mut lives);
    mail_job(&mut lives.history).attempts = 2;
    stock(&mut lives.history);
    letters::letters(&mut lives.history);
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
    // It lost to SHIPPED.
    lives.asked(Operation::Cancel, Some(id(SHIPPED)), &Value::Null, 409);
    let why = Some(reason::CANCELLED_ON_REQUEST);
    lives.late(SHIPPED, &two, Cancelled, "order-service", why);
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

/// One mail again after a kill of email-service, in another attempt.
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

/// The job of the mail that was sent again.
pub(crate) fn mail_job(history: &mut History) -> &mut Job {
    let job_id = format!("mail/{}/PENDING", id(SHIPPED));
    let mut jobs = history.databases.jobs.iter_mut();
    jobs.find(|job| job.id == job_id).unwrap()
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
