//! The worlds that are gone through, and how their orders can end.

use std::time::Instant;

use crate::explore::explore;
use crate::readers::{self, Settings};
use crate::world::{Faults, Wish, World};

/// Goes through `world`, prints how large it is, and compares how its orders ended.
fn holds(world: &World, ends: &[&str]) {
    let begun = Instant::now();
    let explored = match explore(world) {
        Ok(explored) => explored,
        Err(broken) => panic!("{}", broken.story(world)),
    };
    let settings = Settings::default();
    let mut mailing = 0;
    for log in &explored.logs {
        mailing += readers::explore(world, &settings, log).unwrap();
    }
    println!(
        "{}: {explored}; {mailing} states of mail; {:.1?}",
        world.name,
        begun.elapsed()
    );
    assert!(explored.ends.iter().eq(ends), "{}: {:?}", world.name, explored.ends);
}

#[test]
fn one_order_that_is_cancelled_at_any_moment_ends_once_for_all() {
    let mut world = World::new("one order, two cancellations", vec![Wish::new(0).cancelled(2)]);
    world.deadline = true;
    world.batch = 2;
    holds(&world, &["CANCELLED", "SHIPPED"]);
}

#[test]
fn one_order_survives_faults() {
    let mut world = World::new("one order, faults", vec![Wish::new(0).cancelled(1)]);
    world.faults = Faults { crashes: 1, rereads: 1, repeats: 0, lost_answers: 0 };
    holds(&world, &["CANCELLED", "SHIPPED"]);
}

#[test]
fn two() {
    let world = World::new("two orders", vec![Wish::new(0).cancelled(1), Wish::new(1)]);
    holds(&world, &["CANCELLED", "SHIPPED"]);
}
