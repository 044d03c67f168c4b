//! The services' HTTP APIs. Answers stay JSON as they came, so `--json` prints what the API says.

mod refusal;
pub mod sse;

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, RequestBuilder, Response, redirect};
use serde::Serialize;
use serde_json::Value;
use service_runtime::config::redact_urls;
use url::Url;

use crate::Failure;

/// All but the characters that RFC 3986, section 2.3, leaves unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// A server that does not take the connection is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One part of a path, with everything escaped that would end it.
#[must_use]
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The API of one service.
#[derive(Debug, Clone)]
pub struct Api {
    http: Client,
    service: &'static str,
    base: Url,
    timeout: Duration,
}

impl Api {
    /// The API of `service` below `base`.
    ///
    /// # Errors
    /// `base` is not an HTTP URL.
    pub fn new(service: &'static str, base: &str, timeout: Duration) -> Result<Self, Failure> {
        let unusable = || {
            let base = redact_urls(base);
            Failure::Usage(format!("the URL of {service} cannot be used: {base}"))
        };
        let url = Url::parse(base).map_err(|_| unusable())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unusable());
        }
        let http = Client::builder()
            .user_agent(concat!("orderctl/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never());
        Ok(Self {
            http: http
                .build()
                .map_err(|error| Failure::Failed(error.to_string()))?,
            service,
            base: url,
            timeout,
        })
    }

    /// Name of the service.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// `GET path`.
    ///
    /// # Errors
    /// No answer in time, or none with success.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        self.get_within(path, query, Duration::ZERO).await
    }

    /// `GET path`, to which the server takes so much longer by intent.
    ///
    /// # Errors
    /// No answer in time, or none with success.
    pub async fn get_within(
        &self,
        path: &str,
        query: &[(&str, String)],
        longer: Duration,
    ) -> Result<Value, Failure> {
        let request = self.request(Method::GET, path, query);
        self.answer(request.timeout(self.timeout + longer)).await
    }

    /// `POST path`, with a body if there is one.
    ///
    /// # Errors
    /// No answer in time, or none with success.
    pub async fn post<T: Serialize + Sync>(
        &self,
        path: &str,
        body: Option<&T>,
        headers: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let request = self.request(Method::POST, path, &[]).timeout(self.timeout);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        self.answer(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// `PUT path`.
    ///
    /// # Errors
    /// No answer in time, or none with success.
    pub async fn put<T: Serialize + Sync>(&self, path: &str, body: &T) -> Result<Value, Failure> {
        let request = self.request(Method::PUT, path, &[]);
        self.answer(request.timeout(self.timeout).json(body)).await
    }

    /// Opens a stream of events; `None` where there is nothing to come any more. Only its beginning
    /// is bounded: the caller bounds the waits between its parts.
    ///
    /// # Errors
    /// No answer in time, or none with success.
    pub async fn stream(
        &self,
        path: &str,
        after: Option<&str>,
    ) -> Result<Option<Response>, Failure> {
        let mut request = self
            .request(Method::GET, path, &[])
            .header("accept", "text/event-stream");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let sent = tokio::time::timeout(self.timeout, request.send()).await;
        let response = sent
            .map_err(|_| self.silent("no answer in time"))?
            .map_err(|error| self.unsent(&error))?;
        match response.status().as_u16() {
            200 => Ok(Some(response)),
            204 => Ok(None),
            _ => Err(self.refused(response).await),
        }
    }

    /// The failure of a service that does not answer.
    #[must_use]
    pub fn silent(&self, reason: &str) -> Failure {
        Failure::Unavailable(format!("{} at {}: {reason}", self.service, self.place()))
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, String)]) -> RequestBuilder {
        let mut url = self.base.clone();
        // Paths are absolute; what the base has before them, such as a gateway's prefix, stays.
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}{path}"));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.http.request(method, url)
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let response = request.send().await.map_err(|error| self.unsent(&error))?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let body = response
            .bytes()
            .await
            .map_err(|error| self.unsent(&error))?;
        serde_json::from_slice(&body)
            .map_err(|error| Failure::Failed(format!("{} answered no JSON: {error}", self.service)))
    }

    async fn refused(&self, response: Response) -> Failure {
        let status = response.status();
        let read = tokio::time::timeout(self.timeout, response.bytes()).await;
        let body = read.ok().and_then(Result::ok).unwrap_or_default();
        refusal::failure(self.service, status, &body)
    }

    fn unsent(&self, error: &reqwest::Error) -> Failure {
        if error.is_timeout() {
            return self.silent("no answer in time");
        }
        // The innermost cause is the one that helps, such as "connection refused".
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        match error.is_builder() {
            true => Failure::Usage(format!("{}: {cause}", self.service)),
            false => self.silent(&cause.to_string()),
        }
    }

    /// Without the credentials that a URL may have.
    fn place(&self) -> String {
        self.base.origin().ascii_serialization()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_holds_what_would_end_it() {
        assert_eq!(segment("charge/0193-a"), "charge%2F0193-a");
        assert_eq!(segment("book order?ü"), "book%20order%3F%C3%BC");
    }

    #[test]
    fn a_url_keeps_its_prefix_and_an_escaped_segment() {
        service_runtime::lifecycle::install_crypto();
        let api = Api::new(
            "order-service",
            "http://gateway/orders/",
            Duration::from_secs(1),
        );
        let path = format!("/api/v1/jobs/{}", segment("charge/a b"));
        let request = api
            .unwrap()
            .request(Method::GET, &path, &[("limit", "5 0".to_owned())]);
        let url = request.build().unwrap().url().to_string();
        assert_eq!(
            url,
            "http://gateway/orders/api/v1/jobs/charge%2Fa%20b?limit=5+0"
        );
    }

    #[test]
    fn no_message_shows_the_password_of_a_url() {
        service_runtime::lifecycle::install_crypto();
        let api = |url| Api::new("order-service", url, Duration::from_secs(1));
        let refused = api("ftp://ann:canary@host/").unwrap_err().to_string();
        let silent = api("http://ann:canary@host/").unwrap().silent("a reason");
        for words in [refused, silent.to_string()] {
            assert!(
                words.contains("host") && !words.contains("canary"),
                "{words}"
            );
        }
    }

    #[test]
    fn only_an_http_url_is_taken() {
        for url in ["127.0.0.1:8080", "ftp://host", "orders"] {
            let refused = Api::new("order-service", url, Duration::from_secs(1));
            assert!(matches!(refused, Err(Failure::Usage(_))), "{url}");
        }
    }
}
