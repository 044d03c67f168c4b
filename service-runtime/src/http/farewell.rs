//! What a client is told when its connection ends before its request was answered, and how the connection is closed
//! then.
//!
//! After an answer to a request that was not read to its end, what still comes is read and thrown away for a
//! moment: closing with unread bytes makes TCP drop the answer on its way.

use std::{io, time::Duration};

use axum::http::StatusCode;
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{
    Problem,
    places::Place,
    stream::{ClientStream, NOT_A_REQUEST, body_fields, has_part_of_request},
};

/// How long, and how many bytes, a client may go on sending what nobody reads.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;

/// How a client of HTTP/2 begins.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n";

/// When a client that was sent away should come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a connection ends before its client ended it.
pub(super) enum End {
    /// hyper has said everything.
    Done,
    Failed(hyper::Error),
    GaveWay,
    ShutDown,
}

impl From<hyper::Result<()>> for End {
    fn from(result: hyper::Result<()>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Done)
    }
}

impl End {
    /// What a client is to know that sent a part of a request, of which hyper has not used `unread`.
    pub(super) fn problem(&self, unread: &[u8]) -> Option<Problem> {
        match self {
            Self::Done => None,
            Self::GaveWay => Some(Problem::unavailable("too many connections", RETRY_AFTER)),
            Self::ShutDown => Some(Problem::unavailable("shutting down", RETRY_AFTER)),
            Self::Failed(error) if error.is_timeout() => Some(
                Problem::new(StatusCode::REQUEST_TIMEOUT)
                    .with_detail("the request's head did not arrive in time"),
            ),
            // The one thing that hyper cannot read and does not answer either.
            Self::Failed(_) if unread.starts_with(HTTP_2) => {
                Some(Problem::new(StatusCode::BAD_REQUEST).with_detail(NOT_A_REQUEST))
            }
            Self::Failed(_) => None,
        }
    }
}

/// Whether `place` or `unread`, what hyper has read behind the last request, says that a part of one is here.
pub(super) fn is_arriving(place: &Place, unread: &[u8]) -> bool {
    place.is_arriving() || has_part_of_request(unread)
}

/// Answers to what has arrived of a request, unless hyper did; then nothing more is sent.
pub(super) async fn say_farewell<S: AsyncRead + AsyncWrite>(
    stream: &mut ClientStream<S>,
    problem: Option<Problem>,
) -> io::Result<()> {
    if let Some(problem) = problem
        && !stream.was_refused()
        && let Some(bytes) = last_words(&problem)
    {
        stream.write_all(&bytes).await?;
    }
    stream.shutdown().await
}

/// The bytes of an answer after which the connection is closed.
fn last_words(problem: &Problem) -> Option<Vec<u8>> {
    let body = problem.to_json()?;
    let date = DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&Timestamp::now())
        .ok()?;
    let retry_after = match problem.retry_after_seconds() {
        Some(seconds) => format!("retry-after: {seconds}\r\n"),
        None => String::new(),
    };
    let head = format!(
        "HTTP/1.1 {}\r\n{}{retry_after}connection: close\r\ndate: {date}\r\n\r\n",
        problem.status(),
        body_fields(body.len()),
    );
    Some([head.as_bytes(), &body].concat())
}

/// Reads what nobody wants, for a while.
pub(super) async fn linger<S: AsyncRead + AsyncWrite>(stream: &mut ClientStream<S>) {
    let discard = async {
        let mut bytes = [0; 4096];
        let mut left = LINGER_BYTES;
        while let Ok(read @ 1..) = stream.read(&mut bytes).await {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
    };
    if tokio::time::timeout(LINGER, discard).await.is_err() {
        tracing::debug!("A client goes on sending what nobody reads.");
    }
}
