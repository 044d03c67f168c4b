//! The services as their user sees them: over HTTP.

use std::time::Duration;

use base_domains::OrderId;
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::Instant;

use crate::system::Urls;

/// Between two looks at mails that are not written yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A service did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer, or not one in the expected form.
    #[error("no usable answer")]
    Http(#[from] reqwest::Error),
    /// Another status than the one expected.
    #[error("{request} answered {status}: {body}")]
    Status {
        /// What was asked.
        request: String,
        /// The answer's status.
        status: StatusCode,
        /// The answer's body.
        body: String,
    },
    /// The mails were not written in time.
    #[error("{found} of {expected} mails were written within {within:?}")]
    Mails {
        /// How many were.
        found: usize,
        /// How many there should be.
        expected: usize,
        /// How long was waited.
        within: Duration,
    },
}

/// The answer to an accepted order.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Placed {
    pub(crate) message: String,
    pub(crate) order_id: OrderId,
}

/// An order in the read model.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct State {
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
}

/// A mail in the list of the email service.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mail {
    pub(crate) status: String,
    pub(crate) state: String,
    pub(crate) subject: String,
    pub(crate) message_id: String,
}

#[derive(Deserialize)]
struct Mails {
    emails: Vec<Mail>,
}

/// A product of the catalogue.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Product {
    pub(crate) name: String,
    pub(crate) available: i64,
}

#[derive(Deserialize)]
struct Products {
    products: Vec<Product>,
}

/// Talks to the services of one system.
pub(crate) struct Client {
    http: reqwest::Client,
    urls: Urls,
}

impl Client {
    pub(crate) fn new(urls: Urls) -> Self {
        Self {
            http: http_client(),
            urls,
        }
    }

    pub(crate) async fn place(&self, product: &str, qty: i64) -> Result<Placed, ClientError> {
        let url = format!("{}/api/v1/orders", self.urls.order);
        let order = json!({
            "name": product, "qty": qty, "price": 10000.0, "email": "you@example.com"
        });
        let request = self.http.post(&url).json(&order);
        answer(&url, request, StatusCode::CREATED).await
    }

    /// The order once the stock service has decided.
    pub(crate) async fn follow(
        &self,
        placed: &Placed,
        within: Duration,
    ) -> Result<State, ClientError> {
        let url = format!(
            "{}/api/v1/orders/{}?wait={}s&until=RESERVED",
            self.urls.order,
            placed.order_id,
            within.as_secs(),
        );
        answer(&url, self.http.get(&url), StatusCode::OK).await
    }

    /// The order's mails, once there are `expected` and all are sent.
    pub(crate) async fn mails(
        &self,
        placed: &Placed,
        expected: usize,
        within: Duration,
    ) -> Result<Vec<Mail>, ClientError> {
        let url = format!(
            "{}/api/v1/emails?orderId={}",
            self.urls.email, placed.order_id
        );
        let deadline = Instant::now() + within;
        loop {
            let list: Mails = answer(&url, self.http.get(&url), StatusCode::OK).await?;
            let found = list
                .emails
                .iter()
                .filter(|mail| mail.state == "sent")
                .count();
            if found >= expected {
                return Ok(list.emails);
            }
            if Instant::now() >= deadline {
                return Err(ClientError::Mails {
                    found,
                    expected,
                    within,
                });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Pieces of `product` that can be ordered.
    pub(crate) async fn available(&self, product: &str) -> Result<i64, ClientError> {
        let url = format!("{}/api/v1/stock/{product}", self.urls.stock);
        let product: Product = answer(&url, self.http.get(&url), StatusCode::OK).await?;
        Ok(product.available)
    }

    /// All products, sorted by name.
    pub(crate) async fn catalogue(&self) -> Result<Vec<Product>, ClientError> {
        let url = format!("{}/api/v1/stock", self.urls.stock);
        let list: Products = answer(&url, self.http.get(&url), StatusCode::OK).await?;
        Ok(list.products)
    }
}

async fn answer<T: DeserializeOwned>(
    url: &str,
    request: reqwest::RequestBuilder,
    expected: StatusCode,
) -> Result<T, ClientError> {
    let answer = request.send().await?;
    let status = answer.status();
    if status != expected {
        return Err(ClientError::Status {
            request: url.to_owned(),
            status,
            body: answer.text().await?,
        });
    }
    Ok(answer.json().await?)
}

/// A client for addresses of this machine: no proxy of the environment stands before them.
pub(crate) fn http_client() -> reqwest::Client {
    // Only TLS settings can make this fail, and there are none.
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap_or_default()
}
