//! A history without a fault.

use std::time::Duration;

use base_domains::{OrderStatus, home_partition, reason};
use integration_tests::history::{
    Adjustment, History, Injected, Interruption, Job, Kind, MAILED, Observation, Operation,
    StockLevel, StockRow, Webhook,
};
use serde_json::{Value, json};
use service_runtime::kafka::Record;
use uuid::Uuid;

use OrderStatus::{Cancelled, Paid, Pending, Rejected, Reserved, Shipped};

use crate::lives::{Lives, PARTITIONS, STARTED, event, id};
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
pub(crate) const OVERDUE: u128 = 20;
pub(crate) const NOT_SOLD: u128 = 21;
pub(crate) const INVALID: u128 = 22;
pub(crate) const STUCK: u128 = 23;
pub(crate) const STOPPED: u128 = 24;
pub(crate) const HOLDER: u128 = 25;

/// The first order after [`HOLDER`] that has its home partition.
pub(crate) fn too_late() -> u128 {
    let home = |n| home_partition(id(n), PARTITIONS);
    (HOLDER + 1..).find(|n| home(*n) == home(HOLDER)).unwrap()
}

pub(crate) fn body(product: &str, qty: i64) -> Value {
    json!({"name": product, "qty": qty, "price": 100.25, "email": "customer@example.org"})
}

