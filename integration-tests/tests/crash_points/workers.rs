//! The points around what the services do to the world: mail, payments, notifications, parcels.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::receiver::Receiver;
use integration_tests::{System, eventually, pace};
use serde_json::json;
use test_support::{Test, test};
use tokio::task::LocalSet;

use crate::bench::{Bench, cell};
use crate::load::{PRICE, order};
use crate::rows::{Deaths, WORKERS};
use crate::table::{Blow, MODES, note};

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(no_effect_is_lost_when_a_worker_dies_around_it, no database).threads(2)]
}

/// States that the receiver is told of.
const TOLD: [&str; 5] = ["PENDING", "PAID", "SHIPPED", "REJECTED", "CANCELLED"];

/// Notifications of one webhook under way at a time.
const CONCURRENCY: usize = 4;

/// An order's id and one of its states.
type Moment = (String, String);

async fn no_effect_is_lost_when_a_worker_dies_around_it() {
    let mut failed = Vec::new();
    // The others wait for leases of half a minute and more.
    let skipped = pace::sized(0, 2);
    for deaths in WORKERS.into_iter().skip(skipped) {
        let died = async move |bench: &mut Bench| die(bench, deaths).await;
        let ended = cell(None, MODES[0], died);
        let held = LocalSet::new().run_until(ended).await.is_some();
        for (_, point) in deaths {
            println!("{point}: {held}");
            note(point, MODES[0], held);
        }
        if !held {
            failed.push(deaths);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

async fn die(bench: &mut Bench, deaths: Deaths) {
    let receiver = Receiver::start(0).await;
    register(&bench.system, receiver.url()).await;
    for (process, point) in deaths {
        bench.end(process).await;
        bench.arm(process, point, Blow::Abort).await;
    }
    for (process, point) in deaths {
        match point.starts_with("gateway.refund") {
            true => refund_until_struck(bench, point).await,
            false => bench.load_until_struck(process, point, Blow::Abort).await,
        }
    }
    for (process, _) in deaths {
        bench.system.spawn(process).await;
    }
    // Mail is among what it looks at.
    bench.verify().await;
    let moments = moments(&bench.system).await;
    everything_is_notified(&receiver, &moments, deaths).await;
}

/// An order that is cancelled when it is paid, and cannot be shipped before.
async fn refund_until_struck(bench: &mut Bench, point: &str) {
    bench.end("shipping").await;
    let body = order("book order", PRICE);
    let placed = bench.recorder.place(&bench.system.order, &body).await;
    let order_id = placed.order_id.expect("an order that is named");
    bench.system.reached(&order_id.to_string(), "PAID").await;
    bench.recorder.cancel(&bench.system.order, order_id).await;
    bench.until_struck("payment", point, Blow::Abort).await;
    bench.system.spawn("shipping").await;
}

async fn register(system: &System, url: &str) {
    let body = json!({"url": url, "states": TOLD});
    let answer = system.webhook.post("/api/v1/webhooks", &body, &[]);
    assert_eq!(answer.await.unwrap().status, 201);
}

/// Every effective state of every order that somebody is told of.
async fn moments(system: &System) -> BTreeSet<Moment> {
    let orders = system.log.orders().await;
    let moments = orders.iter().flat_map(|(order_id, story)| {
        let states = story.history.iter().map(|state| state.as_str());
        states.map(|state| (order_id.to_string(), state.to_owned()))
    });
    moments
        .filter(|(_, state)| TOLD.contains(&&**state))
        .collect()
}

/// At least one notification of each, all under one id, and no more twice than were under way when somebody died.
async fn everything_is_notified(receiver: &Receiver, moments: &BTreeSet<Moment>, deaths: Deaths) {
    let told = eventually("notification of everything", || async {
        let mut told: BTreeMap<Moment, Vec<String>> = BTreeMap::new();
        for notified in receiver.all() {
            let body = notified.json();
            let text = |name: &str| body["data"][name].as_str().unwrap().to_owned();
            let moment = (text("orderId"), text("status"));
            told.entry(moment).or_default().push(notified.id);
        }
        (told.len() >= moments.len()).then_some(told)
    })
    .await;
    assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), *moments);
    let all: usize = told.values().map(Vec::len).sum();
    for (moment, mut ids) in told {
        ids.dedup();
        assert_eq!(ids.len(), 1, "{moment:?}: {ids:?}");
    }
    let deaths = deaths.iter().filter(|(name, _)| *name == "webhook");
    let most = moments.len() + CONCURRENCY * deaths.count();
    assert!(all <= most, "{all} of at most {most}");
}
