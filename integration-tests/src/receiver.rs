//! A receiver of webhooks.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base_domains::{OrderId, OrderStatus};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::history::{MAILED, Told, Webhook};
use crate::system::System;
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

/// A receiver that is registered for all that mail tells of too.
#[derive(Debug)]
pub struct Registered {
    receiver: Receiver,
    id: Uuid,
}

impl Registered {
    /// Starts a receiver and registers it.
    ///
    /// # Panics
    /// The webhook service does not take it.
    pub async fn with(system: &System) -> Self {
        let receiver = Receiver::start(0).await;
        let states = MAILED.map(OrderStatus::as_str);
        let body = json!({"url": receiver.url(), "states": states});
        let answer = system.webhook.post("/api/v1/webhooks", &body, &[]);
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status, 201, "{}", answer.text);
        let id = answer.member("id").parse().expect("the id of a webhook");
        Self { receiver, id }
    }

    /// The registration, and what was told by now.
    #[must_use]
    pub fn webhook(&self) -> Webhook {
        let told = self.receiver.all();
        Webhook {
            id: self.id,
            states: MAILED.to_vec(),
            told: told.iter().map(Told::from).collect(),
        }
    }
}

impl From<&Notified> for Told {
    fn from(notified: &Notified) -> Self {
        let body = notified.json();
        let text = |name: &str| body["data"][name].as_str().expect("a text").to_owned();
        let order_id: Result<OrderId, _> = text("orderId").parse();
        let status: Result<OrderStatus, _> = text("status").parse();
        Self {
            id: notified.id.clone(),
            order_id: order_id.expect("the id of an order"),
            status: status.expect("a status"),
        }
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
