//! Answers that were not kept, and orders that nobody placed.

use std::time::Duration;

use base_domains::{OrderStatus, reason};
use integration_tests::history::{Invariant, Operation, Outcome};
use serde_json::Value;

use super::{append, record, records, rewrite};
use crate::lives::{Lives, attempt, id};
use crate::plant::Plant;
use crate::right::{LANDED, NAMELESS, NOT_LANDED, REFUNDED, REFUSED, SHIPPED, SOLD_OUT, body};

pub(super) fn all() -> Vec<Plant> {
    [lost(), contract(), refused(), cancelled()]
        .into_iter()
        .flatten()
        .collect()
}

/// Accepted, and not there, or not as it was asked for.
fn lost() -> Vec<Plant> {
    vec![
        Plant {
            name: "an order that was answered 201 never was in the log",
            breaks: Invariant::AcceptedIsInTheLog,
            plant: |history| {
                let asked = attempt(Operation::Place, Some(id(99)), &body("book", 1), 201);
                history.attempts.push(asked);
            },
        },
        Plant {
            name: "the PENDING of an accepted order is gone from the log",
            breaks: Invariant::AcceptedIsInTheLog,
            plant: |history| {
                let place = records(history, SHIPPED, "order.pending")[0];
                history.log.remove(place);
            },
        },
        Plant {
            name: "an unknown request that did not land had been answered 201",
            breaks: Invariant::AcceptedIsInTheLog,
            plant: |history| {
                let asked = attempt(Operation::Put, Some(id(NOT_LANDED)), &body("pen", 2), 201);
                history.attempts.push(asked);
            },
        },
        Plant {
            name: "an order that was accepted without an id is not in the log",
            breaks: Invariant::AcceptedIsInTheLog,
            plant: |history| {
                let asked = attempt(Operation::Place, None, &body("book", 77), 201);
                history.attempts.push(asked);
            },
        },
        Plant {
            name: "an accepted order has another quantity in the log",
            breaks: Invariant::ContentIsAsAsked,
            plant: |history| rewrite(record(history, SOLD_OUT, "order.pending"), "5000", "4999"),
        },
        Plant {
            name: "an order of unknown fate is in the log with another product",
            breaks: Invariant::ContentIsAsAsked,
            plant: |history| rewrite(record(history, LANDED, "order.pending"), "pen", "pan"),
        },
    ]
}

/// Answers that say what they must not.
fn contract() -> Vec<Plant> {
    vec![
        Plant {
            name: "one key became two orders",
            breaks: Invariant::OneKeyIsOneOrder,
            plant: |history| {
                let key = Operation::PlaceKeyed("cart-42".to_owned());
                let asked = attempt(key, Some(id(SHIPPED)), &body("book", 1), 201);
                history.attempts.push(asked);
            },
        },
        Plant {
            name: "an order that was put under one id was answered under another",
            breaks: Invariant::OneKeyIsOneOrder,
            plant: |history| {
                let mut asked = attempt(Operation::Put, Some(id(LANDED)), &body("pen", 2), 201);
                asked.answer.as_mut().unwrap().order_id = Some(id(94));
                history.attempts.push(asked);
            },
        },
        Plant {
            name: "a request was answered 500",
            breaks: Invariant::AnswerIsInTheContract,
            plant: |history| {
                let asked = attempt(Operation::Place, None, &body("book", 1), 500);
                history.attempts.push(asked);
            },
        },
        Plant {
            name: "a refusal is no problem document",
            breaks: Invariant::AnswerIsInTheContract,
            plant: |history| {
                let asked = history.attempts.iter_mut();
                let mut answers = asked.filter_map(|attempt| attempt.answer.as_mut());
                let answer = answers.find(|answer| answer.status == 422);
                answer.unwrap().is_problem = false;
            },
        },
        Plant {
            name: "a 503 does not say when to come back",
            breaks: Invariant::AnswerIsInTheContract,
            plant: |history| {
                let asked = history.attempts.iter_mut();
                let mut answers = asked.filter_map(|attempt| attempt.answer.as_mut());
                let answer = answers.find(|answer| answer.status == 503);
                answer.unwrap().retry_after = false;
            },
        },
    ]
}

