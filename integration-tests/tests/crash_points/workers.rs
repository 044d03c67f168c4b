//! The points around what the services do to the world: mail, payments, notifications, parcels.

use std::collections::BTreeSet;

use integration_tests::pace;
use test_support::{Test, test};
use tokio::task::LocalSet;

use crate::bench::{Bench, cell};
use crate::load::{PRICE, order};
use crate::rows::{Deaths, WORKERS};
use crate::table::{Blow, MODES, note};

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(no_effect_is_lost_when_a_worker_dies_around_it, no database).threads(2)]
}

/// Notifications of one webhook under way at a time.
const CONCURRENCY: usize = 4;

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
    // Mail and notifications are among what it looks at.
    bench.verify().await;
    repeats_are_few(bench, deaths);
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

/// No more is told twice than was under way when somebody died.
fn repeats_are_few(bench: &Bench, deaths: Deaths) {
    let told = bench.receiver.webhook().told;
    let different: BTreeSet<&str> = told.iter().map(|told| told.id.as_str()).collect();
    let deaths = deaths.iter().filter(|(name, _)| *name == "webhook");
    let (all, most) = (told.len(), different.len() + CONCURRENCY * deaths.count());
    assert!(all <= most, "{all} of at most {most}");
}
