//! Cancellations: who asked for them, and what was answered.

use base_domains::{OrderStatus, reason};

use super::super::Invariant::{CancellationIsAnsweredAsItEnded, CancellationWasAskedFor};
use super::super::{Attempt, CLOCKS, Operation, Outcome};
use super::{Case, Findings};

/// 409 because no event of the order can be read: nothing is said about its end.
const UNREADABLE: &str = "urn:problem-type:order-unreadable";

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    for attempt in &case.history.attempts {
        let (Operation::Cancel, Some(answer)) = (&attempt.operation, &attempt.answer) else {
            continue;
        };
        let Some(order_id) = attempt.order_id else {
            continue;
        };
        let end = case.orders.get(&order_id).and_then(|story| story.end());
        let agrees = match answer.status {
            200 => end == Some(OrderStatus::Cancelled),
            409 if answer.problem.as_deref() == Some(UNREADABLE) => true,
            409 => end.is_some_and(|end| end != OrderStatus::Cancelled),
            // Not read yet, refused otherwise, or unknown.
            _ => true,
        };
        found.unless(agrees, CancellationIsAnsweredAsItEnded, || {
            let end = end.map_or("not at an end", OrderStatus::as_str);
            format!(
                "{order_id} is {end}, and a cancellation was answered {}",
                answer.status
            )
        });
    }
    requested(case, found);
}

fn requested(case: &Case<'_>, found: &mut Findings) {
    for (order_id, story) in &case.orders {
        let cancelled = story.events.iter().find(|event| {
            let body = || event.body().and_then(|body| body.reason);
            event.heading.status == OrderStatus::Cancelled
                && !event.injected
                && body().as_deref() == Some(reason::CANCELLED_ON_REQUEST)
        });
        let Some(cancelled) = cancelled else {
            continue;
        };
        // One that lost to another end is in the log too: it was answered 409.
        let may_be_late = |attempt: &Attempt| {
            let status = attempt.answer.as_ref().map(|answer| answer.status);
            status == Some(409) && !cancelled.effective
        };
        let before = |attempt: &Attempt| {
            let start = i64::try_from(attempt.start.as_millis()).unwrap_or(i64::MAX);
            let asked = case.history.started.saturating_add(start);
            cancelled.time().is_none_or(|time| asked <= time + CLOCKS)
        };
        let asked = case.history.attempts.iter().any(|attempt| {
            attempt.operation == Operation::Cancel
                && attempt.order_id == Some(*order_id)
                && (attempt.outcome != Outcome::Failed || may_be_late(attempt))
                && before(attempt)
        });
        found.unless(asked, CancellationWasAskedFor, || {
            format!(
                "{order_id} is CANCELLED on request at {:?}, and nobody may have requested it before",
                cancelled.place()
            )
        });
    }
}
