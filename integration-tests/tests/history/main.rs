//! The checker of histories is right about a run without a fault, and finds every fault that is planted in it.
//!
//! [`right`] is a history as a system would leave it that kept every promise, with everything in it that may look
//! wrong and is not. Each entry of [`plants`] breaks one promise in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod kept;
mod letters;
mod lives;
mod plant;
mod plants;
mod right;

use std::collections::BTreeSet;

use integration_tests::history::{History, Invariant, check};

use plant::Plant;
use right::right;

fn found(history: &History) -> BTreeSet<String> {
    let found = check(history);
    found
        .iter()
        .map(|violation| format!("{:?}", violation.invariant))
        .collect()
}

#[test]
fn nothing_is_found_in_a_history_that_kept_every_promise() {
    let found = check(&right());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_is_found_in_no_history() {
    assert_eq!(check(&History::default()), vec![]);
}

#[test]
fn every_planted_violation_is_found() {
    let all = plants::all();
    let mut missed = Vec::new();
    println!("{:<74} | found as", "planted violation");
    for Plant {
        name,
        breaks,
        plant,
    } in &all
    {
        let mut history = right();
        plant(&mut history);
        assert!(
            format!("{history:?}") != format!("{:?}", right())
                || bytes(&history) != bytes(&right()),
            "{name} plants nothing"
        );
        let found = found(&history);
        println!(
            "{name:<74} | {}",
            found.iter().cloned().collect::<Vec<_>>().join(", ")
        );
        if !found.contains(&format!("{breaks:?}")) {
            missed.push(*name);
        }
    }
    let (found, planted) = (all.len() - missed.len(), all.len());
    println!("{found} found of {planted} planted");
    assert_eq!(missed, [""; 0]);
}

/// Keys, headers, values and times, which a record does not show.
fn bytes(history: &History) -> Vec<u8> {
    let letters = history.dead_letters.values().flatten();
    let mut all = Vec::new();
    for record in history.log.iter().chain(letters) {
        all.extend(record.key.iter().flatten());
        all.extend(
            record
                .headers
                .iter()
                .flat_map(|(name, value)| [name.as_bytes(), value].concat()),
        );
        all.extend(record.value.iter().flatten());
        all.extend(record.timestamp.unwrap_or_default().to_be_bytes());
    }
    all
}

#[test]
fn every_invariant_is_planted() {
    let planted: BTreeSet<Invariant> = plants::all().iter().map(|plant| plant.breaks).collect();
    let missing: Vec<_> = Invariant::ALL
        .iter()
        .filter(|one| !planted.contains(one))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_is_found_does_not_depend_on_the_order_of_what_was_noted() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let all = plants::all();
        let mut history = right();
        // One at a time, and none at all.
        if let Some(plant) = all.get(random.usize(..=all.len())) {
            (plant.plant)(&mut history);
        }
        let expected = check(&history);
        random.shuffle(&mut history.attempts);
        random.shuffle(&mut history.log);
        random.shuffle(&mut history.mails);
        random.shuffle(&mut history.interruptions);
        random.shuffle(&mut history.databases.participants);
        random.shuffle(&mut history.databases.jobs);
        random.shuffle(&mut history.databases.steps);
        history
            .dead_letters
            .values_mut()
            .for_each(|letters| random.shuffle(letters));
        assert_eq!(check(&history), expected, "seed {seed}");
    }
}
