//! What holds of a system once it is at rest, whatever happened before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::client::Client;
use crate::database;
use crate::log::Story;
use crate::system::{SERVICES, System};
use crate::wait::{eventually, eventually_within};

/// A group may have to elect its members anew before it goes on, and a cluster its leaders before that.
const SETTLING: Duration = Duration::from_secs(180);

const ENDS: [&str; 3] = ["SHIPPED", "REJECTED", "CANCELLED"];

const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Products with what a new stock database has of them.
const SEEDED: [(&str, i64); 3] = [("book order", 1000), ("notebook", 500), ("last copy", 1)];

/// What an order asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Product.
    pub product: &'static str,
    /// Pieces.
    pub qty: i64,
}

impl Wish {
    /// The `n`-th of a sequence that asks for every product of the catalogue that can be sold out.
    #[must_use]
    pub fn number(n: usize) -> Self {
        let (product, qty) = match n % 4 {
            0 => ("book order", 1),
            1 => ("book order", 2),
            2 => ("notebook", 2),
            _ => ("last copy", 1),
        };
        Self { product, qty }
    }
}

/// Waits until every order of the log is at its end and every service knows exactly these orders
/// and agrees (invariant 2); the status of each by order id.
///
/// # Panics
/// It does not come to that, or a service decided twice about an order.
pub async fn ended_everywhere(system: &System) -> BTreeMap<String, String> {
    let log = eventually_within("end of every order", SETTLING, || async {
        let log = system.log.orders_if_readable().await?;
        log.values().all(Story::has_ended).then_some(log)
    })
    .await;
    log.values().for_each(every_service_decided_once);
    let log: BTreeMap<String, String> = log
        .iter()
        .map(|(id, story)| (id.to_string(), story.status().to_owned()))
        .collect();
    for service in SERVICES {
        let url = system.database(service);
        let seen = eventually_within(&format!("end of all in {service}"), SETTLING, || async {
            let seen = database::statuses(&url).await;
            let ended = |status: &String| ENDS.contains(&status.as_str());
            (seen.len() >= log.len() && seen.values().all(ended)).then_some(seen)
        })
        .await;
        assert_eq!(seen, log, "what {service} sees is what the log says");
    }
    log
}

/// A repeated decision is the same event. Only the order service has more than one to make: it places,
/// and it may cancel on request and for the deadline.
fn every_service_decided_once(story: &Story) {
    for (writer, events) in &story.events {
        let most = if writer.ends_with("order-service") {
            3
        } else {
            1
        };
        assert!(events.len() <= most, "{writer}: {story:?}");
    }
}

