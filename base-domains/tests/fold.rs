//! The state machine: the whole table, and the laws that make every service agree.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use base_domains::{Effect, OrderState, OrderStatus};
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn fold(events: &[OrderStatus]) -> OrderState {
    let mut state = OrderState::default();
    for event in events {
        state.apply(*event);
    }
    state
}

/// The rows of the table in the documentation of `OrderState`: the state, then one cell per event.
fn documented_table() -> Vec<Vec<String>> {
    let source = include_str!("../src/state.rs");
    let rows = source
        .lines()
        .filter_map(|line| line.strip_prefix("/// | "));
    rows.map(|row| {
        row.trim_end_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    })
    .collect()
}

#[test]
fn every_transition_is_as_documented() {
    let table = documented_table();
    let events: Vec<OrderStatus> = table[0][1..]
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
    assert_eq!(events, OrderStatus::ALL);

    let rows = &table[1..];
    let states: Vec<Option<OrderStatus>> = rows.iter().map(|row| row[0].parse().ok()).collect();
    let all: Vec<_> = std::iter::once(None)
        .chain(OrderStatus::ALL.map(Some))
        .collect();
    assert_eq!(states, all);

    for (before, row) in states.into_iter().zip(rows) {
        for (event, cell) in events.iter().zip(&row[1..]) {
            let mut state = OrderState::from(before);
            let effect = state.apply(*event);
            let expected = match cell.as_str() {
                "–" => (Effect::NoEffect, before),
                name => (Effect::Effective, Some(name.parse().unwrap())),
            };
            assert_eq!((effect, state.status()), expected, "{before:?} and {event}");
        }
    }
}

#[test]
fn ranks_are_pinned_because_databases_hold_them() {
    let ranks =
        OrderStatus::ALL.map(|status| (status.as_str(), status.rank(), status.is_terminal()));
    let expected = [
        ("PENDING", 1, false),
        ("RESERVED", 2, false),
        ("PAID", 3, false),
        ("SHIPPED", 100, true),
        ("REJECTED", 100, true),
        ("CANCELLED", 100, true),
    ];
    assert_eq!(ranks, expected);
    assert_eq!(OrderState::default().rank(), 0);
    assert_eq!(OrderState::from(Some(OrderStatus::Paid)).rank(), 3);
}

#[test]
fn names_and_types_round_trip() {
    for status in OrderStatus::ALL {
        assert_eq!(status.as_str().parse(), Ok(status));
        assert_eq!(OrderStatus::from_ce_type(status.ce_type()), Some(status));
        let json = serde_json::to_string(&status).unwrap();
        assert_eq!(json, format!("\"{status}\""));
        assert_eq!(serde_json::from_str::<OrderStatus>(&json).unwrap(), status);
    }
    assert!("pending".parse::<OrderStatus>().is_err());
    assert_eq!(OrderStatus::from_ce_type("order.PENDING"), None);
}

fn any_status() -> impl Strategy<Value = OrderStatus> {
    select(OrderStatus::ALL.to_vec())
}

/// A life without repetitions: some of the way to PAID, then perhaps an end.
fn valid_history() -> impl Strategy<Value = Vec<OrderStatus>> {
    use OrderStatus::{Cancelled, Paid, Pending, Rejected, Reserved, Shipped};
    let end = select(vec![None, Some(Rejected), Some(Cancelled), Some(Shipped)]);
    (1..=3_usize, end).prop_map(|(steps, end)| {
        let mut history = [Pending, Reserved, Paid][..steps].to_vec();
        history.extend(end);
        history
    })
}

/// A valid history, and the same one where each repetition comes some time after the original.
fn with_repetitions() -> impl Strategy<Value = (Vec<OrderStatus>, Vec<OrderStatus>)> {
    let repetitions = prop::collection::vec((any::<Index>(), any::<Index>()), 0..12);
    (valid_history(), repetitions).prop_map(|(history, repetitions)| {
        let mut log = history.clone();
        for (which, place) in repetitions {
            let original = which.index(log.len());
            let later = original + 1 + place.index(log.len() - original);
            log.insert(later, log[original]);
        }
        (history, log)
    })
}

proptest! {
    #[test]
    fn repeated_and_late_events_fold_to_the_same_state((history, log) in with_repetitions()) {
        prop_assert_eq!(fold(&log), fold(&history));
    }

    #[test]
    fn each_event_of_a_valid_history_is_effective_exactly_once((history, log) in with_repetitions()) {
        let mut state = OrderState::default();
        let effective: Vec<_> =
            log.into_iter().filter(|event| state.apply(*event) == Effect::Effective).collect();
        prop_assert_eq!(effective, history);
    }

    #[test]
    fn reading_a_log_again_from_any_offset_changes_nothing(
        log in prop::collection::vec(any_status(), 1..12),
        from in any::<Index>(),
    ) {
        let mut again = log.clone();
        again.extend_from_slice(&log[from.index(log.len())..]);
        prop_assert_eq!(fold(&again), fold(&log));
    }

    #[test]
    fn a_terminal_state_never_changes(
        before in prop::collection::vec(any_status(), 0..8),
        end in any_status().prop_filter("an end", |status| status.is_terminal()),
        after in prop::collection::vec(any_status(), 0..8),
    ) {
        let mut state = fold(&before);
        state.apply(end);
        let ended = state;
        prop_assert!(ended.status().unwrap().is_terminal());
        for event in after {
            prop_assert_eq!(state.apply(event), Effect::NoEffect);
            prop_assert_eq!(state, ended);
        }
    }

    #[test]
    fn the_first_end_in_any_log_wins(log in prop::collection::vec(any_status(), 0..12)) {
        let highest = log.iter().copied().filter(|status| !status.is_terminal()).max_by_key(|status| status.rank());
        let expected = log.iter().copied().find(|status| status.is_terminal()).or(highest);
        prop_assert_eq!(fold(&log).status(), expected);
    }
}