/// The history, anew.
pub(crate) fn right() -> History {
    let mut lives = Lives::default();
    (lives.history.partitions, lives.history.started) = (PARTITIONS, STARTED);
    lives.history.webhooks.push(Webhook {
        id: Uuid::from_u128(7),
        states: MAILED.to_vec(),
        told: Vec::new(),
    });
    ordered(&mut lives);
    unknown(&mut lives);
    injected(&mut lives);
    poisoned(&mut lives);
    rejected(&mut lives);
    overdue(&mut lives);
    lives.mail();
    interrupted(&mut lives.history);
    kept::databases(&mut lives);
    mail_job(&mut lives.history).attempts = 2;
    stock(&mut lives.history);
    letters::letters(&mut lives);
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
    let dear = json!({"name": "book", "qty": 1, "price": 100.02});
    lives.asked(key(), Some(id(DECLINED)), &dear, 503);
    lives.asked(key(), None, &dear, 0);
    lives.asked(key(), Some(id(DECLINED)), &dear, 201);
    lives.asked(key(), Some(id(DECLINED)), &many, 422);
    lives.step(DECLINED, &dear, Pending);
    lives.late(DECLINED, &dear, Pending, "order-service", None); // made anew for the second request
    lives.step(DECLINED, &dear, Reserved);
    lives.decided(
        DECLINED,
        &dear,
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

/// The tutorial's order in a partition that is not its own, one record for nobody, and one that never came.
fn injected(lives: &mut Lives) {
    let bare = json!({"name": "pen", "qty": 1, "price": 3.5});
    let away = (home_partition(id(BARE), PARTITIONS) + 1) % PARTITIONS;
    let value = event(id(BARE), &bare, Pending).to_json().unwrap();
    let pending = record(vec![], value.as_bytes());
    let place = lives.push(away, pending.clone());
    lives
        .history
        .injected
        .push(injection(&pending, Some(place)));
    lives.moves(BARE, &bare, Pending, place);
    for status in [Reserved, Paid, Shipped] {
        lives.step(BARE, &bare, status);
    }
    let mine = vec![("mine".to_owned(), b"kept".to_vec())];
    let mut garbage = record(mine, b"\xff garbage");
    garbage.key = Some(b"k".to_vec());
    lives.poison(1, garbage, &kept::PARTICIPANTS.map(|(.., group)| group));
    let never = record(vec![], b"not acknowledged, and not there");
    lives.history.poison.push(injection(&never, None));
}

/// Events whose body nobody can read: of an order that is nobody's, of orders that are somebody's, and too late.
fn poisoned(lives: &mut Lives) {
    let pens = body("pen", 2);
    let place = lives.spoilt(
        UNREADABLE,
        Pending,
        &["g-order", "g-view", "g-stock", "g-email"],
    );
    // Its append was not acknowledged, and it is there all the same.
    lives.history.poison.last_mut().unwrap().place = None;
    lives.moves(UNREADABLE, &pens, Pending, place);
    lives.spoilt(SHIPPED, Pending, &[]);

    let chair = json!({"name": "chair", "qty": 1, "price": 30});
    lives.asked(Operation::Put, Some(id(STUCK)), &chair, 201);
    lives.step(STUCK, &chair, Pending);
    let place = lives.spoilt(STUCK, Reserved, &["g-view", "g-payment"]);
    lives.moves(STUCK, &chair, Reserved, place);
    lives.late(STUCK, &chair, Reserved, "stock-service", None);

    lives.asked(Operation::Put, Some(id(STOPPED)), &chair, 201);
    for status in [Pending, Reserved, Paid] {
        lives.step(STOPPED, &chair, status);
    }
    let place = lives.spoilt(STOPPED, Cancelled, &["g-view", "g-email"]);
    lives.moves(STOPPED, &chair, Cancelled, place);
}

/// For a product that nobody sells, for a rule, and because somebody else had the last piece for a while.
fn rejected(lives: &mut Lives) {
    let (stock, request) = ("stock-service", Some(reason::CANCELLED_ON_REQUEST));
    let unicorn = body("unicorn", 1);
    lives.asked(Operation::Put, Some(id(NOT_SOLD)), &unicorn, 201);
    lives.step(NOT_SOLD, &unicorn, Pending);
    let why = Some(reason::UNKNOWN_PRODUCT);
    lives.decided(NOT_SOLD, &unicorn, Rejected, stock, why);

    let valid = json!({"name": "pen", "qty": 7, "price": 3.5});
    let none = |text: &str| text.replace("\"qty\":7", "\"qty\":0").into_bytes();
    let value = event(id(INVALID), &valid, Pending).to_json().unwrap();
    let pending = record(vec![], &none(&value));
    let place = lives.push(home_partition(id(INVALID), PARTITIONS), pending.clone());
    lives
        .history
        .injected
        .push(injection(&pending, Some(place)));
    lives.moves(INVALID, &valid, Pending, place);
    let why = Some(reason::INVALID_ORDER);
    lives.decided(INVALID, &valid, Rejected, stock, why);
    let last = lives.history.log.last_mut().unwrap();
    let text = String::from_utf8(last.value.take().unwrap()).unwrap();
    last.value = Some(none(&text));

    let lamp = body("lamp", 1);
    for n in [HOLDER, too_late()] {
        lives.asked(Operation::Put, Some(id(n)), &lamp, 201);
        lives.step(n, &lamp, Pending);
    }
    lives.step(HOLDER, &lamp, Reserved);
    let why = Some(reason::OUT_OF_STOCK);
    lives.decided(too_late(), &lamp, Rejected, stock, why);
    lives.asked(Operation::Cancel, Some(id(HOLDER)), &Value::Null, 200);
    lives.decided(HOLDER, &lamp, Cancelled, "order-service", request);
}

fn overdue(lives: &mut Lives) {
    let pen = json!({"name": "pen", "qty": 3, "price": 2});
    lives.asked(Operation::Put, Some(id(OVERDUE)), &pen, 201);
    lives.step(OVERDUE, &pen, Pending);
    lives.history.bounds.deadline = Duration::from_secs(60);
    lives.now += 60_000;
    let why = Some(reason::DEADLINE);
    lives.decided(OVERDUE, &pen, Cancelled, "order-service", why);
}

fn record(headers: Vec<(String, Vec<u8>)>, value: &[u8]) -> Record {
    Record {
        partition: 0,
        offset: 0,
        timestamp: None,
        key: None,
        headers,
        value: Some(value.to_vec()),
    }
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

/// Books were seeded and some more came; everything else was seeded.
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
    for (product, delta, at) in [
        ("book", 1000, -9000),
        ("pen", 40, -9000),
        ("chair", 9, -9000),
        ("lamp", 1, -9000),
        ("book", 50, 3000),
    ] {
        let (product, at) = (product.to_owned(), STARTED + at);
        let entry = Adjustment { product, delta, at };
        history.databases.adjustments.push(entry);
    }
    history.databases.stock = vec![
        row("book", 1050, 0, 5),
        row("pen", 40, 0, 6),
        row("chair", 9, 1, 0),
        row("lamp", 1, 0, 0),
    ];
    for (product, pieces) in [("book", 1050), ("pen", 40), ("chair", 9), ("lamp", 1)] {
        let product = product.to_owned();
        history.stock.push(StockLevel { product, pieces });
    }
    // While the entry was made, either is right.
    for (at, row) in [
        (0, row("book", 1000, 5, 0)),
        (100, row("pen", 40, 2, 1)),
        (2900, row("book", 1000, 1, 5)),
        (2900, row("book", 1050, 1, 5)),
        (6000, row("book", 1050, 1, 5)),
    ] {
        let since = Duration::from_millis(at);
        let at = since + Duration::from_millis(5);
        history.observations.push(Observation { since, at, row });
    }
}
