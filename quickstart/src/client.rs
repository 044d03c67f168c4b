//! The services as their user sees them: over HTTP.

use std::time::Duration;

use base_domains::{OrderId, OrderStatus};
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::system::Urls;

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
    pub(crate) status: OrderStatus,
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

/// The payment of an order.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    pub(crate) state: String,
    pub(crate) amount: f64,
    pub(crate) payment_id: Option<String>,
}

/// The shipment of an order.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shipment {
    pub(crate) state: String,
    pub(crate) tracking_number: String,
}

#[derive(Deserialize)]
struct Mails {
    emails: Vec<Mail>,
}

/// The pieces of a product.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Product {
    pub(crate) name: String,
    pub(crate) available: i64,
    pub(crate) reserved: i64,
    pub(crate) shipped: i64,
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

    pub(crate) async fn place(
        &self,
        product: &str,
        qty: i64,
        price: f64,
    ) -> Result<Placed, ClientError> {
        let url = format!("{}/api/v1/orders", self.urls.order);
        let order =
            json!({"name": product, "qty": qty, "price": price, "email": "you@example.com"});
        let request = self.http.post(&url).json(&order);
        answer(&url, request, StatusCode::CREATED).await
    }

    /// The order once it is `until` or at an end.
    pub(crate) async fn follow(
        &self,
        order_id: OrderId,
        until: OrderStatus,
        within: Duration,
    ) -> Result<State, ClientError> {
        let url = format!(
            "{}/api/v1/orders/{order_id}?wait={}s&until={until}",
            self.urls.order,
            within.as_secs(),
        );
        self.get(&url).await
    }

    /// Cancels the order; what became of it.
    pub(crate) async fn cancel(&self, order_id: OrderId) -> Result<State, ClientError> {
        let url = format!("{}/api/v1/orders/{order_id}/cancel", self.urls.order);
        answer(&url, self.http.post(&url), StatusCode::OK).await
    }

    /// The order's mails, the newest first.
    pub(crate) async fn mails(&self, order_id: OrderId) -> Result<Vec<Mail>, ClientError> {
        let url = format!("{}/api/v1/emails?orderId={order_id}", self.urls.email);
        let list: Mails = self.get(&url).await?;
        Ok(list.emails)
    }

    /// The order's payment, if it came to that.
    pub(crate) async fn payment(&self, order_id: OrderId) -> Result<Option<Payment>, ClientError> {
        let url = format!("{}/api/v1/payments/{order_id}", self.urls.payment);
        self.find(&url).await
    }

    /// The order's shipment, if it came to that.
    pub(crate) async fn shipment(
        &self,
        order_id: OrderId,
    ) -> Result<Option<Shipment>, ClientError> {
        let url = format!("{}/api/v1/shipments/{order_id}", self.urls.shipping);
        self.find(&url).await
    }

    /// The pieces of `product`.
    pub(crate) async fn stock(&self, product: &str) -> Result<Product, ClientError> {
        let url = format!("{}/api/v1/stock/{product}", self.urls.stock);
        self.get(&url).await
    }

    /// All products, sorted by name.
    pub(crate) async fn catalogue(&self) -> Result<Vec<Product>, ClientError> {
        let url = format!("{}/api/v1/stock", self.urls.stock);
        let list: Products = self.get(&url).await?;
        Ok(list.products)
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, ClientError> {
        answer(url, self.http.get(url), StatusCode::OK).await
    }

    async fn find<T: DeserializeOwned>(&self, url: &str) -> Result<Option<T>, ClientError> {
        match self.get(url).await {
            Err(ClientError::Status { status, .. }) if status == StatusCode::NOT_FOUND => Ok(None),
            found => found.map(Some),
        }
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
