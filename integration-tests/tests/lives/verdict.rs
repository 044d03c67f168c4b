//! What the run was about, by its history.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::history::{History, Operation, Outcome};

/// What a cancellation was answered with, if there was one, and how the order ended.
type Case = (Option<u16>, String);

/// How many orders there are of each case.
///
/// # Panics
/// One that the run is for is not among them.
pub(crate) fn cases(history: &History) -> BTreeMap<Case, usize> {
    let cancelled: BTreeMap<String, u16> = history
        .attempts
        .iter()
        .filter(|attempt| attempt.operation == Operation::Cancel)
        .filter_map(|attempt| {
            let status = attempt.answer.as_ref()?.status;
            let told = [200, 409].contains(&status);
            told.then_some((attempt.order_id?.to_string(), status))
        })
        .collect();
    let mut cases = BTreeMap::<Case, usize>::new();
    for view in &history.databases.views {
        let answer = cancelled.get(&view.order_id).copied();
        *cases.entry((answer, view.status.clone())).or_default() += 1;
    }
    for (answer, end) in [
        (Some(200), "CANCELLED"),
        (Some(409), "SHIPPED"),
        (None, "SHIPPED"),
        (None, "REJECTED"),
    ] {
        let case = (answer, end.to_owned());
        assert!(cases.contains_key(&case), "{case:?} is not in {cases:?}");
    }
    cases
}

/// Orders that were accepted.
pub(crate) fn accepted(history: &History) -> usize {
    let accepted = history
        .attempts
        .iter()
        .filter(|attempt| attempt.places() && attempt.outcome == Outcome::Ok);
    accepted
        .map(|attempt| attempt.order_id)
        .collect::<BTreeSet<_>>()
        .len()
}

/// How many mails arrived, and how many of them again.
pub(crate) fn mails(history: &History) -> String {
    let different: BTreeSet<&str> = history
        .mails
        .iter()
        .map(|mail| mail.message_id.as_str())
        .collect();
    let (all, different) = (history.mails.len(), different.len());
    format!(
        "{all} mails arrived, {} of them again, {different} different",
        all - different
    )
}
