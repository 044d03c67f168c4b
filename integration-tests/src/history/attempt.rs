//! A request and how it ended.

use std::time::Duration;

use base_domains::{NewOrder, Order, OrderId};
use serde_json::Value;

use crate::client::Answer;

/// A request that places or cancels an order, as its client saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The order: chosen by the client, or named by the answer. `None` when nobody told.
    pub order_id: Option<OrderId>,
    /// What was tried.
    pub operation: Operation,
    /// What was asked for; of a cancellation nothing.
    pub content: Content,
    /// When it was sent.
    pub start: Duration,
    /// When its answer was there, or given up.
    pub end: Duration,
    /// What the client knows.
    pub outcome: Outcome,
    /// The answer, if there was one.
    pub answer: Option<Answered>,
}

/// What a request tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// `POST /api/v1/orders`.
    Place,
    /// The same under this `Idempotency-Key`.
    PlaceKeyed(String),
    /// `PUT /api/v1/orders/{id}`.
    Put,
    /// `POST /api/v1/orders/{id}/cancel`.
    Cancel,
}

/// What the client knows of its wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx: it is done.
    Ok,
    /// 4xx: it is not done, and never will be.
    Failed,
    /// Everything else, no answer among it: either is right.
    Unknown,
}

/// The part of an answer that makes a promise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// `type` of a problem.
    pub problem: Option<String>,
    /// Whether it is `application/problem+json`.
    pub is_problem: bool,
    /// `status` of the order in a good answer.
    pub order_status: Option<String>,
    /// The order that it names.
    pub order_id: Option<OrderId>,
    /// Whether it says when to try again.
    pub retry_after: bool,
}

/// The JSON body of a request for an order; `null` where there is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Content(pub Value);

impl Attempt {
    /// Whether it is one for an order, not against one.
    #[must_use]
    pub fn places(&self) -> bool {
        self.operation != Operation::Cancel
    }
}

impl Outcome {
    /// What an HTTP status says.
    #[must_use]
    pub fn of(status: u16) -> Self {
        match status {
            200..300 => Self::Ok,
            400..500 => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

impl Content {
    /// The order that it asks for under this id; `None` where it breaks a rule of the domain.
    #[must_use]
    pub fn order(&self, id: OrderId) -> Option<Order> {
        let order: NewOrder = serde_json::from_value(self.0.clone()).ok()?;
        order.into_order(id).ok()
    }
}

impl From<&Answer> for Answered {
    fn from(answer: &Answer) -> Self {
        let member = |name| member(answer, name);
        let is_problem = answer.status >= 400;
        Self {
            status: answer.status,
            problem: is_problem.then(|| member("type")).flatten(),
            is_problem: answer.content_type == "application/problem+json",
            order_status: (!is_problem).then(|| member("status")).flatten(),
            order_id: named_order(answer),
            retry_after: answer.retry_after.is_some(),
        }
    }
}

/// The order that an answer names: in its body, or in `Location`.
fn named_order(answer: &Answer) -> Option<OrderId> {
    let located = || answer.location.as_deref()?.rsplit('/').next()?.parse().ok();
    let named = member(answer, "orderId").and_then(|id| id.parse().ok());
    named.or_else(located)
}

fn member(answer: &Answer, name: &str) -> Option<String> {
    let json: Value = serde_json::from_str(&answer.text).ok()?;
    json.get(name)?.as_str().map(str::to_owned)
}
