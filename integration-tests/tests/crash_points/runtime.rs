//! The points of the runtime, each in every mode.

use std::time::Instant;

use integration_tests::{broker, pace};
use test_support::{Test, test};
use tokio::task::LocalSet;

use crate::bench::{Bench, cell};
use crate::rows::RUNTIME;
use crate::table::{MODES, note};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(nothing_is_lost_when_the_only_instance_dies, no database).threads(2),
        test!(nothing_is_lost_when_one_of_two_instances_dies, no database)
            .threads(2)
            .needs(broker::containers()),
        test!(nothing_is_lost_when_the_only_instance_freezes, no database)
            .threads(2)
            .needs(broker::containers()),
        test!(nothing_is_lost_when_one_of_two_instances_freezes, no database)
            .threads(2)
            .needs(broker::containers()),
    ]
}

async fn nothing_is_lost_when_the_only_instance_dies() {
    column(0).await;
}

async fn nothing_is_lost_when_one_of_two_instances_dies() {
    column(1).await;
}

async fn nothing_is_lost_when_the_only_instance_freezes() {
    column(2).await;
}

async fn nothing_is_lost_when_one_of_two_instances_freezes() {
    column(3).await;
}

/// Every cell of a column, or of its share of a short run. A cell that fails leaves a system that nobody knows
/// anything about: the next one gets a new one.
async fn column(index: usize) {
    let mode = MODES[index];
    let step = match broker::containers() {
        Ok(()) => pace::sized(1, MODES.len()),
        // There is no other column.
        Err(_) => 1,
    };
    let rows = RUNTIME.iter().skip(index % step).step_by(step);
    let mut failed = Vec::new();
    let mut bench = None;
    for row in rows.copied() {
        let started = Instant::now();
        bench = LocalSet::new()
            .run_until(cell(bench.take(), mode, async move |bench: &mut Bench| {
                bench.strike(row).await;
            }))
            .await;
        note(row.point, mode, bench.is_some());
        let (point, took) = (row.point, started.elapsed());
        println!(
            "{point}, {} of {}: {took:.1?}",
            mode.blow.action(),
            mode.instances
        );
        if bench.is_none() {
            failed.push(row.point);
        }
    }
    assert_eq!(failed, [""; 0], "{mode:?}");
}