/// Invariant 3 at every moment: looks at the stock service's products until `ended`; how often it saw
/// something, since without its database the service answers 503.
///
/// # Panics
/// A product has gained or lost pieces, or has less than none.
pub async fn watch_stock(stock_service: Client, ended: Arc<AtomicBool>) -> usize {
    let mut looks = 0;
    while !ended.load(Ordering::SeqCst) {
        for (product, seeded) in SEEDED {
            let path = format!("/api/v1/stock/{product}");
            let answer = stock_service.get(&path).await;
            if answer.status == 503 {
                continue;
            }
            let stock = answer.json();
            let pieces = ["available", "reserved", "shipped"].map(|name| stock[name].as_i64());
            assert!(pieces.iter().all(|pieces| *pieces >= Some(0)), "{stock}");
            let sum: i64 = pieces.iter().flatten().sum();
            assert_eq!(sum, seeded, "{stock}");
            looks += 1;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    looks
}

/// What every service has kept of its own agrees with how the orders ended: stock, money and parcels
/// (invariants 3 and 4).
///
/// # Panics
/// It does not come to that.
pub async fn effects_agree(
    system: &System,
    wishes: &BTreeMap<String, Wish>,
    statuses: &BTreeMap<String, String>,
) {
    effects_agree_with(system, wishes, statuses, &SEEDED).await;
}

/// The same, of products of which there are other numbers of pieces.
///
/// # Panics
/// It does not come to that.
pub async fn effects_agree_with(
    system: &System,
    wishes: &BTreeMap<String, Wish>,
    statuses: &BTreeMap<String, String>,
    stock: &[(&str, i64)],
) {
    stock_is_conserved(system, wishes, statuses, stock).await;
    money_is_conserved(system, statuses).await;
    parcels_are_those_of_shipped_orders(system, statuses).await;
}

/// What there was = available + reserved + shipped; shipped is what the SHIPPED orders of the log asked for, and
/// nothing is held any more.
async fn stock_is_conserved(
    system: &System,
    wishes: &BTreeMap<String, Wish>,
    statuses: &BTreeMap<String, String>,
    stock: &[(&str, i64)],
) {
    let url = system.database("stock");
    let reservations = eventually("end of every reservation", || async {
        let all = database::reservations(&url).await;
        all.values().all(|state| state != "held").then_some(all)
    })
    .await;
    assert_eq!(
        orders_in(&reservations, "shipped"),
        orders_in(statuses, "SHIPPED")
    );
    for &(product, all) in stock {
        let shipped: i64 = orders_in(statuses, "SHIPPED")
            .into_iter()
            .map(|id| wishes[id])
            .filter(|wish| wish.product == product)
            .map(|wish| wish.qty)
            .sum();
        let pieces = system.stock_of(product).await;
        assert_eq!(pieces, (all - shipped, 0, shipped), "{product}");
        assert!(shipped <= all, "{product}: {shipped} of {all}");
    }
}

/// By the gateway's own books: charges less refunds are 1 for a SHIPPED order and 0 for every other one,
/// and nobody was charged twice.
async fn money_is_conserved(system: &System, statuses: &BTreeMap<String, String>) {
    let url = system.database("payment");
    eventually("end of every payment", || async {
        let payments = database::payments(&url).await;
        let open = ["pending", "refunding"];
        let ended = payments.values().all(|state| !open.contains(&&**state));
        ended.then_some(())
    })
    .await;
    let mut charges = BTreeMap::<String, i32>::new();
    let mut refunds = BTreeMap::<String, i32>::new();
    for (order_id, operation) in database::gateway_books(&url).await {
        let books = match &*operation {
            "charge" => &mut charges,
            _ => &mut refunds,
        };
        *books.entry(order_id).or_default() += 1;
    }
    for (order_id, status) in statuses {
        let of = |books: &BTreeMap<String, i32>| books.get(order_id).copied().unwrap_or(0);
        let (charged, refunded) = (of(&charges), of(&refunds));
        assert!(charged <= 1, "{order_id} was charged {charged} times");
        let due = i32::from(status == "SHIPPED");
        assert_eq!(charged - refunded, due, "{order_id} is {status}");
    }
}

async fn parcels_are_those_of_shipped_orders(system: &System, statuses: &BTreeMap<String, String>) {
    let url = system.database("shipping");
    let shipments = eventually("end of every shipment", || async {
        let all = database::shipments(&url).await;
        all.values().all(|state| state != "prepared").then_some(all)
    })
    .await;
    assert_eq!(
        orders_in(&shipments, "dispatched"),
        orders_in(statuses, "SHIPPED")
    );
}

fn orders_in<'a>(all: &'a BTreeMap<String, String>, state: &str) -> BTreeSet<&'a String> {
    let those = all.iter().filter(|(_, found)| *found == state);
    those.map(|(id, _)| id).collect()
}

/// Mails of an order that is shipped: PENDING, PAID and SHIPPED.
pub const MAILS: usize = 3;

/// What [`one_more_order`] asks for, which nobody else does.
pub const ONE_MORE: Wish = Wish {
    product: "fountain pen",
    qty: 1,
};

/// One more order is shipped, and its mails are sent; its id.
///
/// # Panics
/// It does not.
pub async fn one_more_order(system: &System) -> String {
    let order_id = system.place(ONE_MORE.product, ONE_MORE.qty).await;
    assert_eq!(system.ended(&order_id).await["status"], "SHIPPED");
    assert_eq!(system.mails(&order_id, MAILS).await.len(), MAILS);
    order_id
}

/// # Panics
/// There are dead letters.
pub async fn nothing_is_dead_lettered(system: &System) {
    for service in SERVICES.into_iter().chain(["orders-view"]) {
        let letters = system.log.dead_letters(&system.group(service)).await;
        assert!(letters.is_empty(), "{service}: {letters:?}");
    }
}

/// # Panics
/// One of the processes ended.
pub fn nobody_ended(system: &mut System, names: &[&str]) {
    for name in names {
        let process = system.process(name);
        let running = process.is_running();
        assert!(running, "{name} ended by itself:\n{}", process.output());
    }
}
