//! One connection from its first byte to its end.
//!
//! Who sent part of a request is told why it ends: 408 when the rest of the head did not come in time, 503 when
//! the place was needed for another client, 400 for another protocol. Who sent nothing is not answered.
//!
//! At the shutdown a request of which a part is here is still answered; that answer says that it is the last. What is
//! still on its way to a resting connection is lost when that is closed: so it is with every end of a kept
//! connection, and readiness ends some time before for this reason.

use std::{convert::Infallible, io, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response, header},
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    bodies::{Answer, Arriving},
    farewell::{End, is_arriving, linger, say_farewell},
    places::Place,
    stream::ClientStream,
};
use crate::lifecycle::Shutdown;

/// How long it may take to tell a client that it gives way. The words nearly always fit into the system's buffer.
const FAREWELL: Duration = Duration::from_millis(100);

pub(super) async fn serve_connection<S>(
    http: http1::Builder,
    stream: ClientStream<S>,
    router: Router,
    place: Arc<Place>,
    shutdown: Shutdown,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        let (place, shutdown) = (Arc::clone(&place), &shutdown);
        let answer = router.call(request.map(|body| Arriving::new(body, &place)));
        async move {
            let mut answer = answer.await?;
            if place.answer_begins(is_live(&answer)) || shutdown.is_cancelled() {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(answer.map(|body| Answer { body, place }))
        }
    });
    let mut connection = http.serve_connection(TokioIo::new(stream), service);
    let end = {
        let mut running = Pin::new(&mut connection);
        tokio::select! {
            // First what has come in: a request that is already here keeps the place.
            biased;
            result = running.as_mut() => End::from(result),
            () = place.told_to_leave() => End::GaveWay,
            // Not by hyper's own `graceful_shutdown`, which drops what has come of a head behind the last answer.
            () = shutdown.cancelled() => tokio::select! {
                biased;
                result = running.as_mut() => End::from(result),
                () = place.rests() => End::ShutDown,
            },
        }
    };
    let parts = connection.into_parts();
    close(parts.io.into_inner(), &place, &end, &parts.read_buf).await;
}

/// Says what is to be said, and lets a client that is still sending read it.
async fn close<S: AsyncRead + AsyncWrite>(
    mut stream: ClientStream<S>,
    place: &Place,
    end: &End,
    unread: &[u8],
) {
    if let End::Failed(error) = end {
        tracing::debug!(%error, "Connection ended early.");
    }
    let is_arriving = is_arriving(place, unread);
    let problem = end.problem(unread).filter(|_| is_arriving);
    let farewell = say_farewell(&mut stream, problem);
    // Not for the time that a client may take to read: somebody waits for the place, or will.
    let said = match end {
        End::GaveWay => match tokio::time::timeout(FAREWELL, farewell).await {
            Ok(said) => said,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        },
        End::Done | End::Failed(_) | End::ShutDown => tokio::select! {
            biased;
            said = farewell => said,
            () = place.told_to_leave() => Err(io::ErrorKind::TimedOut.into()),
        },
    };
    if let Err(error) = said {
        tracing::debug!(%error, "A client could not be told why its connection ends.");
        return;
    }
    // Not where somebody waits for the place. At the shutdown as well: there is time for it (`HTTP_DRAIN_TIMEOUT`), and who
    // has just sent something would otherwise lose its answer.
    let may_linger = !matches!(end, End::GaveWay);
    if may_linger && (place.has_unread_body() || is_arriving) {
        tokio::select! {
            () = place.told_to_leave() => {}
            () = linger(&mut stream) => {}
        }
    }
}

/// Whether an answer is a stream of events, which is meant to have no end.
fn is_live(answer: &Response<Body>) -> bool {
    let media_type = answer.headers().get(header::CONTENT_TYPE);
    media_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

#[cfg(test)]
mod tests;
