//! The jobs of a payment: its charge, and its refund.
//!
//! Running one asks the gateway, with a key that names the charge or refund. Its answer, and what
//! follows from it by the rule book, is written under the lock of the order's row: PAID, REJECTED, or
//! the refund of an order that ended meanwhile.

use std::sync::Arc;
use std::time::Duration;

use base_domains::{
    OrderEvent, OrderId, OrderStatus, Payment as WirePayment, Total, WireOrder, reason,
};
use serde::{Deserialize, Serialize};
use service_runtime::database::{Dialect, Tx};
use service_runtime::fault;
use service_runtime::jobs::{self, Job, JobHandler, JobResult, NewJob};
use service_runtime::participant::{DecideError, LockedOrder, OutcomeHandler, Settlement};
use tokio::sync::Notify;

use crate::gateway::{Answer, Operation, PaymentGateway, Request, Unknown};
use crate::payment::{Action, Payment};
use crate::store::Store;

/// Why nothing came of a look-up.
const NEVER_MADE: &str = "the gateway never had this charge";

/// What a charge needs. It holds personal data: never log it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Charge {
    amount_minor: i64,
    /// As RESERVED had it, for the event to append.
    order: WireOrder,
    traceparent: Option<String>,
}

/// What it takes to ask for a charge that may have been made.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sought {
    amount_minor: i64,
}

/// What a refund needs.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refund {
    amount_minor: i64,
    payment_id: Option<String>,
}

/// The id of an order's charge or refund job.
#[must_use]
pub fn job_id(operation: Operation, order_id: OrderId) -> String {
    format!("{operation}/{order_id}")
}

/// The id of the job that asks for an order's charge without making it. It is of the charges' kind.
#[must_use]
pub fn look_up_id(order_id: OrderId) -> String {
    format!("{}/look-up", job_id(Operation::Charge, order_id))
}

fn is_look_up(job: &Job) -> bool {
    job.job_id.ends_with("/look-up")
}

/// The question whether the charge of an order that ended at `age_from` was made, as far as the gateway
/// knows. It is never made by asking.
pub(crate) fn look_up(
    payment: &Payment,
    home_partition: i32,
    age_from: Option<i64>,
) -> Result<NewJob, DecideError> {
    let payload = Sought {
        amount_minor: payment.amount.minor(),
    };
    let charge = Operation::Charge;
    let job = new_job(charge, payment, home_partition, &payload, age_from)?;
    Ok(NewJob {
        job_id: look_up_id(payment.order_id),
        ..job
    })
}

/// The charge of `order`, due since `age_from`.
pub(crate) fn charge(
    payment: &Payment,
    order: WireOrder,
    home_partition: i32,
    traceparent: Option<&str>,
    age_from: Option<i64>,
) -> Result<NewJob, DecideError> {
    let payload = Charge {
        amount_minor: payment.amount.minor(),
        order,
        traceparent: traceparent.map(str::to_owned),
    };
    new_job(
        Operation::Charge,
        payment,
        home_partition,
        &payload,
        age_from,
    )
}

/// The refund of `payment`, due since `age_from` or else now.
pub(crate) fn refund(
    payment: &Payment,
    home_partition: i32,
    age_from: Option<i64>,
) -> Result<NewJob, DecideError> {
    let payload = Refund {
        amount_minor: payment.amount.minor(),
        payment_id: payment.payment_id.clone(),
    };
    new_job(
        Operation::Refund,
        payment,
        home_partition,
        &payload,
        age_from,
    )
}

fn new_job(
    operation: Operation,
    payment: &Payment,
    partition: i32,
    payload: &impl Serialize,
    age_from: Option<i64>,
) -> Result<NewJob, DecideError> {
    Ok(NewJob {
        job_id: job_id(operation, payment.order_id),
        kind: operation.as_str().to_owned(),
        order_id: payment.order_id.to_string(),
        partition,
        payload: serde_json::to_string(payload).map_err(bug)?,
        age_from,
        due_at: None,
    })
}

