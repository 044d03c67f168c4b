//! A client's bytes, on their way in and out.
//!
//! A client has to take something of its answer in `HTTP_WRITE_TIMEOUT`, and, unless that is a live stream, all of
//! it in `HTTP_ANSWER_TIMEOUT`: else one that takes a byte now and then would keep its place for ever.
//!
//! hyper answers by itself, before any handler, to what it cannot read as a request: 400 (request line, header,
//! `Transfer-Encoding` or `Content-Length`), 414 (a target above 64 KiB, which our smaller buffer makes a 431) and 431 (head
//! larger than the buffer, or more than 100 headers). It offers no way to give such an answer a body, so it is
//! recognised here, where it leaves: the head of an error with `content-length: 0`, alone in the buffer, while no
//! request is at work. Answers of ours have a body and are at work. An answer of hyper's that leaves together
//! with the rest of an earlier one goes out as it is.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use tokio_io_timeout::TimeoutStream;

use super::{HttpConfig, Problem, places::Place};

/// What a client is told that speaks something else.
pub(super) const NOT_A_REQUEST: &str = "this is not a request of HTTP/1.1";

const NO_BODY: &str = "content-length: 0\r\n";

/// The stream of one connection, whose writes may neither stall nor drip.
pub(super) struct ClientStream<S> {
    stream: Pin<Box<TimeoutStream<S>>>,
    answer_timeout: Duration,
    /// Runs from where the client was first waited for until its answer has left.
    late: Option<Pin<Box<Sleep>>>,
    place: Arc<Place>,
    /// What leaves in place of hyper's answer, and how much of it has left.
    replacement: Option<(Vec<u8>, usize)>,
    refused: bool,
}

impl<S: AsyncRead + AsyncWrite> ClientStream<S> {
    pub(super) fn new(stream: S, config: &HttpConfig, place: Arc<Place>) -> Self {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(config.write_timeout));
        Self {
            stream: Box::pin(stream),
            answer_timeout: config.answer_timeout,
            late: None,
            place,
            replacement: None,
            refused: false,
        }
    }

    /// Whether hyper answered by itself.
    pub(super) fn was_refused(&self) -> bool {
        self.refused
    }

    /// An error where the client did not take what was written in time.
    fn check<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.place.is_live() {
            self.late = None;
        } else if written.is_pending() {
            let limit = self.answer_timeout;
            let late = self.late.get_or_insert_with(|| Box::pin(sleep(limit)));
            if late.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        written
    }

    /// Writes the replacement; the length of hyper's answer once that is done.
    fn poll_replace(
        &mut self,
        cx: &mut Context<'_>,
        original: usize,
    ) -> Poll<io::Result<Option<usize>>> {
        let Some((bytes, sent)) = &mut self.replacement else {
            return Poll::Ready(Ok(None));
        };
        while *sent < bytes.len() {
            match ready!(self.stream.as_mut().poll_write(cx, &bytes[*sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => *sent += written,
            }
        }
        self.replacement = None;
        Poll::Ready(Ok(Some(original)))
    }

    fn replace_if_bare(&mut self, bytes: &[u8]) {
        if self.replacement.is_none() && !self.place.is_at_work() {
            self.replacement = explained(bytes).map(|answer| (answer, 0));
            self.refused |= self.replacement.is_some();
        }
    }
}

/// An answer of hyper's own with a problem document as its body; `None` for anything else.
fn explained(bytes: &[u8]) -> Option<Vec<u8>> {
    let status = bytes.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let status = StatusCode::from_bytes(status).ok()?;
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n")?;
    if !status.is_client_error() || head.find("\r\n\r\n").is_some() {
        return None;
    }
    let (before, after) = head.split_once(NO_BODY)?;
    let problem = Problem::new(status).with_detail(match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the request's head is too large",
        StatusCode::URI_TOO_LONG => "the request's target is too long",
        _ => NOT_A_REQUEST,
    });
    let body = problem.to_json()?;
    let fields = body_fields(body.len());
    Some(
        [
            before.as_bytes(),
            fields.as_bytes(),
            after.as_bytes(),
            b"\r\n",
            &body,
        ]
        .concat(),
    )
}

/// Whether there is more than line ends, which are allowed before a request.
pub(super) fn has_part_of_request(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| !b"\r\n".contains(byte))
}

/// The header fields of a problem document of so many bytes.
pub(super) fn body_fields(length: usize) -> String {
    let media_type = Problem::CONTENT_TYPE;
    format!("content-type: {media_type}\r\ncontent-length: {length}\r\n")
}

impl<S: AsyncRead + AsyncWrite> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.stream.as_mut().poll_read(cx, buffer))?;
        // Some clients end a body with a line end too many.
        if has_part_of_request(&buffer.filled()[before..]) {
            self.place.bytes_arrive();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for ClientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.replace_if_bare(bytes);
        let replaced = self.poll_replace(cx, bytes.len());
        let written = match replaced {
            Poll::Ready(Ok(None)) => self.stream.as_mut().poll_write(cx, bytes),
            other => other.map_ok(Option::unwrap_or_default),
        };
        self.check(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = slices {
            return self.poll_write(cx, only);
        }
        let written = self.stream.as_mut().poll_write_vectored(cx, slices);
        self.check(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream.as_mut().poll_flush(cx);
        ready!(self.check(cx, flushed))?;
        self.place.flushed();
        // Not between two pieces of one answer.
        if !self.place.is_at_work() {
            self.late = None;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }
}
