//! A receiver of webhooks.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::wait::eventually;

/// One request.
#[derive(Debug, Clone)]
pub struct Notified {
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`.
    pub timestamp: String,
    /// `webhook-signature`.
    pub signature: String,
    /// The body, byte for byte.
    pub body: String,
}

impl Notified {
    /// The body as JSON.
    ///
    /// # Panics
    /// It is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A server that keeps what it is told. Dropping it ends it.
#[derive(Debug)]
pub struct Receiver {
    url: String,
    shared: Shared,
    server: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Shared {
    all: Arc<Mutex<Vec<Notified>>>,
    refused: Arc<Mutex<usize>>,
}

impl Receiver {
    /// A receiver that answers 503 to the first requests, so many, and 204 to all others.
    ///
    /// # Panics
    /// It cannot listen.
    pub async fn start(refused: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/orders", listener.local_addr().unwrap());
        let shared = Shared::default();
        *shared.refused.lock().unwrap() = refused;
        let router = Router::new()
            .route("/orders", post(take))
            .with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            shared,
            server,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All requests so far.
    ///
    /// # Panics
    /// Another test panicked in it.
    #[must_use]
    pub fn all(&self) -> Vec<Notified> {
        self.shared.all.lock().unwrap().clone()
    }

    /// The requests, once there are so many.
    ///
    /// # Panics
    /// It does not come to that.
    pub async fn told(&self, requests: usize) -> Vec<Notified> {
        eventually("webhook", || async {
            let all = self.all();
            (all.len() >= requests).then_some(all)
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    shared.all.lock().unwrap().push(Notified {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let mut refused = shared.refused.lock().unwrap();
    match *refused {
        0 => StatusCode::NO_CONTENT,
        _ => {
            *refused -= 1;
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}