/// Runs the charges or the refunds.
#[derive(Debug)]
pub struct PaymentHandler<G> {
    operation: Operation,
    gateway: G,
    store: Store,
    key_lifetime: Duration,
    refunds: Arc<Notify>,
}

impl<G: PaymentGateway> PaymentHandler<G> {
    /// A handler for jobs of one kind, in a database of this kind. A job that is older than half of
    /// `key_lifetime` is looked up first; `refunds` is notified when a charge ordered a refund.
    pub fn new(
        operation: Operation,
        gateway: G,
        dialect: Dialect,
        key_lifetime: Duration,
        refunds: Arc<Notify>,
    ) -> Self {
        Self {
            operation,
            gateway,
            store: Store { dialect },
            key_lifetime,
            refunds,
        }
    }

    fn request(&self, job: &Job) -> Result<Request, String> {
        // Without its text, which may quote the payload.
        let text = |error: serde_json::Error| format!("see its column {}", error.column());
        let (amount_minor, payment_id) = match self.operation {
            Operation::Charge if is_look_up(job) => {
                (job.payload_as::<Sought>().map_err(text)?.amount_minor, None)
            }
            Operation::Charge => (job.payload_as::<Charge>().map_err(text)?.amount_minor, None),
            Operation::Refund => {
                let refund: Refund = job.payload_as().map_err(text)?;
                (refund.amount_minor, refund.payment_id)
            }
        };
        let order_id = job.order_id.parse::<OrderId>();
        Ok(Request {
            operation: self.operation,
            order_id: order_id.map_err(|error| error.to_string())?,
            amount: Total::from_minor(amount_minor).map_err(|error| error.to_string())?,
            payment_id,
        })
    }

    /// `None`: the gateway was only asked, and never had it.
    async fn ask(&self, job: &Job, request: &Request) -> Result<Option<Answer>, Unknown> {
        if is_look_up(job) {
            return self.gateway.find(request).await;
        }
        let age = job.leased_at.saturating_sub(job.known_since()).max(0);
        let age = Duration::from_millis(age.unsigned_abs());
        // The other half is for the clocks, and for what passes between the lease and the request. A
        // look-up too many does no harm; one too few may move money twice.
        if age >= self.key_lifetime / 2
            && !fault::mutated("r5.look-up")
            && let Some(known) = self.gateway.find(request).await?
            && self.is_final(&known)
        {
            return Ok(Some(known));
        }
        match self.operation {
            Operation::Charge => fault::point("gateway.charge.before"),
            Operation::Refund => fault::point("gateway.refund.before"),
        }
        let answer = self.gateway.submit(request).await;
        match self.operation {
            Operation::Charge => fault::point("gateway.charge.after"),
            Operation::Refund => fault::point("gateway.refund.after"),
        }
        answer.map(Some)
    }

    /// A declined refund moved nothing: an operator who retries it wants it to be asked for again.
    fn is_final(&self, known: &Answer) -> bool {
        self.operation == Operation::Charge || matches!(known, Answer::Accepted { .. })
    }

    /// What the order is told of an answer to its charge.
    async fn settle_charge(
        &self,
        tx: &mut Tx,
        order: &LockedOrder,
        job: &Job,
        mut payment: Payment,
        answer: &Answer,
    ) -> Result<Settlement, DecideError> {
        let before = payment.state;
        let action = payment.charge_answered(answer, order.status);
        if payment.state == before {
            return Ok(Settlement::done());
        }
        self.store.write(tx, std::slice::from_ref(&payment)).await?;
        if action == Action::Refund && !fault::mutated("r5.refund-after-charge") {
            let refund = refund(&payment, order.home_partition, Some(job.known_since()))?;
            jobs::insert(tx, self.store.dialect, &[refund]).await?;
        }
        if !matches!(action, Action::Paid | Action::Reject) {
            return Ok(Settlement::done());
        }
        let charge: Charge = job.payload_as().map_err(bug)?;
        let event = if action == Action::Paid {
            OrderEvent::new(OrderStatus::Paid, charge.order).with_payment(WirePayment {
                payment_id: payment.payment_id.unwrap_or_default(),
                amount: payment.amount.to_wire(),
            })
        } else {
            OrderEvent::new(OrderStatus::Rejected, charge.order)
                .with_reason(reason::PAYMENT_DECLINED)
        };
        Ok(Settlement::append(event).in_trace(charge.traceparent.as_deref()))
    }
}

