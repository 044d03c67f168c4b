//! Moving money: by the built-in sandbox, or by a gateway behind HTTP.
//!
//! A gateway is asked with a key that is the same for every attempt at the same charge or refund, and
//! has to be idempotent by it: the effect happens once, and every repetition gets the first answer. It
//! makes one attempt; repeating is the job's alone. No answer is not a decline: only an [`Answer`]
//! ends a job.

mod http;
mod sandbox;

use std::fmt;
use std::future::Future;

use base_domains::{OrderId, Total};
use serde::{Deserialize, Serialize};
use service_runtime::fault;

pub use http::{HttpGateway, HttpGatewayError, HttpSettings};
pub(crate) use http::{check_url, holds_credentials};
pub use sandbox::Sandbox;

/// Moves money.
pub trait PaymentGateway: Send + Sync + 'static {
    /// Charges or refunds, once however often it is called with the same request.
    ///
    /// # Errors
    /// It is not known whether the money was moved.
    fn submit(&self, request: &Request) -> impl Future<Output = Result<Answer, Unknown>> + Send;

    /// What became of an earlier request; `None`: the gateway never had it. For requests that are so
    /// old that the gateway may have forgotten the key: it would take a repetition for a new request.
    ///
    /// # Errors
    /// It is not known.
    fn find(
        &self,
        request: &Request,
    ) -> impl Future<Output = Result<Option<Answer>, Unknown>> + Send;
}

/// A charge or a refund of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which of them.
    pub operation: Operation,
    /// The order.
    pub order_id: OrderId,
    /// How much.
    pub amount: Total,
    /// Which charge is refunded.
    pub payment_id: Option<String>,
}

/// Which way the money goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// From the customer.
    Charge,
    /// Back to the customer, all of it.
    Refund,
}

/// What a gateway said, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// The money was moved.
    Accepted {
        /// How the gateway calls the charge or refund.
        id: String,
    },
    /// It will not be moved.
    Declined {
        /// Why, in one word of the gateway.
        reason: String,
    },
}

/// It is not known whether money was moved. The text is without credentials and without the gateway's
/// own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

impl Request {
    /// The idempotency key: the same for every attempt, in every process, forever.
    #[must_use]
    pub fn key(&self) -> String {
        if fault::mutated("r5.one-key") {
            return jiff::Timestamp::now().as_nanosecond().to_string();
        }
        key(self.operation, self.order_id)
    }
}

/// The key of an order's charge or refund, of which it has one each.
fn key(operation: Operation, order_id: OrderId) -> String {
    format!("{operation}-{order_id}")
}

impl Operation {
    /// Its name in keys, jobs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Refund => "refund",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The gateway that the settings ask for.
#[derive(Debug, Clone)]
pub enum Gateway {
    /// The built-in one.
    Sandbox(Sandbox),
    /// One behind HTTP.
    Http(HttpGateway),
}

impl PaymentGateway for Gateway {
    async fn submit(&self, request: &Request) -> Result<Answer, Unknown> {
        match self {
            Self::Sandbox(gateway) => gateway.submit(request).await,
            Self::Http(gateway) => gateway.submit(request).await,
        }
    }

    async fn find(&self, request: &Request) -> Result<Option<Answer>, Unknown> {
        match self {
            Self::Sandbox(gateway) => gateway.find(request).await,
            Self::Http(gateway) => gateway.find(request).await,
        }
    }
}
