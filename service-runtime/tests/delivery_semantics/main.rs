//! The example `delivery_semantics` with its consumers killed: what each mode loses and repeats.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

#[path = "../../examples/delivery_semantics/main.rs"]
mod example;

use std::process::ExitCode;

use example::comparison::{Row, Trial, kill_and_count, orders, table, ways_to_die};
use example::consumer::{Mode, Stop};
use example::counts::Counts;
use test_support::{Test, test};

fn tests() -> Vec<Test> {
    vec![
        test!(a_killed_consumer_loses_or_repeats_what_its_mode_says, no database).threads(2),
        test!(an_order_that_is_in_the_log_twice_has_one_effect_only_where_it_is_remembered, no database)
            .threads(2),
    ]
}

const BATCH: i64 = 50;

/// Mode, orders delivered again, lost, duplicated.
fn found(row: &Row) -> (Mode, i64, usize, i64) {
    let Counts {
        redelivered,
        lost,
        duplicated,
        ..
    } = row.counts;
    (row.mode, redelivered, lost, duplicated)
}

async fn a_killed_consumer_loses_or_repeats_what_its_mode_says() {
    let rows = kill_and_count(ways_to_die()).await.unwrap();
    println!("\n{}", table(&rows));
    assert!(rows.iter().all(|row| row.counts.orders == 300), "{rows:?}");

    let killed = |stop| rows.iter().filter(move |row| row.killed == Some(stop));
    let half_way: Vec<_> = killed(Stop::HalfWay).map(found).collect();
    let expected = [
        // The rest of the batch, which is committed.
        (Mode::AtMostOnce, 0, 25, 0),
        // The part of the batch that was done.
        (Mode::AtLeastOnce, BATCH, 0, 25),
        // That part was rolled back.
        (Mode::EffectivelyOnce, BATCH, 0, 0),
    ];
    assert_eq!(half_way, expected, "killed half way");

    let between: Vec<_> = killed(Stop::BetweenSteps).map(found).collect();
    let expected = [
        (Mode::AtMostOnce, 0, 50, 0),
        (Mode::AtLeastOnce, BATCH, 0, 50),
        // The whole batch was done, and is remembered.
        (Mode::EffectivelyOnce, BATCH, 0, 0),
    ];
    assert_eq!(between, expected, "killed between the two steps");
}

/// As after a producer that was killed before it got its acknowledgement. The offsets of the two
/// records differ, so remembering offsets would not help.
async fn an_order_that_is_in_the_log_twice_has_one_effect_only_where_it_is_remembered() {
    let mut log = orders(120);
    log.extend_from_slice(&orders(10));
    let modes = [Mode::AtMostOnce, Mode::AtLeastOnce, Mode::EffectivelyOnce];
    let consumers = modes.map(|mode| (mode, None)).to_vec();
    let rows = kill_and_count(Trial { log, consumers }).await.unwrap();
    assert!(rows.iter().all(|row| row.counts.orders == 120), "{rows:?}");
    let found: Vec<_> = rows.iter().map(found).collect();
    let expected = [
        (Mode::AtMostOnce, 10, 0, 10),
        (Mode::AtLeastOnce, 10, 0, 10),
        (Mode::EffectivelyOnce, 10, 0, 0),
    ];
    assert_eq!(found, expected);
}

fn main() -> ExitCode {
    // The comparison starts its own program as a consumer: here that is this one, so that what is
    // tested is never an example that was built before the last change.
    if std::env::args().any(|argument| argument == "--mode") {
        return example::main();
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/delivery_semantics");
    test_support::run(folder, tests())
}
