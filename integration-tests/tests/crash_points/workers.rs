//! The points around what the services do to the world: mail, payments, notifications, parcels.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::receiver::Receiver;
use integration_tests::{System, eventually, pace};
use serde_json::json;
use test_support::{Test, test};
use tokio::task::LocalSet;

use crate::bench::{Bench, cell};
use crate::rows::{Deaths, WORKERS};
use crate::table::{Blow, MODES, note};

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(no_effect_is_lost_when_a_worker_dies_around_it, no database).threads(2)]
}

/// Those that mailed states, in the words of a `Message-ID`.
const MAILED: [&str; 5] = ["pending", "paid", "shipped", "rejected", "cancelled"];

/// An order's id and one of its states, in small letters.
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
        bench.load_until_struck(process, point, Blow::Abort).await;
    }
    let mut services = Vec::new();
    for (process, _) in deaths {
        bench.system.spawn(process).await;
        services.push(*process);
    }
    bench.verify(&services).await;
    let moments = moments(&bench.system).await;
    everybody_is_mailed(&bench.system, &moments, deaths).await;
    everything_is_notified(&receiver, &moments, deaths).await;
}

async fn register(system: &System, url: &str) {
    let states = ["PENDING", "PAID", "SHIPPED", "REJECTED", "CANCELLED"];
    let body = json!({"url": url, "states": states});
    let answer = system.webhook.post("/api/v1/webhooks", &body, &[]);
    assert_eq!(answer.await.unwrap().status, 201);
}

/// Every effective state of every order that somebody is told of.
async fn moments(system: &System) -> BTreeSet<Moment> {
    let orders = system.log.orders().await;
    let moments = orders.iter().flat_map(|(order_id, story)| {
        let states = story.history.iter().map(|state| state.as_str());
        states.map(|state| (order_id.to_string(), state.to_lowercase()))
    });
    moments
        .filter(|(_, state)| MAILED.contains(&&**state))
        .collect()
}

fn of(deaths: Deaths, process: &str) -> usize {
    deaths.iter().filter(|(name, _)| *name == process).count()
}

/// Invariant 5: at least one mail of each, all under one id, and no more twice than somebody died.
async fn everybody_is_mailed(system: &System, moments: &BTreeSet<Moment>, deaths: Deaths) {
    system.all_mail_is_sent().await;
    let mut mails: BTreeMap<Moment, Vec<String>> = BTreeMap::new();
    for mail in system.mail.all().await {
        let mut parts = mail.message_id.trim_start_matches('<').split('.');
        let moment = (parts.next().unwrap(), parts.next().unwrap());
        let moment = (moment.0.to_owned(), moment.1.to_owned());
        mails.entry(moment).or_default().push(mail.message_id);
    }
    assert_eq!(mails.keys().cloned().collect::<BTreeSet<_>>(), *moments);
    let all: usize = mails.values().map(Vec::len).sum();
    for ids in mails.values_mut() {
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
    }
    // A file is written under one name; a server would be given the mail again.
    assert!(all <= moments.len() + 4 * of(deaths, "email"), "{all}");
}

/// At least one notification of each, all under one id, and no more twice than were under way when somebody died.
async fn everything_is_notified(receiver: &Receiver, moments: &BTreeSet<Moment>, deaths: Deaths) {
    let told = eventually("notification of everything", || async {
        let mut told: BTreeMap<Moment, Vec<String>> = BTreeMap::new();
        for notified in receiver.all() {
            let body = notified.json();
            let text = |name: &str| body["data"][name].as_str().unwrap().to_owned();
            let moment = (text("orderId"), text("status").to_lowercase());
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
    assert!(all <= moments.len() + 4 * of(deaths, "webhook"), "{all}");
}
