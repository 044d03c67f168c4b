//! HTTP: the payment of an order.

use axum::extract::State;
use axum::http::StatusCode;
use base_domains::{OrderId, ParseOrderIdError};
use jiff::Timestamp;
use serde::Serialize;
use service_runtime::database::Database;
use service_runtime::http::{Json, Path, Problem};
use service_runtime::jobs::{self, JobFilter, JobRow, JobState};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gateway::Operation;
use crate::payment;
use crate::store::{self, Kept};

/// An order has one charge and one refund.
const MAX_JOBS: u32 = 10;

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// The answer to the charge is not known.
    Pending,
    /// The order ended before anybody began to charge.
    Skipped,
    /// Charged.
    Charged,
    /// The gateway declined to charge.
    Declined,
    /// Charged, and the answer to the refund is not known.
    Refunding,
    /// Charged and given back.
    Refunded,
    /// Charged, and the gateway declined to give it back: an operator is needed.
    RefundFailed,
}

/// The payment of one order.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderPayment {
    /// The order.
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    pub order_id: String,
    /// How far it is.
    pub state: PaymentState,
    /// What the whole order costs, in major units.
    #[schema(example = 50000.0)]
    pub amount: f64,
    /// How the gateway calls the charge; once it is charged.
    #[schema(example = "sandbox-charge-01890a5d-ac96-774b-bcce-b302099a8057")]
    pub payment_id: Option<String>,
    /// Why the charge or the refund was declined, in the gateway's word.
    pub reason: Option<String>,
    /// When it was asked for (RFC 3339).
    #[schema(example = "2026-01-01T00:00:00Z")]
    pub created_at: Option<String>,
    /// When its state changed last (RFC 3339).
    #[schema(example = "2026-01-01T00:00:01Z")]
    pub updated_at: Option<String>,
    /// The work on the charge.
    pub charge: Option<Work>,
    /// The work on the refund, if there is one.
    pub refund: Option<Work>,
}

/// What was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// `due`, `leased`, `done`, `dead` or `skipped`.
    #[schema(example = "done")]
    pub state: &'static str,
    /// How often the gateway was asked.
    #[schema(example = 1)]
    pub attempts: i64,
    /// When it is asked next (RFC 3339); only while it is due.
    pub next_try_at: Option<String>,
    /// When its answer was known, or it was taken back (RFC 3339).
    pub finished_at: Option<String>,
    /// Why the last attempt brought no answer.
    pub last_error: Option<String>,
}

/// The routes of this service.
pub fn routes(database: Database) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(get))
        .with_state(database)
}

/// Get the payment of an order
#[utoipa::path(get, path = "/api/v1/payments/{orderId}", tag = "payments",
    params(("orderId" = String, Path, description = "Id of the order")),
    responses(
        (status = 200, description = "Its payment", body = OrderPayment),
        (status = 400, description = "Not an order id", body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 404, description = "The order asked for no payment, or not yet",
            body = Problem, content_type = Problem::CONTENT_TYPE),
        (status = 503, description = "The database is not available",
            body = Problem, content_type = Problem::CONTENT_TYPE),
    ))]
async fn get(
    State(database): State<Database>,
    Path(order_id): Path<String>,
) -> Result<Json<OrderPayment>, Problem> {
    let order_id: OrderId = order_id.parse().map_err(|error| bad_id(&error))?;
    let Some(kept) = store::find(&database, order_id).await? else {
        let detail = "there is no payment of this order";
        return Err(Problem::new(StatusCode::NOT_FOUND).with_detail(detail));
    };
    let filter = JobFilter {
        order_id: Some(order_id.to_string()),
        ..JobFilter::default()
    };
    let jobs = jobs::list(&database, &filter, MAX_JOBS).await?;
    Ok(Json(order_payment(kept, &jobs)))
}

fn order_payment(kept: Kept, jobs: &[JobRow]) -> OrderPayment {
    let work = |operation: Operation| {
        let job = jobs.iter().find(|job| job.kind == operation.as_str());
        job.map(work)
    };
    OrderPayment {
        order_id: kept.payment.order_id.to_string(),
        state: kept.payment.state.into(),
        amount: kept.payment.amount.to_wire(),
        payment_id: kept.payment.payment_id,
        reason: kept.payment.reason,
        created_at: time(kept.created_at),
        updated_at: time(kept.updated_at),
        charge: work(Operation::Charge),
        refund: work(Operation::Refund),
    }
}

fn work(job: &JobRow) -> Work {
    let next_try_at = (job.state == JobState::Due).then_some(job.next_try_at);
    Work {
        state: job.state.as_str(),
        attempts: job.attempts,
        next_try_at: next_try_at.and_then(time),
        finished_at: job.finished_at.and_then(time),
        last_error: job.last_error.clone(),
    }
}

impl From<payment::State> for PaymentState {
    fn from(state: payment::State) -> Self {
        match state {
            payment::State::Pending => Self::Pending,
            payment::State::Skipped => Self::Skipped,
            payment::State::Charged => Self::Charged,
            payment::State::Declined => Self::Declined,
            payment::State::Refunding => Self::Refunding,
            payment::State::Refunded => Self::Refunded,
            payment::State::RefundFailed => Self::RefundFailed,
        }
    }
}

fn time(millis: i64) -> Option<String> {
    Timestamp::from_millisecond(millis)
        .ok()
        .map(|time| time.to_string())
}

fn bad_id(error: &ParseOrderIdError) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST)
        .with_detail("the order id cannot be used")
        .with_error("orderId", error.to_string())
}
