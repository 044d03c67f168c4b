//! Settings of the HTTP server.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use crate::config::Reader;

/// Where to listen and how much to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Address to listen on.
    pub address: IpAddr,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// How long a client may take to send a request's head, and how long a connection may idle.
    pub header_timeout: Duration,
    /// How long a client may take to accept more of its answer.
    pub write_timeout: Duration,
    /// How long a client may take to accept all of an answer, however steadily it reads, and of those to requests that it sent
    /// ahead of it; live streams (Server-Sent Events) have no such end.
    pub answer_timeout: Duration,
    /// How long a request's body may take to arrive, and then how long until the answer begins.
    pub request_timeout: Duration,
    /// How long begun requests may take after the shutdown.
    pub drain_timeout: Duration,
    /// Largest request body in bytes.
    pub max_body: usize,
    /// Most connections at a time. Above, those that have rested longest give way; where all are at work, the next
    /// answers end their connections, and new ones wait for that in the system's queue.
    pub max_connections: usize,
    /// Most requests at a time; more are answered with 503 at once.
    pub max_in_flight: usize,
}

impl Default for HttpConfig {
    /// All interfaces: in a container, where these services usually run, a loopback address could
    /// be reached by nobody. Set `HTTP_ADDRESS` to narrow it.
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 0,
            header_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            // The largest answer, the script of the docs page with its 1.4 MB, gets through at 100 kbit/s.
            answer_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            max_body: 64 * 1024,
            max_connections: 1024,
            max_in_flight: 512,
        }
    }
}

impl HttpConfig {
    /// Reads the settings whose names begin with `HTTP_`; each service has its own default port.
    pub fn read(reader: &mut Reader, port: u16) -> Self {
        let default = Self::default();
        let wait = Duration::from_millis(1)..=Duration::from_secs(3600);
        Self {
            address: reader.get(
                "HTTP_ADDRESS",
                default.address,
                "Address the HTTP server listens on; 127.0.0.1 for this machine only",
            ),
            port: reader.get("HTTP_PORT", port, "Port the HTTP server listens on"),
            header_timeout: reader.duration_in(
                "HTTP_HEADER_TIMEOUT",
                default.header_timeout,
                wait.clone(),
                "How long a client may take to send a request's head, or to idle",
            ),
            write_timeout: reader.duration_in(
                "HTTP_WRITE_TIMEOUT",
                default.write_timeout,
                wait.clone(),
                "How long a client may take to accept more of its answer; then it is cut off",
            ),
            answer_timeout: reader.duration_in(
                "HTTP_ANSWER_TIMEOUT",
                default.answer_timeout,
                wait.clone(),
                "How long a client may take to accept all of an answer; live streams have no end",
            ),
            request_timeout: reader.duration_in(
                "HTTP_REQUEST_TIMEOUT",
                default.request_timeout,
                wait,
                "How long a request's body may take, then how long until it is answered with 503",
            ),
            drain_timeout: reader.duration(
                "HTTP_DRAIN_TIMEOUT",
                default.drain_timeout,
                "How long begun requests may take after the shutdown; below SHUTDOWN_TIMEOUT",
            ),
            max_body: reader.get_in(
                "HTTP_MAX_BODY",
                default.max_body,
                1..=usize::MAX,
                "Largest request body in bytes",
            ),
            // The upper bounds keep both below what a tokio semaphore holds.
            max_connections: reader.get_in(
                "HTTP_MAX_CONNECTIONS",
                default.max_connections,
                1..=1_000_000,
                "Most connections at a time; above, the longest idle ones give way",
            ),
            max_in_flight: reader.get_in(
                "HTTP_MAX_IN_FLIGHT",
                default.max_in_flight,
                1..=1_000_000,
                "Most requests at a time; more are answered with 503 at once",
            ),
        }
    }
}
