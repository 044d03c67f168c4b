//! The points of `orderctl dlt redrive`: an order that one group could not decide about is decided once.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};

use integration_tests::history::Invariant;
use integration_tests::{eventually, old_stock, process};
use serde_json::{Value, json};
use service_runtime::lifecycle::Shutdown;
use test_support::{Test, test};
use tokio::task::LocalSet;

use crate::bench::{Bench, SIGABRT, cell, output_dying_at};
use crate::rows::REDRIVING;
use crate::table::{MODES, note};

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(a_redrive_that_dies_can_be_repeated_and_has_its_effect_once, no database).threads(2)]
}

/// Runs `orderctl`; at `point` it dies.
async fn orderctl(bench: &Bench, arguments: &[&str], point: Option<&str>) -> Output {
    let mut command = Command::new(process::program());
    command
        .env_clear()
        .env("SERVICE", "orderctl")
        .env("USER", "ann")
        .env("KAFKA_BOOTSTRAP_SERVERS", bench.bootstrap_servers())
        .env("KAFKA_TOPIC", bench.system.log.topic())
        .args(arguments);
    output_dying_at(command, point).await
}

async fn a_redrive_that_dies_can_be_repeated_and_has_its_effect_once() {
    let mut failed = Vec::new();
    for point in REDRIVING {
        let scenario = async move |bench: &mut Bench| die(bench, point).await;
        // Each of its own: what the one before left as a letter would be a violation here.
        let ended = cell(None, MODES[0], scenario);
        let held = LocalSet::new().run_until(ended).await.is_some();
        note(point, MODES[0], held);
        println!("{point}: {held}");
        if !held {
            failed.push(point);
        }
    }
    assert_eq!(failed, [""; 0]);
}

async fn die(bench: &mut Bench, point: &'static str) {
    let (order_id, letter) = undecided(bench).await;
    let group = bench.system.group("stock");
    let redrive = ["dlt", "redrive", &group, &letter];
    let died = orderctl(bench, &redrive, Some(point)).await;
    let said = String::from_utf8(died.stderr).unwrap();
    assert_eq!(died.status.signal(), Some(SIGABRT), "{said}");
    assert!(
        said.contains(&format!("failpoint {point}: abort")),
        "{said}"
    );
    let again = orderctl(bench, &redrive, None).await;
    // Only the last point comes after the note that it was done, and then it is refused.
    let expected = match point {
        "redrive.note.after" => 4,
        _ => 0,
    };
    assert_eq!(again.status.code(), Some(expected), "{again:?}");
    let end = bench.system.ended(&order_id).await;
    assert_eq!(end["status"], "SHIPPED", "{end}");
    // The letter of this scenario is no poison; everything else holds.
    let mut violations = bench.violations().await;
    let its_own = format!("{group}: the dead letter {} ", letter.replace('/', "@"));
    violations.retain(|violation| {
        violation.invariant != Invariant::DeadLetterIsPoison
            || !violation.evidence.starts_with(&its_own)
    });
    assert!(violations.is_empty(), "{violations:#?}");
}

/// An order that rests because the old stock service could not decide, and its open letter.
async fn undecided(bench: &mut Bench) -> (String, String) {
    bench.end("stock-0").await;
    let shutdown = Shutdown::new();
    let servers = bench.bootstrap_servers();
    let old = old_stock::start(&bench.system, &servers, &shutdown).await;
    let item = |name: &str| json!({"name": name, "qty": 1, "price": 3.5});
    let body = json!({"items": [item("notebook"), item("book order")]});
    let placed = bench.recorder.place(&bench.system.order, &body).await;
    let order_id = placed.order_id.unwrap().to_string();
    let group = bench.system.group("stock");
    let letter = eventually("dead letter", || async {
        let run = orderctl(bench, &["dlt", "list", &group, "--json"], None).await;
        let list: Value = serde_json::from_slice(&run.stdout).ok()?;
        let letters = list["letters"].as_array()?;
        let letter = letters.iter().find(|letter| letter["key"] == *order_id)?;
        Some(letter["id"].as_str()?.to_owned())
    })
    .await;
    shutdown.trigger();
    old.await.unwrap().unwrap();
    bench.system.spawn("stock-0").await;
    bench.system.until_ready().await;
    (order_id, letter)
}
