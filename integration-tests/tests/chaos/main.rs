//! Everything goes wrong, one thing after the other and at the same time, while customers order; then it
//! is healed, comes to rest, and the whole history is judged.
//!
//! `cargo verify-chaos -- --minutes 10 --seed 7`; without arguments for a minute, with a seed of its own, which
//! is printed. `TEST_MINUTES` and `TEST_SEED` say the same. One seed is one plan of disturbances and the choices
//! of each customer; not the timing, so two runs under one seed differ.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod arguments;
mod counters;
mod load;
mod nemesis;
mod plan;
mod planned;
mod summary;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use integration_tests::history::{Recorder, collect_within};
use integration_tests::receiver::Registered;
use test_support::{Test, test};

use counters::Counters;
use load::Load;
use summary::Summary;
use world::World;

/// How long everything may take to come to rest.
const REST: Duration = Duration::from_secs(300);

async fn no_promise_is_broken_whatever_goes_wrong() {
    let (seed, length) = (arguments::seed(), arguments::length());
    println!("TEST_SEED={seed}, {length:?} of trouble");
    let mut world = World::start().await;
    let steps = plan::plan(seed, length, &world.field());
    let recorder = Recorder::new();
    for (product, pieces) in world::STOCK {
        let stock_service = &world.system.stock[0];
        recorder.stock_up(stock_service, product, pieces).await;
    }
    let receiver = Registered::with(&world.system).await;
    let counters = Counters::start(&world.system);
    let load = Load::start(&world.system, &recorder, seed);
    let tally = nemesis::disturb(&mut world, &recorder, &steps).await;
    load.end().await;
    let mut rest = collect_within(&world.system, &recorder, REST).await;
    rest.history.webhooks.push(receiver.webhook());
    let counted = counters.end().await;
    let summary = Summary::of(seed, &world, tally, counted, rest).await;
    println!("{summary}");
    assert!(summary.is_clean(), "TEST_SEED={seed}");
}

fn tests() -> Vec<Test> {
    let run = test!(no_promise_is_broken_whatever_goes_wrong, no database).threads(4);
    let mut tests = planned::tests();
    tests.push(run);
    tests
}

fn main() -> ExitCode {
    if let Some(result) = arguments::become_settings() {
        return result;
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos");
    integration_tests::suite::run(folder, tests())
}
