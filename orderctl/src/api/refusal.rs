//! What an answer without success means.

use reqwest::StatusCode;
use serde_json::Value;

use crate::Failure;

/// The failure that this answer is, with the words of its problem document (RFC 9457).
pub(super) fn failure(service: &str, status: StatusCode, body: &[u8]) -> Failure {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = format!("{service}: {}", words(status, &problem));
    match status.as_u16() {
        400 => Failure::Usage(message),
        404 | 410 => Failure::NotFound(message),
        408 | 429 | 502..=504 => Failure::Unavailable(message),
        401..=499 => Failure::Refused(message),
        _ => Failure::Failed(message),
    }
}

fn words(status: StatusCode, problem: &Value) -> String {
    let mut words = status.to_string();
    if let Some(detail) = problem["detail"].as_str() {
        words = format!("{words}: {detail}");
    }
    for error in problem["errors"].as_array().into_iter().flatten() {
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        words = format!("{words}\n  {}: {}", text("field"), text("message"));
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(status: u16, body: &Value) -> (u8, String) {
        let body = body.to_string();
        let status = StatusCode::from_u16(status).unwrap();
        let failure = failure("order-service", status, body.as_bytes());
        (failure.code(), failure.to_string())
    }

    #[test]
    fn every_status_has_its_exit_code() {
        let code = |status| of(status, &Value::Null).0;
        assert_eq!([400, 404, 409, 413, 422].map(code), [2, 3, 4, 4, 4]);
        assert_eq!([408, 429, 500, 502, 503, 504].map(code), [5, 5, 1, 5, 5, 5]);
        assert_eq!(code(302), 1);
    }

    #[test]
    fn a_problem_document_is_told_with_its_fields() {
        let problem =
            json!({"detail": "not valid", "errors": [{"field": "qty", "message": "too many"}]});
        let (_, text) = of(422, &problem);
        assert_eq!(
            text,
            "order-service: 422 Unprocessable Entity: not valid\n  qty: too many"
        );
    }
}
