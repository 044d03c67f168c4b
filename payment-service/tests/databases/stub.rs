//! A payment gateway that answers by script and remembers what it was asked.

use std::collections::VecDeque;
use std::future::ready;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the stub does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers.
    Say(u16, &'static str),
    /// Sends the client elsewhere.
    Redirect,
    /// Never answers.
    Hang,
    /// Answers 200, and closes the connection within the body.
    BreakOff,
    /// Answers 200, and never ends the body.
    Stall,
}

/// One request as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

#[derive(Clone, Default)]
struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

pub(crate) struct Stub {
    pub(crate) address: String,
    script: Script,
    server: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Stub {
    pub(crate) async fn start(replies: &[Reply]) -> Self {
        let script = Script::default();
        script
            .replies
            .lock()
            .unwrap()
            .extend(replies.iter().cloned());
        let router = Router::new().fallback(answer).with_state(script.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            address,
            script,
            server,
        }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().unwrap().clone()
    }
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let key = text(&request, "idempotency-key");
    let authorization = text(&request, "authorization");
    let (method, path) = (request.method().clone(), request.uri().to_string());
    let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
    script.asked.lock().unwrap().push(Asked {
        method,
        path,
        key,
        authorization,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    });
    let reply = script.replies.lock().unwrap().pop_front();
    let response = Response::builder();
    let response = match reply.expect("a reply for every request") {
        Reply::Say(status, body) => response.status(status).body(Body::from(body)),
        Reply::Redirect => response
            .status(StatusCode::TEMPORARY_REDIRECT)
            .header(header::LOCATION, "/elsewhere")
            .body(Body::empty()),
        Reply::Hang => std::future::pending().await,
        // What was begun is sent before it breaks off.
        Reply::BreakOff => response.body(unfinished(stream::once(async {
            tokio::task::yield_now().await;
            Err("broken")
        }))),
        Reply::Stall => response.body(unfinished(stream::pending())),
    };
    response.unwrap()
}

/// The beginning of a JSON object, and what follows.
fn unfinished(rest: impl Stream<Item = Result<Bytes, &'static str>> + Send + 'static) -> Body {
    let begun = stream::once(ready(Ok(Bytes::from_static(br#"{"id":"p1""#))));
    Body::from_stream(begun.chain(rest))
}

fn text(request: &Request, name: &str) -> Option<String> {
    let value = request.headers().get(name)?;
    Some(value.to_str().unwrap().to_owned())
}
