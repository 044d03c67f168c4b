//! Runs the program, and answers its requests as a script says.

use std::collections::VecDeque;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use tokio::net::TcpListener;

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The documents on stdout.
    pub(crate) fn documents(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The only document on stdout.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        let documents = self.documents();
        assert_eq!(documents.len(), 1, "{self:?}");
        documents[0].clone()
    }
}

pub(crate) fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderctl"));
    command
        .env_clear()
        .env("USER", "ann")
        .envs(environment.iter().copied())
        .args(["--timeout", "20s"])
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// Runs `orderctl` with exactly this environment.
pub(crate) async fn orderctl(arguments: &[&str], environment: &[(&str, &str)]) -> Run {
    let mut command = command(arguments, environment);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    Run {
        code: output.status.code().expect("no signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// Method, path and query.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    /// `null` when there is none.
    pub(crate) body: Value,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(value)
    }
}

/// What is answered: status, media type, body.
type Answer = (u16, &'static str, String);

#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A server that gives one answer after the other, and 500 when there is none left.
pub(crate) struct Server {
    pub(crate) url: String,
    script: Script,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Script::default();
        let router = Router::new().fallback(answer).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, script }
    }

    /// One that answers with this JSON.
    pub(crate) async fn answering(status: u16, body: Value) -> Self {
        let server = Self::start().await;
        server.then(status, body);
        server
    }

    pub(crate) fn then(&self, status: u16, body: Value) {
        let kind = match status {
            200..300 => "application/json",
            _ => "application/problem+json",
        };
        self.then_text(status, kind, &body.to_string());
    }

    pub(crate) fn then_text(&self, status: u16, kind: &'static str, body: &str) {
        let mut answers = self.script.answers.lock().unwrap();
        answers.push_back((status, kind, body.to_owned()));
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let headers = request.headers().iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
    script.asked.lock().unwrap().push(Asked {
        line,
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    });
    let next = script.answers.lock().unwrap().pop_front();
    let (status, kind, body) =
        next.unwrap_or_else(|| (500, "text/plain", "no answer left".to_owned()));
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
    response
}
