//! The services' HTTP interfaces as a user sees them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::stream::Stream;

/// What a request was answered with.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, empty when there is none.
    pub content_type: String,
    /// `Retry-After`, if there is one.
    pub retry_after: Option<String>,
    /// `Location`, if there is one.
    pub location: Option<String>,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// It is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error} in answer {}: {}", self.status, self.text))
    }

    /// A text member of the JSON body.
    ///
    /// # Panics
    /// There is no such member.
    #[must_use]
    pub fn member(&self, name: &str) -> String {
        let json = self.json();
        let Some(text) = json[name].as_str() else {
            panic!("no `{name}` in answer {}: {}", self.status, self.text)
        };
        text.to_owned()
    }
}

/// How long a connection is kept for the next request: less than `HTTP_HEADER_TIMEOUT`, after which the service closes it, perhaps
/// just when that request is sent.
const IDLE: Duration = Duration::from_secs(5);

/// An HTTP client of one base URL.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Without a limit for the whole answer.
    streaming: reqwest::Client,
    base: String,
    port: u16,
}

impl Client {
    /// A client of the service on `127.0.0.1:port`.
    ///
    /// # Panics
    /// The client cannot be built.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self {
            port,
            ..Self::at(&format!("127.0.0.1:{port}"))
        }
    }

    /// A client of the server at `HOST:PORT`.
    ///
    /// # Panics
    /// The client cannot be built.
    #[must_use]
    pub fn at(address: &str) -> Self {
        let builder = || {
            reqwest::Client::builder()
                .no_proxy()
                .pool_idle_timeout(IDLE)
        };
        let http = builder().timeout(Duration::from_secs(60)).build();
        Self {
            http: http.unwrap(),
            streaming: builder().build().unwrap(),
            base: format!("http://{address}"),
            port: 0,
        }
    }

    /// The port on this machine; 0 if it is not known.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// `GET path`.
    ///
    /// # Panics
    /// No answer.
    pub async fn get(&self, path: &str) -> Answer {
        self.try_get(path).await.expect("an answer")
    }

    /// `GET path`, of a service that may be down.
    ///
    /// # Errors
    /// No answer.
    pub async fn try_get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        answer(self.http.get(format!("{}{path}", self.base))).await
    }

    /// `GET path` as a stream of events, from after the event with this id.
    ///
    /// # Panics
    /// It is not answered with one.
    pub async fn stream(&self, path: &str, last_event_id: Option<&str>) -> Stream {
        let request = self.streaming.get(format!("{}{path}", self.base));
        let mut request = request.header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        Stream::new(answer)
    }

    /// The value of every series of `metric` that has these labels first, by its other labels.
    ///
    /// # Panics
    /// No answer, or a value that is no number.
    pub async fn metric(&self, metric: &str, labels: &str) -> BTreeMap<String, f64> {
        let prefix = format!("{metric}{{{labels}");
        let text = self.get("/metrics").await.text;
        let series = text.lines().filter_map(|line| line.strip_prefix(&prefix));
        series
            .map(|series| {
                let (labels, value) = series.rsplit_once("} ").unwrap();
                (labels.to_owned(), value.parse().unwrap())
            })
            .collect()
    }

    /// `POST path` with a JSON body and further headers.
    ///
    /// # Errors
    /// No answer.
    pub async fn post(
        &self,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        answer(request).await
    }

    /// `PUT path` with a JSON body.
    ///
    /// # Errors
    /// No answer.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer, reqwest::Error> {
        answer(self.http.put(format!("{}{path}", self.base)).json(body)).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let answer = request.send().await?;
    let header = |name: &str| {
        let value = answer.headers().get(name)?;
        Some(value.to_str().ok()?.to_owned())
    };
    Ok(Answer {
        status: answer.status().as_u16(),
        content_type: header("content-type").unwrap_or_default(),
        retry_after: header("retry-after"),
        location: header("location"),
        text: answer.text().await?,
    })
}
