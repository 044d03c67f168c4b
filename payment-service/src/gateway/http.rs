//! A gateway behind HTTP.
//!
//! | request | body |
//! |---|---|
//! | `POST {base}/charges`, header `Idempotency-Key: charge-{orderId}` | `{"orderId","amount","amountMinor"}` |
//! | `POST {base}/refunds`, header `Idempotency-Key: refund-{orderId}` | the same and `chargeKey`, `paymentId` |
//! | `GET {base}/charges/{key}`, `GET {base}/refunds/{key}` | only past half the lifetime of keys |
//!
//! | answer | means |
//! |---|---|
//! | 200 or 201 with a JSON object, at best `{"id":"…"}` | the money was moved; without an id the key stands for it |
//! | 402, at best with `{"reason":"…"}` | declined |
//! | 404 to a GET | the gateway never had this request |
//! | everything else, none in time, and one that breaks off | unknown: the job asks again with the same key |
//!
//! So 202 and 204, and a page that a proxy sends with 200, do not count as made.
//! 400, 401 or 409 are repeated too: they tell of a mistake of ours, which can be repaired, and say
//! nothing about the customer's money.
//!
//! Redirects are not followed and nothing is repeated here. Credentials (a user and password in the
//! URL, or else a bearer token) go into a header; they are in no error and no log.

use std::time::Duration;

use base_domains::Total;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Host;

use super::{Answer, Operation, PaymentGateway, Request, Unknown, key};

/// Most bytes of an answer that are read.
const MAX_BODY: usize = 64 * 1024;
/// Longest id or reason that is kept, in characters.
const MAX_WORD: usize = 200;

/// How to reach the gateway.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Its base URL, `http` or `https`; may hold a user and a password.
    pub url: SecretString,
    /// For `Authorization: Bearer`; not together with a user or password in the URL.
    pub token: Option<SecretString>,
    /// For connecting.
    pub connect_timeout: Duration,
    /// For the whole request, connecting and answer included.
    pub timeout: Duration,
}

/// A gateway behind HTTP.
#[derive(Clone)]
pub struct HttpGateway {
    client: Client,
    base: Url,
    token: Option<SecretString>,
}

impl std::fmt::Debug for HttpGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpGateway")
            .field("host", &self.base.host_str())
            .finish_non_exhaustive()
    }
}

/// Why a gateway cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpGatewayError {
    /// The URL.
    #[error("must be an http or https URL such as https://payments.example.com/v1")]
    Url,
    /// The client, for example without root certificates.
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

impl HttpGateway {
    /// A client of this gateway; nothing is contacted yet.
    ///
    /// # Errors
    /// The URL cannot be used, or the client cannot be made.
    pub fn new(settings: &HttpSettings) -> Result<Self, HttpGatewayError> {
        service_runtime::lifecycle::install_crypto();
        let base = base(settings.url.expose_secret())?;
        let mut client = Client::builder()
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never());
        if is_local(&base) {
            client = client.no_proxy();
        }
        let client = client
            .build()
            .map_err(|error| HttpGatewayError::Client(error.to_string()))?;
        Ok(Self {
            client,
            base,
            token: settings.token.clone(),
        })
    }

    /// Whether credentials go over the network in the clear.
    #[must_use]
    pub fn exposes_credentials(&self) -> bool {
        let credentials = self.token.is_some() || has_credentials(&self.base);
        credentials && self.base.scheme() == "http" && !is_local(&self.base)
    }

    fn url(&self, operation: Operation, key: Option<&str>) -> Url {
        let mut url = self.base.clone();
        // A base URL always takes more segments.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(match operation {
                Operation::Charge => "charges",
                Operation::Refund => "refunds",
            });
            path.extend(key);
        }
        url
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Body), Unknown> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        let mut response = request.send().await.map_err(|error| unknown(&error))?;
        let body = read(&mut response).await.map_err(|error| unknown(&error))?;
        Ok((response.status(), serde_json::from_slice(&body).ok()))
    }
}

/// Whether a gateway can be reached by this URL.
pub(crate) fn check_url(url: &str) -> Result<(), HttpGatewayError> {
    base(url).map(drop)
}

/// Whether this URL holds a user, a password or both.
pub(crate) fn holds_credentials(url: &str) -> bool {
    base(url).is_ok_and(|url| has_credentials(&url))
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn base(url: &str) -> Result<Url, HttpGatewayError> {
    let url = Url::parse(url).map_err(|_| HttpGatewayError::Url)?;
    let plain = url.query().is_none() && url.fragment().is_none();
    match url.scheme() {
        "http" | "https" if plain && url.has_host() => Ok(url),
        _ => Err(HttpGatewayError::Url),
    }
}

/// On this machine: no proxy leads there, and nobody listens in.
fn is_local(base: &Url) -> bool {
    match base.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The body of an answer; none if it is no JSON object, or too long.
type Body = Option<Map<String, Value>>;

async fn read(response: &mut Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY {
            break;
        }
    }
    Ok(body)
}

fn answer(status: StatusCode, body: &Body, key: &str) -> Result<Answer, Unknown> {
    let field = |name: &str| word(body.as_ref()?.get(name));
    match status {
        StatusCode::OK | StatusCode::CREATED if body.is_some() => Ok(Answer::Accepted {
            id: field("id").unwrap_or_else(|| key.to_owned()),
        }),
        StatusCode::OK | StatusCode::CREATED => Err(Unknown(format!(
            "the gateway answered {} without a JSON object",
            status.as_u16()
        ))),
        StatusCode::PAYMENT_REQUIRED => Ok(Answer::Declined {
            reason: field("reason").unwrap_or_else(|| "declined".to_owned()),
        }),
        _ => Err(Unknown(format!("the gateway answered {}", status.as_u16()))),
    }
}

/// A text or number of the gateway, printable and not too long.
fn word(value: Option<&Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let printable = text.chars().filter(|char| !char.is_control());
    let word: String = printable.take(MAX_WORD).collect();
    (!word.trim().is_empty()).then_some(word)
}

fn body(request: &Request) -> Value {
    let Request {
        order_id, amount, ..
    } = request;
    let mut body = json!({
        "orderId": order_id,
        "amount": Total::to_wire(*amount),
        "amountMinor": amount.minor(),
    });
    if request.operation == Operation::Refund {
        body["chargeKey"] = key(Operation::Charge, *order_id).into();
        body["paymentId"] = request.payment_id.clone().into();
    }
    body
}

impl PaymentGateway for HttpGateway {
    async fn submit(&self, request: &Request) -> Result<Answer, Unknown> {
        let key = request.key();
        let post = self.client.post(self.url(request.operation, None));
        let post = post.header("Idempotency-Key", &key).json(&body(request));
        let (status, body) = self.send(post).await?;
        answer(status, &body, &key)
    }

    async fn find(&self, request: &Request) -> Result<Option<Answer>, Unknown> {
        let key = request.key();
        let get = self.client.get(self.url(request.operation, Some(&key)));
        match self.send(get).await? {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, body) => answer(status, &body, &key).map(Some),
        }
    }
}

/// In words of our own: the error's text holds the URL.
fn unknown(error: &reqwest::Error) -> Unknown {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "the gateway cannot be reached"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else {
        "the request failed"
    };
    Unknown(what.to_owned())
}