impl<G: PaymentGateway> JobHandler for PaymentHandler<G> {
    fn kind(&self) -> &'static str {
        self.operation.as_str()
    }

    async fn run(&self, job: &Job) -> JobResult {
        let request = match self.request(job) {
            Ok(request) => request,
            Err(error) => {
                return JobResult::Dead {
                    error: format!("the payload is not a {}: {error}", self.operation),
                };
            }
        };
        let (order_id, operation) = (request.order_id, self.operation);
        match self.ask(job, &request).await {
            // An operator has to see it: the customer is owed money.
            Ok(Some(Answer::Declined { reason })) if operation == Operation::Refund => {
                tracing::error!(%order_id, "A refund was declined.");
                JobResult::Dead { error: reason }
            }
            Ok(None) => JobResult::Skipped {
                reason: NEVER_MADE.to_owned(),
            },
            Ok(Some(answer)) => {
                let answered = matches!(answer, Answer::Accepted { .. });
                tracing::info!(%order_id, %operation, accepted = answered, "The gateway answered.");
                done(&answer)
            }
            Err(Unknown(reason)) if fault::mutated("r5.unknown-is-no-decline") => {
                done(&Answer::Declined { reason })
            }
            Err(Unknown(error)) => {
                tracing::warn!(%order_id, %operation, error, "The gateway's answer is not known yet.");
                JobResult::Retry { error }
            }
        }
    }
}

fn done(answer: &Answer) -> JobResult {
    match serde_json::to_string(answer) {
        Ok(result) => JobResult::Done {
            result: Some(result),
        },
        Err(error) => JobResult::Retry {
            error: error.to_string(),
        },
    }
}

/// The answer that [`JobHandler::run`] found; none in the result of a job without a usable payload.
fn answer_of(operation: Operation, result: &JobResult) -> Result<Option<Answer>, DecideError> {
    match result {
        JobResult::Done {
            result: Some(answer),
        } => serde_json::from_str(answer).map(Some).map_err(bug),
        JobResult::Dead { error } if operation == Operation::Refund => Ok(Some(Answer::Declined {
            reason: error.clone(),
        })),
        _ => Ok(None),
    }
}

impl<G: PaymentGateway> OutcomeHandler for PaymentHandler<G> {
    async fn settle(
        &self,
        tx: &mut Tx,
        order: &LockedOrder,
        job: &Job,
        result: &JobResult,
    ) -> Result<Settlement, DecideError> {
        let answer = answer_of(self.operation, result)?;
        let never_made = is_look_up(job) && matches!(result, JobResult::Skipped { .. });
        if answer.is_none() && !never_made {
            return Ok(Settlement::done());
        }
        let found = self.store.lock(tx, [order.order_id]).await?;
        let payment = found.into_values().next();
        let mut payment = payment.ok_or_else(|| bug("a job without a payment"))?;
        let Some(answer) = answer else {
            payment.withdrawn();
            self.store.write(tx, &[payment]).await?;
            return Ok(Settlement::done());
        };
        match self.operation {
            Operation::Charge => self.settle_charge(tx, order, job, payment, &answer).await,
            Operation::Refund => {
                payment.refund_answered(&answer);
                self.store.write(tx, &[payment]).await?;
                Ok(Settlement::done())
            }
        }
    }

    fn settled(&self, _: &Job) {
        if self.operation == Operation::Charge {
            self.refunds.notify_one();
        }
    }
}

fn bug(error: impl std::fmt::Display) -> DecideError {
    DecideError::Bug(error.to_string())
}
