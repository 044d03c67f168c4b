//! What holds of a system once it is at rest, whatever happened before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base_domains::OrderStatus;

use crate::client::Client;
use crate::database;
use crate::log::Story;
use crate::system::System;
use crate::wait::eventually_within;

/// A group may have to elect its members anew before it goes on, and a cluster its leaders before that.
const SETTLING: Duration = Duration::from_secs(180);

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

/// Waits until every order of the log has one decision and every service knows exactly these
/// orders and agrees; the status of each by order id.
///
/// # Panics
/// It does not come to that, or an order has two decisions.
pub async fn settled_everywhere(system: &System) -> BTreeMap<String, String> {
    let log = eventually_within("decision about every order", SETTLING, || async {
        let log = system.log.orders_if_readable().await?;
        let decided = log.values().all(|story| story.history.len() > 1);
        decided.then_some(log)
    })
    .await;
    let log: BTreeMap<String, String> = log
        .iter()
        .map(|(id, story)| (id.to_string(), status_of(story)))
        .collect();
    for service in ["stock", "email", "order"] {
        let url = system.database(service);
        let seen = eventually_within(&format!("end of all in {service}"), SETTLING, || async {
            let seen = database::statuses(&url).await;
            let unsettled = seen.values().any(|status| status == "PENDING");
            (seen.len() >= log.len() && !unsettled).then_some(seen)
        })
        .await;
        assert_eq!(seen, log, "what {service} sees is what the log says");
    }
    log
}

fn status_of(story: &Story) -> String {
    assert_eq!(story.history.len(), 2, "effective: {:?}", story.history);
    assert_eq!(story.event_ids.len(), 2, "one decision: {story:?}");
    let status = story.state.status().map_or("", OrderStatus::as_str);
    status.to_owned()
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

/// Invariant 3 at rest: seeded = available + reserved + shipped, and what is reserved is what the RESERVED
/// orders of the log asked for.
///
/// # Panics
/// It does not hold.
pub async fn stock_is_conserved(
    system: &System,
    wishes: &BTreeMap<String, Wish>,
    statuses: &BTreeMap<String, String>,
) {
    for (product, seeded) in SEEDED {
        let reserved: i64 = statuses
            .iter()
            .filter(|(_, status)| *status == "RESERVED")
            .map(|(id, _)| wishes[id])
            .filter(|wish| wish.product == product)
            .map(|wish| wish.qty)
            .sum();
        let stock = system.stock_of(product).await;
        assert_eq!(stock, (seeded - reserved, reserved, 0), "{product}");
        assert!(reserved <= seeded, "{product}: {reserved} of {seeded}");
    }
    let held = database::reservations(&system.database("stock")).await;
    let held: BTreeSet<&String> = held.keys().collect();
    let reserved = statuses.iter().filter(|(_, status)| *status == "RESERVED");
    let reserved: BTreeSet<&String> = reserved.map(|(id, _)| id).collect();
    assert_eq!(held, reserved, "one reservation for each RESERVED order");
}

/// What [`one_more_order`] asks for, which nobody else does.
pub const ONE_MORE: Wish = Wish {
    product: "fountain pen",
    qty: 1,
};

/// One more order comes to its decision, and its mail is sent; its id.
///
/// # Panics
/// It does not.
pub async fn one_more_order(system: &System) -> String {
    let order_id = system.place(ONE_MORE.product, ONE_MORE.qty).await;
    assert_eq!(system.settled(&order_id).await["status"], "RESERVED");
    assert_eq!(system.mails(&order_id, 1).await.len(), 1);
    order_id
}

/// # Panics
/// There are dead letters.
pub async fn nothing_is_dead_lettered(system: &System) {
    for service in ["stock", "email", "orders-view"] {
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
