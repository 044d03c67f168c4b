//! The worlds that are gone through, and how their orders can end.

use std::collections::HashSet;
use std::time::Instant;

use base_domains::{Effect, OrderState, OrderStatus};

use crate::explore::{Explored, explore};
use crate::readers;
use crate::world::{Wish, World};

fn explored(world: &World) -> Explored {
    match explore(world) {
        Ok(explored) => explored,
        Err(broken) => panic!("{}", broken.story(world)),
    }
}

/// Goes through `world`, says how large it is, and compares how its orders ended.
fn ends(world: &World, ends: &[&str]) {
    let begun = Instant::now();
    let explored = explored(world);
    let mails = readers::explore_all(world, &explored.logs);
    let mails = mails.unwrap_or_else(|broken| panic!("{}: {broken}", world.name));
    let took = begun.elapsed();
    println!(
        "{}: {explored}, {mails} states of mail, {took:.1?}",
        world.name
    );
    assert!(
        explored.ends.iter().eq(ends),
        "{}: {:?}",
        world.name,
        explored.ends
    );
}

fn one(name: &'static str, cancels: u8) -> World {
    World::new(name, vec![Wish::new(0).cancelled(cancels)])
}

fn declined(name: &'static str, cancels: u8) -> World {
    World::new(name, vec![Wish::new(0).declined().cancelled(cancels)])
}

#[test]
fn an_order_that_two_requests_and_the_deadline_cancel_ends_once_for_all() {
    let world = one(
        "one order: 2 requests, deadline, crash, lost answer, batches of 2",
        2,
    );
    let world = world.overdue().crash().lost_answer().batch(2);
    ends(&world, &["CANCELLED", "SHIPPED"]);
}

#[test]
fn an_order_that_is_cancelled_ends_once_for_all_though_a_service_reads_again() {
    ends(
        &one("one order: request, reread", 1).reread(),
        &["CANCELLED", "SHIPPED"],
    );
}

#[test]
fn an_order_that_is_cancelled_ends_once_for_all_though_a_record_comes_again() {
    ends(
        &one("one order: request, repeated record", 1).repeat(),
        &["CANCELLED", "SHIPPED"],
    );
}

#[test]
fn an_order_that_nobody_cancels_is_shipped() {
    let world = one("one order: crash, reread, batches of 2", 0);
    ends(&world.crash().reread().batch(2), &["SHIPPED"]);
    ends(
        &one("one order: crash, repeated record", 0).crash().repeat(),
        &["SHIPPED"],
    );
}

#[test]
fn an_order_whose_charge_is_declined_costs_nothing() {
    let all = ["CANCELLED", "REJECTED"];
    let world = declined("declined: 2 requests, deadline, crash, batches of 2", 2);
    ends(&world.overdue().crash().batch(2), &all);
    ends(&declined("declined: request, reread", 1).reread(), &all);
    ends(
        &declined("declined: crash, repeated record", 0)
            .crash()
            .repeat(),
        &["REJECTED"],
    );
}

#[test]
fn an_order_of_what_is_sold_out_is_never_charged() {
    let mut world = one(
        "sold out: 2 requests, deadline, crash, reread, repeated record",
        2,
    );
    world = world.overdue().crash().reread().repeat();
    world.pieces = 0;
    ends(&world, &["CANCELLED", "REJECTED"]);
}

#[test]
fn one_of_two_orders_gets_the_last_piece() {
    let both = || vec![Wish::new(0), Wish::new(1)];
    let first = ["SHIPPED REJECTED"];
    ends(&World::new("last piece: crash", both()).crash(), &first);
    ends(&World::new("last piece: reread", both()).reread(), &first);
}

#[test]
fn the_second_order_gets_the_last_piece_if_the_first_gives_it_back() {
    let orders = vec![Wish::new(0).cancelled(1), Wish::new(1)];
    let all = [
        "CANCELLED REJECTED",
        "CANCELLED SHIPPED",
        "SHIPPED REJECTED",
    ];
    ends(
        &World::new("last piece: request for the first", orders),
        &all,
    );
    let orders = vec![Wish::new(0).declined().cancelled(1), Wish::new(1)];
    let all = [
        "CANCELLED REJECTED",
        "CANCELLED SHIPPED",
        "REJECTED REJECTED",
        "REJECTED SHIPPED",
    ];
    ends(
        &World::new("last piece: the first declined, or cancelled", orders),
        &all,
    );
}

#[test]
fn the_second_order_may_be_cancelled_before_it_is_refused() {
    let orders = vec![Wish::new(0), Wish::new(1).cancelled(1)];
    let all = ["SHIPPED CANCELLED", "SHIPPED REJECTED"];
    ends(
        &World::new("last piece: request for the second", orders),
        &all,
    );
}

/// Why records can be passed over.
#[test]
fn what_the_fold_ignores_once_it_ignores_for_ever() {
    let states = OrderStatus::ALL.map(Some).into_iter().chain([None]);
    for state in states.map(OrderState::from) {
        for ignored in OrderStatus::ALL {
            let (mut once, mut later) = (state, state);
            if once.apply(ignored) == Effect::Effective {
                continue;
            }
            for next in OrderStatus::ALL {
                later.apply(next);
                assert_eq!(
                    later.apply(ignored),
                    Effect::NoEffect,
                    "{state:?} {next} {ignored}"
                );
            }
        }
    }
}

#[test]
fn what_is_passed_over_makes_no_difference() {
    let worlds = || {
        [
            one("request", 1).overdue(),
            one("crash, reread, batches of 2", 0)
                .crash()
                .reread()
                .batch(2),
            declined("request, crash", 1).crash(),
            declined("repeated record", 0).repeat(),
            World::new("two orders", vec![Wish::new(0).declined(), Wish::new(1)]),
        ]
    };
    for (reduced, mut whole) in worlds().into_iter().zip(worlds()) {
        whole.reduced = false;
        let (few, all) = (explored(&reduced), explored(&whole));
        assert!(few.states < all.states, "{}", whole.name);
        assert_eq!(few.ends, all.ends, "{}", whole.name);
        assert_eq!(few.at_rest, all.at_rest, "{}", whole.name);
        let logs = |explored: Explored| explored.logs.into_iter().collect::<HashSet<_>>();
        assert!(logs(few) == logs(all), "{}", whole.name);
    }
}
