//! The checks can fail: every planted defect is found.

use crate::explore::{Broken, explore};
use crate::mutation::Mutation;
use crate::readers;
use crate::world::{Wish, World};

/// One order that somebody may cancel.
fn small() -> World {
    World::new("one order", vec![Wish::new(0).cancelled(1)])
}

/// What is found first; in the services, or else in the mail.
fn found(world: &World) -> Option<Broken> {
    let explored = match explore(world) {
        Ok(explored) => explored,
        Err(broken) => return Some(broken),
    };
    let what = readers::explore_all(world, &explored.logs).err()?;
    let trace = Vec::new();
    Some(Broken { what, trace })
}

fn is_found(world: World, mutation: Mutation, expected: &str) -> String {
    let sound = found(&world).map(|broken| broken.story(&world));
    assert_eq!(sound, None, "without a defect");
    let world = world.with(mutation);
    let broken = found(&world).unwrap_or_else(|| panic!("{mutation:?} is not found"));
    let story = broken.story(&world);
    assert!(
        broken.what.contains(expected),
        "{mutation:?} is found as {story}"
    );
    println!(
        "{mutation:?}: {} steps to \"{}\"",
        broken.trace.len(),
        broken.what
    );
    story
}

#[test]
fn a_fold_that_lets_a_late_end_win_is_found() {
    is_found(small(), Mutation::LateEndWins, "and the log says");
}

#[test]
fn an_outcome_that_is_overwritten_is_found() {
    let world = small().overdue();
    is_found(world, Mutation::OutcomeIsOverwritten, "Order decided");
}

#[test]
fn outcomes_that_nobody_publishes_again_are_found() {
    let (crash, missing) = (small().crash(), "at rest, and order 0 has not ended");
    is_found(crash, Mutation::LostIsLost, missing);
}

#[test]
fn stock_that_is_released_twice_is_found() {
    let world = World::new("one order", vec![Wish::new(0).declined()]).repeat();
    is_found(world, Mutation::StockReleasesTwice, "Level { available: 2");
}

#[test]
fn money_that_is_kept_is_found() {
    let kept = "order 0 is CANCELLED, and there is";
    let story = is_found(small(), Mutation::PaymentIgnoresEnds, kept);
    println!("{story}");
    // A shortest one: it is charged, cancelled, and nothing more than that happens.
    assert!(story.contains("Finish(Charge, 0)"), "{story}");
    assert!(!story.contains("Finish(Refund, 0)"), "{story}");
    let lost = small().lost_answer();
    is_found(lost, Mutation::BegunChargeIsDropped, kept);
    let lost = World::new("one order", vec![Wish::new(0)]).lost_answer();
    is_found(
        lost,
        Mutation::NoAnswerIsADecline,
        "order 0 is REJECTED, and there is",
    );
}

#[test]
fn money_that_is_taken_twice_is_found() {
    let lost = small().lost_answer();
    is_found(lost, Mutation::EveryAttemptHasItsKey, "was charged 2 times");
}

#[test]
fn a_parcel_that_is_handed_over_too_early_is_found() {
    is_found(
        small(),
        Mutation::HandsOverBeforeReadBack,
        "1 parcels of order 0, which is",
    );
}

#[test]
fn a_cancellation_that_is_answered_too_early_is_found() {
    is_found(
        small(),
        Mutation::AnswersBeforeReadBack,
        "a cancellation was answered",
    );
}

#[test]
fn mail_about_what_had_no_effect_is_found() {
    is_found(small(), Mutation::MailsWithoutFold, "are mailed instead of");
}

#[test]
fn mail_with_an_id_for_each_attempt_is_found() {
    is_found(
        small(),
        Mutation::EveryAttemptHasItsMessageId,
        "was sent with the ids",
    );
}
