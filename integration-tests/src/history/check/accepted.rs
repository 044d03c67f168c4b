//! What an answer promised, against the log.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::OrderId;

use super::super::Invariant::{
    AcceptedIsInTheLog, AnswerIsInTheContract, ContentIsAsAsked, OneKeyIsOneOrder,
};
use super::super::{Attempt, Operation, Outcome};
use super::{Case, Findings};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    for attempt in &case.history.attempts {
        answer(attempt, found);
        if let (true, Outcome::Ok, Some(order_id)) =
            (attempt.places(), attempt.outcome, attempt.order_id)
        {
            is_in_the_log(case, attempt, order_id, found);
        }
    }
    keys(case, found);
}

fn is_in_the_log(case: &Case<'_>, attempt: &Attempt, order_id: OrderId, found: &mut Findings) {
    let mut placements = case.orders.get(&order_id).into_iter();
    let mut placements = placements
        .by_ref()
        .flat_map(|story| story.placements())
        .peekable();
    if placements.peek().is_none() {
        let evidence = format!("{order_id} was accepted, and the log has no PENDING of it");
        return found.add(AcceptedIsInTheLog, evidence);
    }
    let wish = attempt.content.order(order_id);
    let is_it = wish.is_some() && placements.any(|event| event.order() == wish);
    found.unless(is_it, ContentIsAsAsked, || {
        format!("{order_id} was accepted with another content than the log has")
    });
}

/// 2xx, 4xx, or 503 that says when to come back and which order it was about.
fn answer(attempt: &Attempt, found: &mut Findings) {
    let Some(answer) = &attempt.answer else {
        return;
    };
    let told = answer.order_status.as_deref();
    let shaped = answer.status < 400 || answer.is_problem;
    let kept = shaped
        && match (answer.status, attempt.places()) {
            (201, true) => told.is_none_or(|status| status == "PENDING"),
            (200, false) => told == Some("CANCELLED"),
            (400..500, _) => true,
            (503, _) => {
                let unconfirmed = "urn:problem-type:order-unconfirmed";
                let nameless = attempt.order_id.is_none();
                answer.retry_after && !(nameless && answer.problem.as_deref() == Some(unconfirmed))
            }
            _ => false,
        };
    found.unless(kept, AnswerIsInTheContract, || {
        let order = attempt.order_id.map(|id| id.to_string());
        let order = order.unwrap_or_else(|| "an order without id".to_owned());
        format!("{:?} of {order}: {answer:?}", attempt.operation)
    });
}

fn keys(case: &Case<'_>, found: &mut Findings) {
    for attempt in &case.history.attempts {
        let said = attempt.answer.as_ref().and_then(|answer| answer.order_id);
        if let (Some(asked), Some(said)) = (attempt.order_id, said) {
            found.unless(asked == said, OneKeyIsOneOrder, || {
                format!("{asked} was answered as {said}")
            });
        }
    }
    let mut orders = BTreeMap::<&str, BTreeSet<OrderId>>::new();
    for attempt in &case.history.attempts {
        if let (Operation::PlaceKeyed(key), Some(order_id)) = (&attempt.operation, attempt.order_id)
        {
            orders.entry(key).or_default().insert(order_id);
        }
    }
    for (key, orders) in orders {
        found.unless(orders.len() == 1, OneKeyIsOneOrder, || {
            let orders: Vec<String> = orders.iter().map(OrderId::to_string).collect();
            format!("key {key} is {}", orders.join(" and "))
        });
    }
}
