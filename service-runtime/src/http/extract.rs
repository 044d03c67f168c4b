//! Extractors whose rejections are problem documents.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;

use super::Problem;
use super::quoted::without_value;

/// A JSON request body, or a JSON answer.
///
/// Rejections: 415 without a JSON content type, 413 above the limit, 400 for what is not JSON in
/// UTF-8, 422 with the name of the field for a wrong type or a missing field.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

/// Parameters of the query; 400 when they cannot be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

/// Parameters of the path; 400 when they cannot be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE)
                .with_detail("the content type must be application/json"));
        }
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unread_body(rejection.status()))?;
        parse(&body).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => Problem::internal(error).into_response(),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state);
        match query.await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(bad_request(&rejection.body_text())),
        }
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state);
        match path.await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) if rejection.status().is_client_error() => {
                Err(bad_request(&rejection.body_text()))
            }
            Err(rejection) => Err(Problem::internal(rejection.body_text())),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let Some(value) = value.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

pub(super) fn unread_body(status: StatusCode) -> Problem {
    let detail = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than this service takes",
        _ => "the body could not be read to its end",
    };
    Problem::new(status).with_detail(detail)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Checked first: serde_json does not look into the texts of fields that it skips.
    let body = std::str::from_utf8(body).map_err(|_| bad_request("the body is not UTF-8"))?;
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        match error.inner().classify() {
            Category::Data => wrong_field(&path, error.inner()),
            _ => not_json(error.inner()),
        }
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

fn not_json(error: &serde_json::Error) -> Problem {
    bad_request(&format!("the body is not valid JSON: {error}"))
}

fn wrong_field(path: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let message = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(start, _)| start);
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
        .with_detail("the body does not have the expected form");
    problem.with_error(field(path, message), shortened(message))
}

/// The field that is meant: serde's path ends at the object in which a field is missing.
fn field(path: &str, message: &str) -> String {
    let missing = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'));
    match (path, missing) {
        (".", Some(name)) => name.to_owned(),
        (path, Some(name)) => format!("{path}.{name}"),
        (".", None) => String::new(),
        (path, None) => path.to_owned(),
    }
}

fn bad_request(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).with_detail(shortened(detail))
}

/// Messages quote what the client sent, which may be personal or, as the name of a field, long.
fn shortened(message: &str) -> String {
    const LONGEST: usize = 200;
    let message = &*without_value(message);
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}
