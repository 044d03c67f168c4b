//! A receiver of notifications that answers by script and remembers what it got.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the receiver does with one request; after the script it says 204.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers.
    Say(u16),
    /// Answers, with `Retry-After`.
    Rest(u16, &'static str),
    /// Sends the client elsewhere.
    Redirect,
    /// Answers 200 and the beginning of a body, and never ends it.
    Endless,
}

/// One request as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// Whether it is signed with this secret, by the letter of Standard Webhooks and of RFC 2104.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD
            .decode(secret.strip_prefix("whsec_").unwrap())
            .unwrap();
        let timestamp = &self.headers["webhook-timestamp"];
        let mut content = format!("{}.{timestamp}.", self.id()).into_bytes();
        content.extend(&self.body);
        let pad = |byte: u8| -> Vec<u8> {
            let filled = key.iter().copied().chain(std::iter::repeat(0)).take(64);
            filled.map(|key| key ^ byte).collect()
        };
        let inner = Sha256::digest([pad(0x36), content].concat());
        let outer = Sha256::digest([pad(0x5c), inner.to_vec()].concat());
        self.headers["webhook-signature"] == format!("v1,{}", STANDARD.encode(outer))
    }
}

#[derive(Clone)]
struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    got: Arc<Mutex<Vec<Got>>>,
    answering: watch::Receiver<bool>,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) port: u16,
    script: Script,
    answering: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Receiver {
    pub(crate) async fn start(replies: &[Reply]) -> Self {
        let (answering, answers) = watch::channel(true);
        let script = Script {
            replies: Arc::new(Mutex::new(replies.iter().cloned().collect())),
            got: Arc::default(),
            answering: answers,
        };
        let router = Router::new().fallback(answer).with_state(script.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            url: format!("http://{address}/hook"),
            port: address.port(),
            script,
            answering,
            server,
        }
    }

    /// Takes requests and answers none until it does again.
    pub(crate) fn answer(&self, answering: bool) {
        self.answering.send_replace(answering);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.script.got.lock().unwrap().clone()
    }
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let path = request.uri().to_string();
    let headers = request.headers().iter().map(|(name, value)| {
        let value = value.to_str().unwrap().to_owned();
        (name.as_str().to_owned(), value)
    });
    let headers = headers.collect();
    let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
    script.got.lock().unwrap().push(Got {
        path,
        headers,
        body,
    });
    let mut answering = script.answering.clone();
    answering.wait_for(|answering| *answering).await.unwrap();
    let reply = script.replies.lock().unwrap().pop_front();
    let response = Response::builder();
    let response = match reply.unwrap_or(Reply::Say(204)) {
        Reply::Say(status) => response.status(status).body(Body::empty()),
        Reply::Rest(status, seconds) => response
            .status(status)
            .header(header::RETRY_AFTER, seconds)
            .body(Body::empty()),
        Reply::Redirect => response
            .status(StatusCode::TEMPORARY_REDIRECT)
            .header(header::LOCATION, "/elsewhere")
            .body(Body::empty()),
        Reply::Endless => {
            let begun = stream::once(async { Ok::<_, &str>(Bytes::from_static(b"thank")) });
            response.body(Body::from_stream(begun.chain(stream::pending())))
        }
    };
    response.unwrap()
}