/// There, though it was refused or nobody asked.
fn refused() -> Vec<Plant> {
    vec![
        Plant {
            name: "an order that was refused is in the log (G1a)",
            breaks: Invariant::FailedNeverAppears,
            plant: |history| {
                for attempt in &mut history.attempts {
                    if attempt.order_id == Some(id(LANDED)) {
                        attempt.outcome = Outcome::Failed;
                    }
                }
            },
        },
        Plant {
            name: "an order that was refused without an id is in the log (G1a)",
            breaks: Invariant::FailedNeverAppears,
            plant: |history| {
                for attempt in &mut history.attempts {
                    if attempt.order_id.is_none() && attempt.outcome == Outcome::Unknown {
                        attempt.outcome = Outcome::Failed;
                    }
                }
            },
        },
        Plant {
            name: "a content that was refused is what the log has",
            breaks: Invariant::FailedNeverAppears,
            plant: |history| {
                let asked = attempt(Operation::Put, Some(id(LANDED)), &body("pan", 2), 422);
                history.attempts.push(asked);
                rewrite(record(history, LANDED, "order.pending"), "pen", "pan");
            },
        },
        Plant {
            name: "nobody asked for an order of the log (phantom)",
            breaks: Invariant::OrderWasAskedFor,
            plant: |history| {
                history
                    .attempts
                    .retain(|a| a.order_id != Some(id(REFUNDED)))
            },
        },
        Plant {
            name: "a broken request became two orders",
            breaks: Invariant::OrderWasAskedFor,
            plant: |history| {
                let mut lives = Lives::default();
                lives.late(
                    REFUSED + 1,
                    &body("pen", 2),
                    OrderStatus::Pending,
                    "order-service",
                    None,
                );
                lives.late(
                    REFUSED + 2,
                    &body("pen", 2),
                    OrderStatus::Pending,
                    "order-service",
                    None,
                );
                let records = lives.history.log;
                records
                    .into_iter()
                    .for_each(|record| append(history, record));
            },
        },
    ]
}

/// Cancellations.
fn cancelled() -> Vec<Plant> {
    vec![
        Plant {
            name: "an order was cancelled on request, and nobody requested it",
            breaks: Invariant::CancellationWasAskedFor,
            plant: |history| {
                history
                    .attempts
                    .retain(|a| a.operation != Operation::Cancel)
            },
        },
        Plant {
            name: "an order was cancelled on request before anybody requested it",
            breaks: Invariant::CancellationWasAskedFor,
            plant: |history| {
                for attempt in &mut history.attempts {
                    if attempt.order_id == Some(id(REFUNDED)) && !attempt.places() {
                        attempt.start += Duration::from_secs(30);
                    }
                }
            },
        },
        Plant {
            name: "a cancellation appears after it was refused with 404",
            breaks: Invariant::CancellationWasAskedFor,
            plant: |history| {
                let why = Some(reason::CANCELLED_ON_REQUEST);
                let mut lives = Lives::default();
                let pens = body("pen", 2);
                lives.late(
                    NAMELESS,
                    &pens,
                    OrderStatus::Cancelled,
                    "order-service",
                    why,
                );
                append(history, lives.history.log.remove(0));
                let asked = attempt(Operation::Cancel, Some(id(NAMELESS)), &Value::Null, 404);
                history.attempts.push(asked);
            },
        },
        Plant {
            name: "a cancellation that was refused with 409 ended the order",
            breaks: Invariant::CancellationWasAskedFor,
            plant: |history| {
                for attempt in &mut history.attempts {
                    if attempt.order_id == Some(id(REFUNDED)) && !attempt.places() {
                        attempt.outcome = Outcome::Failed;
                        attempt.answer.as_mut().unwrap().status = 409;
                    }
                }
            },
        },
        Plant {
            name: "a cancellation was answered 200, and the order is SHIPPED",
            breaks: Invariant::CancellationIsAnsweredAsItEnded,
            plant: |history| {
                let asked = attempt(Operation::Cancel, Some(id(SHIPPED)), &Value::Null, 200);
                history.attempts.push(asked);
            },
        },
        Plant {
            name: "a cancellation was too late, and the order is CANCELLED",
            breaks: Invariant::CancellationIsAnsweredAsItEnded,
            plant: |history| {
                let asked = attempt(Operation::Cancel, Some(id(REFUNDED)), &Value::Null, 409);
                history.attempts.push(asked);
            },
        },
    ]
}
