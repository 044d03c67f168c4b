//! Why orders were rejected and cancelled: by reasons that their writers give, and that were so.
//!
//! An end that came too late for the fold was decided all the same, so it is judged too.

use std::collections::BTreeSet;

use base_domains::{OrderId, OrderStatus, reason};

use super::super::Invariant::{DeadlineHasPassed, EndHasAReason, RejectionIsJustified};
use super::shortage::Stockroom;
use super::story::{Event, Story};
use super::{Case, Findings, money};

/// The reasons of each writer for an end.
const REASONS: [(&str, OrderStatus, &[&str]); 4] = [
    (
        "stock-service",
        OrderStatus::Rejected,
        &[
            reason::OUT_OF_STOCK,
            reason::UNKNOWN_PRODUCT,
            reason::INVALID_ORDER,
        ],
    ),
    (
        "payment-service",
        OrderStatus::Rejected,
        &[reason::PAYMENT_DECLINED, reason::INVALID_ORDER],
    ),
    (
        "shipping-service",
        OrderStatus::Rejected,
        &[reason::INVALID_ORDER],
    ),
    (
        "order-service",
        OrderStatus::Cancelled,
        &[reason::CANCELLED_ON_REQUEST, reason::DEADLINE],
    ),
];

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let (stockroom, declined) = (Stockroom::new(case), money::declined(case));
    let facts = Facts {
        case,
        stockroom,
        declined,
    };
    for (order_id, story) in &case.orders {
        for end in story.events.iter().filter(|event| is_decided_end(event)) {
            facts.judge(order_id, story, end, found);
        }
    }
}

fn is_decided_end(event: &Event<'_>) -> bool {
    let ends = [OrderStatus::Rejected, OrderStatus::Cancelled];
    !event.injected && ends.contains(&event.heading.status)
}

struct Facts<'a> {
    case: &'a Case<'a>,
    stockroom: Stockroom<'a>,
    /// Orders whose charge the gateway declined.
    declined: BTreeSet<&'a str>,
}

impl Facts<'_> {
    fn judge(&self, order_id: &OrderId, story: &Story<'_>, end: &Event<'_>, found: &mut Findings) {
        let (status, place) = (end.heading.status, end.place());
        let reason = end.body().and_then(|body| body.reason).unwrap_or_default();
        let known = REASONS.iter().any(|(writer, ends_as, reasons)| {
            end.writer() == Some(writer) && *ends_as == status && reasons.contains(&&*reason)
        });
        found.unless(known, EndHasAReason, || {
            let writer = end.writer();
            format!("{order_id} is {status} by {writer:?} at {place:?} for the reason {reason:?}")
        });
        let was_so = match &*reason {
            reason::OUT_OF_STOCK => self.stockroom.may_have_been_short(order_id, story, end),
            reason::UNKNOWN_PRODUCT => self.stockroom.may_not_have_known(story),
            reason::INVALID_ORDER => breaks_a_rule(story),
            reason::PAYMENT_DECLINED => self.declined.contains(&*order_id.to_string()),
            reason::DEADLINE => {
                return found.unless(self.is_overdue(story, end), DeadlineHasPassed, || {
                    format!("{order_id} is CANCELLED for its deadline at {place:?}, too early")
                });
            }
            // Who asked for a cancellation is looked for elsewhere; any other reason is none.
            _ => true,
        };
        found.unless(was_so, RejectionIsJustified, || {
            format!("{order_id} is {status} at {place:?} for {reason}, which was not so")
        });
    }

    /// The deadline counts from the record that was read first, by the clock of its producer; one without a clock
    /// leaves it to the reader's, which nobody knows.
    fn is_overdue(&self, story: &Story<'_>, end: &Event<'_>) -> bool {
        let first = story.events.iter().map(Event::time).min().flatten();
        let (Some(first), Some(ended)) = (first, end.time()) else {
            return true;
        };
        let deadline = self.case.history.bounds.deadline.as_millis();
        // A database rounds to a millisecond.
        i64::try_from(deadline).is_ok_and(|deadline| ended - first + 1 >= deadline)
    }
}

/// An event that can be read says something that is no valid order.
fn breaks_a_rule(story: &Story<'_>) -> bool {
    let mut asked = story
        .events
        .iter()
        .filter(|event| !event.heading.status.is_terminal());
    asked.any(|event| event.body().is_some() && event.order().is_none())
}
