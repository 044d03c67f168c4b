//! Takes a request in before anything is done with it.
//!
//! A body that drips must hold up nobody but its sender: it takes none of the requests that may be under way, and
//! the time for an answer begins when it is here. All bodies are small (`HTTP_MAX_BODY`), so the most that
//! they use together is that times `HTTP_MAX_CONNECTIONS`.

use std::{future::poll_fn, pin::Pin};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{HttpConfig, Problem, extract::unread_body};

/// Answers with 413 as soon as a body is, or says it will be, too large, and with 408 when it takes too long.
pub(super) async fn receive(
    State(config): State<HttpConfig>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    if request.body().size_hint().lower() > u64::try_from(config.max_body).unwrap_or(u64::MAX) {
        return and_close(unread_body(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let (parts, body) = request.into_parts();
    let body = collect(body, config.max_body);
    match tokio::time::timeout(config.request_timeout, body).await {
        Ok(Ok(body)) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Ok(Err(status)) => and_close(unread_body(status)),
        Err(_) => and_close(
            Problem::new(StatusCode::REQUEST_TIMEOUT)
                .with_detail("the request's body did not arrive in time"),
        ),
    }
}

/// The whole body, or the status of the answer to one that is larger than `most` bytes or breaks off. Copied, since
/// a frame of one byte holds the whole buffer into which it was read.
async fn collect<B>(mut body: B, most: usize) -> Result<Vec<u8>, StatusCode>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        // Trailers are nothing to us, and the end is still to come.
        let Ok(data) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else {
            continue;
        };
        if data.len() > most - bytes.len() {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// An answer to a request that was not read to its end, after which none can be told from its rest.
fn and_close(problem: Problem) -> Response {
    let mut response = problem.into_response();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use futures_util::stream;

    use super::*;

    /// A buffer of which the body uses one byte.
    struct Buffer(Arc<AtomicUsize>);

    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            b"x"
        }
    }

    impl Drop for Buffer {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn a_body_of_single_bytes_holds_no_more_than_one_buffer() {
        const BYTES: usize = 10_000;
        let held = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&held);
        let frames = stream::iter((0..BYTES).map(move |_| {
            let before = counted.fetch_add(1, Ordering::Relaxed);
            assert_eq!(before, 0, "a buffer of an earlier byte is still there");
            Ok::<_, Infallible>(Bytes::from_owner(Buffer(Arc::clone(&counted))))
        }));
        let body = collect(Body::from_stream(frames), BYTES).await.unwrap();
        assert_eq!(body.len(), BYTES);
        assert!(body.capacity() <= 2 * BYTES, "{}", body.capacity());
        assert_eq!(held.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_body_may_have_as_many_bytes_as_the_limit_and_not_one_more() {
        let body = || Body::from("12345");
        assert_eq!(collect(body(), 5).await, Ok(b"12345".to_vec()));
        assert_eq!(collect(body(), 4).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
    }
}
