//! A process that may open fewer files than it has places: connections give way all the same.

use std::{
    env,
    future::pending,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use service_runtime::{
    http::HttpConfig,
    telemetry::{self, LogConfig},
};

use crate::support::{Client, DEADLINE, Server};

/// Set for the process that is the server.
const IS_SERVER: &str = "TEST_SERVER_WITH_FEW_FILES";
const FILES: usize = 64;

/// Ends the process with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The test of this name again, as a server in a process of its own that may open few files; with what it logs.
fn start(name: &str) -> (Process, SocketAddr, BufReader<ChildStdout>) {
    let script = format!(r#"ulimit -n {FILES} && exec "$0" "$@""#);
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .arg(env::current_exe().unwrap())
        .args(["--exact", &format!("descriptors::{name}"), "--nocapture"])
        .env(IS_SERVER, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let logs = BufReader::new(child.stdout.take().unwrap());
    let process = Process(child);
    let address = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("address ")?.parse().ok());
    (process, address.unwrap(), logs)
}

/// What the process does that a test has started.
async fn serve_if_server() {
    if env::var_os(IS_SERVER).is_some() {
        telemetry::init(&LogConfig::default());
        let server = Server::start(HttpConfig {
            header_timeout: Duration::from_secs(300),
            ..HttpConfig::default()
        })
        .await;
        eprintln!("address {}", server.address);
        pending::<()>().await;
    }
}

#[tokio::test]
async fn fewer_files_than_places_are_logged_at_the_start_with_both_numbers() {
    serve_if_server().await;
    let (_process, _, logs) =
        start("fewer_files_than_places_are_logged_at_the_start_with_both_numbers");
    let lines = logs.lines().map_while(Result::ok);
    let warning = lines
        .take_while(|line| !line.contains("Listening."))
        .find(|line| line.contains("HTTP_MAX_CONNECTIONS"))
        .unwrap();
    assert!(warning.contains("WARN"), "{warning}");
    assert!(warning.contains("files=64"), "{warning}");
    assert!(warning.contains("connections=1024"), "{warning}");
}

#[tokio::test]
async fn where_the_system_has_no_descriptor_left_idle_connections_give_way() {
    serve_if_server().await;
    let (_process, address, _logs) =
        start("where_the_system_has_no_descriptor_left_idle_connections_give_way");
    let mut idle = Vec::new();
    for _ in 0..FILES + 16 {
        idle.push(Client::connect(address).await);
    }
    let start = Instant::now();
    let mut served = Vec::new();
    for _ in 0..10 {
        let mut client = Client::connect(address).await;
        client.get("/items/1").await;
        assert_eq!(client.answer().await.status, 200);
        served.push(client);
    }
    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
    for client in &mut idle[..16] {
        assert_eq!(client.closed().await, b"");
    }
}
