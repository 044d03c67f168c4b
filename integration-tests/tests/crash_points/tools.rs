//! The points of the command `order-service rebuild`.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};
use std::time::Duration;

use integration_tests::wait::eventually_within;
use integration_tests::{pace, process};
use test_support::{Test, test};
use tokio::task::LocalSet;

use crate::bench::{Bench, SIGABRT, cell, output_dying_at};
use crate::load::{orders_that_end, some_of_everything};
use crate::rows::REBUILDING;
use crate::table::{MODES, note};

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(a_rebuild_that_dies_leaves_a_read_model_that_is_whole, no database).threads(2)]
}

/// Longer than the lease that a rebuild holds which died.
const LEASE: Duration = Duration::from_secs(60);

/// Runs the command of the order service; at `point` it dies.
async fn rebuild(bench: &Bench, arguments: &[&str], point: Option<&str>) -> Output {
    let system = &bench.system;
    let mut command = Command::new(process::program());
    command
        .env_clear()
        .env("SERVICE", "order")
        .env("KAFKA_BOOTSTRAP_SERVERS", bench.bootstrap_servers())
        .env("KAFKA_TOPIC", system.log.topic())
        .env("KAFKA_VIEW_GROUP", system.group("orders-view"))
        .env("DATABASE_URL", system.database("order"))
        .arg("rebuild")
        .args(arguments);
    output_dying_at(command, point).await
}

async fn a_rebuild_that_dies_leaves_a_read_model_that_is_whole() {
    let (mut failed, mut bench) = (Vec::new(), None);
    for point in REBUILDING.into_iter().skip(pace::sized(0, 2)) {
        let scenario = async move |bench: &mut Bench| die(bench, point).await;
        let ended = cell(bench.take(), MODES[0], scenario);
        bench = LocalSet::new().run_until(ended).await;
        note(point, MODES[0], bench.is_some());
        println!("{point}: {}", bench.is_some());
        if bench.is_none() {
            failed.push(point);
        }
    }
    assert_eq!(failed, [""; 0]);
}

async fn die(bench: &mut Bench, point: &'static str) {
    orders_that_end(&bench.system, &bench.recorder).await;
    let died = rebuild(bench, &[], Some(point)).await;
    let said = String::from_utf8(died.stderr).unwrap();
    assert_eq!(died.status.signal(), Some(SIGABRT), "{said}");
    assert!(
        said.contains(&format!("failpoint {point}: abort")),
        "{said}"
    );
    some_of_everything(&bench.system, &bench.recorder).await;
    bench.verify().await;
    // Nothing differs, whichever generation is in use, and the next rebuild works once the lease is over.
    for arguments in [&["--dry-run"][..], &[]] {
        eventually_within("rebuild", LEASE, || async {
            let output = rebuild(bench, arguments, None).await;
            let text = String::from_utf8(output.stdout).unwrap();
            let is_same = output.status.code() == Some(0) && text.contains("; 0 differ\n");
            is_same.then_some(())
        })
        .await;
    }
    bench.verify().await;
}
