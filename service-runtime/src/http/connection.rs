//! One connection from its first byte to its end.
//!
//! Who sent part of a request is told why it ends: 408 when the rest of the head did not come in time, 503 when
//! the place was needed for another client, 400 for another protocol. Who sent nothing is not answered. After an
//! answer to a request that was not read to its end, what still comes is read and thrown away for a moment: closing
//! with unread bytes makes TCP drop the answer on its way.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, StatusCode},
};
use hyper::{
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    Problem,
    places::Place,
    stream::{ClientStream, NOT_A_REQUEST, body_fields},
};
use crate::lifecycle::Shutdown;

/// How long, and how many bytes, a client may go on sending what nobody reads.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;

/// How long it may take to tell a client that it gives way. The words nearly always fit into the system's buffer.
const FAREWELL: Duration = Duration::from_millis(100);

/// When a client that gave way should come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a connection ended before its client did.
enum End {
    /// hyper has said everything.
    Done,
    Failed(hyper::Error),
    GaveWay,
}

pub(super) async fn serve_connection(
    http: http1::Builder,
    stream: TcpStream,
    write_timeout: Duration,
    router: Router,
    place: Arc<Place>,
    shutdown: Shutdown,
) {
    let stream = TokioIo::new(ClientStream::new(stream, write_timeout, Arc::clone(&place)));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        let place = Arc::clone(&place);
        let answer = router.call(request.map(|body| Arriving::new(body, &place)));
        async move {
            let answer = answer.await?;
            place.work_begins();
            Ok::<_, Infallible>(answer.map(|body| Answer { body, place }))
        }
    });
    let mut connection = http.serve_connection(stream, service);
    let end = {
        let mut running = Pin::new(&mut connection);
        tokio::select! {
            // First what has come in: a request that is already here keeps the place.
            biased;
            result = running.as_mut() => End::from(result),
            () = place.told_to_leave() => End::GaveWay,
            () = shutdown.cancelled() => {
                // Idle connections end at once, others after the request that was begun.
                running.as_mut().graceful_shutdown();
                End::from(running.await)
            }
        }
    };
    let mut stream = connection.into_parts().io.into_inner();
    let farewell = say_farewell(&mut stream, &place, &end);
    // Not for the time that a client may take to read: somebody waits for the place, or will.
    let said = match end {
        End::GaveWay => match tokio::time::timeout(FAREWELL, farewell).await {
            Ok(said) => said,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        },
        End::Done | End::Failed(_) => tokio::select! {
            biased;
            said = farewell => said,
            () = place.told_to_leave() => Err(io::ErrorKind::TimedOut.into()),
        },
    };
    if let Err(error) = said {
        tracing::debug!(%error, "A client could not be told why its connection ends.");
        return;
    }
    // Not where somebody waits for the place.
    let may_linger = !matches!(end, End::GaveWay);
    if may_linger && (place.has_unread_body() || place.is_arriving()) {
        tokio::select! {
            () = place.told_to_leave() => {}
            () = shutdown.cancelled() => {}
            () = linger(&mut stream) => {}
        }
    }
}

/// Answers to what has arrived of a request, unless hyper did; then nothing more is sent.
async fn say_farewell(stream: &mut ClientStream, place: &Place, end: &End) -> io::Result<()> {
    let problem = match end {
        End::Done => None,
        End::GaveWay => Some(Problem::unavailable("too many connections", RETRY_AFTER)),
        End::Failed(error) => {
            tracing::debug!(%error, "Connection ended early.");
            explained(error)
        }
    };
    if let Some(problem) = problem
        && place.is_arriving()
        && !stream.was_refused()
        && let Some(bytes) = last_words(&problem)
    {
        stream.write_all(&bytes).await?;
    }
    stream.shutdown().await
}

fn explained(error: &hyper::Error) -> Option<Problem> {
    if error.is_timeout() {
        let problem = Problem::new(StatusCode::REQUEST_TIMEOUT);
        Some(problem.with_detail("the request's head did not arrive in time"))
    } else if error.is_parse() {
        let problem = Problem::new(StatusCode::BAD_REQUEST);
        Some(problem.with_detail(NOT_A_REQUEST))
    } else {
        None
    }
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
async fn linger(stream: &mut ClientStream) {
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

impl From<hyper::Result<()>> for End {
    fn from(result: hyper::Result<()>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Done)
    }
}

/// The body of a request; says when it has arrived whole.
struct Arriving {
    body: Incoming,
    place: Arc<Place>,
}

impl Arriving {
    fn new(body: Incoming, place: &Arc<Place>) -> Self {
        if body.is_end_stream() {
            place.work_begins();
        } else {
            place.body_begins();
        }
        Self {
            body,
            place: Arc::clone(place),
        }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let is_last = match &frame {
            None => true,
            Some(Ok(frame)) => frame.is_trailers(),
            Some(Err(_)) => false,
        };
        if is_last || self.body.is_end_stream() {
            self.place.body_ends();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer; says when hyper has taken all of it.
struct Answer {
    body: Body,
    place: Arc<Place>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.place.answered();
    }
}
