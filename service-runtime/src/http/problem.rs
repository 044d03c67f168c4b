//! Errors for clients: problem documents (RFC 9457).

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

/// An answer that says what is wrong. Everything in it goes to the client: no internals, no
/// personal data but the client's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    status: StatusCode,
    retry_after: Option<Duration>,
    // Boxed to keep `Result<_, Problem>` small.
    document: Box<Document>,
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Path of the field, such as `items[1].price`.
    #[schema(example = "items[1].price")]
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Problem, description = "What went wrong (RFC 9457)")]
struct Document {
    /// Names the kind of problem; `about:blank` when the status says it all.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: Cow<'static, str>,
    /// The kind of problem in words.
    title: Cow<'static, str>,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// This occurrence in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Every wrong field of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// Further members, such as `orderId`.
    #[serde(flatten)]
    extensions: BTreeMap<String, Value>,
}

impl Problem {
    /// Media type of a problem document; an API description has to name it.
    pub const CONTENT_TYPE: &str = "application/problem+json";

    /// A problem of no kind of its own: the status says what it is.
    pub fn new(status: StatusCode) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self {
            status,
            retry_after: None,
            document: Box::new(Document {
                kind: Cow::Borrowed("about:blank"),
                title: Cow::Borrowed(title),
                status: status.as_u16(),
                detail: None,
                errors: Vec::new(),
                extensions: BTreeMap::new(),
            }),
        }
    }

    /// 422: fields of the request break a rule.
    pub fn invalid_fields<F, M>(errors: impl IntoIterator<Item = (F, M)>) -> Self
    where
        F: Into<String>,
        M: Into<String>,
    {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY)
            .with_detail("the request has fields that are not valid");
        errors
            .into_iter()
            .fold(problem, |problem, (field, message)| {
                problem.with_error(field, message)
            })
    }

    /// 503: it may work later.
    pub fn unavailable(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE)
            .with_detail(detail)
            .with_retry_after(retry_after)
    }

    /// 500: the error is logged, the client learns nothing of it.
    pub fn internal(error: impl fmt::Display) -> Self {
        tracing::error!(%error, "Request failed.");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Gives it a kind that clients can tell from others of its status: a URI and a fixed title.
    #[must_use]
    pub fn with_kind(mut self, uri: &'static str, title: &'static str) -> Self {
        self.document.kind = Cow::Borrowed(uri);
        self.document.title = Cow::Borrowed(title);
        self
    }

    /// Says what happened this time.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.document.detail = Some(detail.into());
        self
    }

    /// Names a wrong field.
    #[must_use]
    pub fn with_error(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.document.errors.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// Adds a further member. The names of the standard's own members are left alone.
    #[must_use]
    pub fn with_extension(mut self, name: &str, value: impl Into<Value>) -> Self {
        if !["type", "title", "status", "detail", "errors"].contains(&name) {
            let extensions = &mut self.document.extensions;
            extensions.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Adds `Retry-After`, in whole seconds and at least one.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The document.
    pub(super) fn to_json(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(&self.document).ok()
    }

    /// The value of `Retry-After`.
    pub(super) fn retry_after_seconds(&self) -> Option<u64> {
        let wait = self.retry_after?;
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Some(seconds.max(1))
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        match &self.document.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Some(body) = self.to_json() else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static(Self::CONTENT_TYPE);
        headers.insert(header::CONTENT_TYPE, content_type);
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Document::schema()
    }
}

impl ToSchema for Problem {
    fn name() -> Cow<'static, str> {
        Document::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Document::schemas(schemas);
    }
}
