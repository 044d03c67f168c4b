//! Somebody else's server that repeats what it is told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use tokio::net::TcpListener;

/// A server that takes nothing and answers with everything that it was sent.
pub(super) struct Echo {
    pub(super) address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let router = Router::new().fallback(echo).with_state(Arc::clone(&asked));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked }
    }

    pub(super) fn asked(&self) -> String {
        self.asked.lock().unwrap().join("\n")
    }
}

async fn echo(
    State(asked): State<Arc<Mutex<Vec<String>>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let body = String::from_utf8_lossy(&body);
    let said = format!("{method} {uri} {headers:?} {body}");
    asked.lock().unwrap().push(said.clone());
    (StatusCode::INTERNAL_SERVER_ERROR, said)
}
