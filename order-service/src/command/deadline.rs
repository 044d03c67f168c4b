//! When a request has to be answered.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::time::Instant;

use super::Command;

/// The latest moment for an answer. As the first extractor of a handler it starts before the body is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(pub(super) Instant);

impl FromRequestParts<Command> for Deadline {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, command: &Command) -> Result<Self, Infallible> {
        Ok(Self(Instant::now() + command.answer_within))
    }
}
