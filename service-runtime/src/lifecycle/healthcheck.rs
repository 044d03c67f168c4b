//! Asks the service that runs in the same container how it is.
//!
//! For images without a shell or curl: the engine runs the service's own program again. It asks for
//! readiness by default, since what waits for a healthy container (`docker compose up --wait`,
//! `depends_on`) wants to use it; compose restarts nothing that is unhealthy. What does restart
//! unhealthy processes should ask for liveness: a broker that is down is no reason for a restart.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use serde::Deserialize;

use crate::http::HttpConfig;

/// For connecting, and for the answer; below the timeouts that engines usually give a check.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Far more than a health report has.
const MAX_ANSWER: u64 = 64 * 1024;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Ready,
    Live,
}

impl Probe {
    fn path(self) -> &'static str {
        match self {
            Self::Ready => "/health/ready",
            Self::Live => "/health/live",
        }
    }
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unhealthy {
    #[error("HTTP_PORT is 0: the port is not known")]
    UnknownPort,
    #[error("{address} does not answer: {source}")]
    NoAnswer {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("{address} answers with something else than a health report")]
    Strange { address: SocketAddr },
    #[error("{0}")]
    Reported(String),
}

/// The body of the health endpoints; the other fields are not needed here.
#[derive(Deserialize)]
struct Report {
    status: String,
    components: BTreeMap<String, Component>,
}

#[derive(Deserialize)]
struct Component {
    reason: Option<String>,
}

/// Asks the service that was started with the same settings; one line says how it is.
pub(super) fn check(http: &HttpConfig, probe: Probe) -> Result<String, Unhealthy> {
    if http.port == 0 {
        return Err(Unhealthy::UnknownPort);
    }
    let address = SocketAddr::new(reachable(http.address), http.port);
    let answer =
        ask(address, probe.path()).map_err(|source| Unhealthy::NoAnswer { address, source })?;
    let (ok, report) = parse(&answer).ok_or(Unhealthy::Strange { address })?;
    match ok {
        true => Ok(report.status),
        false => Err(Unhealthy::Reported(report.in_one_line())),
    }
}

/// Whoever listens on all addresses listens on the loopback address.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // In one write: who answers before reading all of it would reset the connection.
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Whether the status is 200, and the report.
fn parse(answer: &str) -> Option<(bool, Report)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?;
    let report = serde_json::from_str(body).ok()?;
    Some((status == "200", report))
}

impl Report {
    fn in_one_line(&self) -> String {
        let reasons = self.components.iter().filter_map(|(name, component)| {
            let reason = component.reason.as_ref()?;
            Some(format!("{name}: {reason}").replace(char::is_control, " "))
        });
        let parts: Vec<String> = std::iter::once(self.status.clone())
            .chain(reasons)
            .collect();
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::{
        health::Health,
        http::{ServiceInfo, router, serve},
        lifecycle::Shutdown,
    };

    fn config(port: u16) -> HttpConfig {
        HttpConfig {
            port,
            ..HttpConfig::default()
        }
    }

    /// A real server with the real endpoints.
    async fn server(health: &Health, shutdown: &Shutdown) -> HttpConfig {
        const INFO: ServiceInfo = ServiceInfo {
            name: "checked",
            version: "1.0.0",
            description: "checked",
        };
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.unwrap();
        let config = config(listener.local_addr().unwrap().port());
        let routes = utoipa_axum::router::OpenApiRouter::new();
        let router = router(INFO, routes, health, &config);
        let (served, until) = (config.clone(), shutdown.clone());
        tokio::spawn(async move { serve(listener, router, &served, until).await });
        config
    }

    async fn checked(http: &HttpConfig, probe: Probe) -> Result<String, String> {
        let http = http.clone();
        let checked = tokio::task::spawn_blocking(move || check(&http, probe)).await;
        checked.unwrap().map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn readiness_is_reported_with_its_reasons_and_liveness_apart_from_it() {
        let shutdown = Shutdown::new();
        let health = Health::new(&shutdown);
        let database = health.component("database");
        let consumer = health.component("consumer of stock");
        let http = server(&health, &shutdown).await;
        database.set_not_ready("database: no\nanswer");
        assert_eq!(
            checked(&http, Probe::Ready).await.unwrap_err(),
            "not ready; consumer of stock: starting; database: database: no answer"
        );
        assert_eq!(checked(&http, Probe::Live).await.unwrap(), "live");
        database.set_ready();
        consumer.set_ready();
        assert_eq!(checked(&http, Probe::Ready).await.unwrap(), "ready");
        shutdown.trigger();
    }

    #[test]
    fn nobody_listening_is_told_with_the_address() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = check(&config(port), Probe::Ready).unwrap_err().to_string();
        let start = format!("127.0.0.1:{port} does not answer: ");
        assert!(error.starts_with(&start), "{error}");
        let error = check(&config(0), Probe::Ready).unwrap_err();
        assert!(matches!(error, Unhealthy::UnknownPort), "{error}");
    }

    #[test]
    fn a_server_that_is_silent_or_strange_is_unhealthy() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let http = config(listener.local_addr().unwrap().port());
        // Accepted by the system, answered by nobody.
        let error = check(&http, Probe::Live).unwrap_err();
        assert!(matches!(error, Unhealthy::NoAnswer { .. }), "{error}");

        let strange = std::thread::spawn(move || {
            // The first one is the connection of the silent part.
            for stream in listener.incoming().take(2) {
                let mut stream = stream.unwrap();
                let mut head = [0; 1024];
                let read = stream.read(&mut head).unwrap();
                assert!(read > 0, "no request");
                let written = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello");
                drop(written);
            }
        });
        let error = check(&http, Probe::Live).unwrap_err();
        assert!(matches!(error, Unhealthy::Strange { .. }), "{error}");
        strange.join().unwrap();
    }

    #[test]
    fn every_address_is_asked_where_it_can_be_reached() {
        for (listens, asked) in [
            ("0.0.0.0", "127.0.0.1"),
            ("::", "::1"),
            ("192.0.2.7", "192.0.2.7"),
        ] {
            let listens: IpAddr = listens.parse().unwrap();
            assert_eq!(reachable(listens).to_string(), asked);
        }
    }
}
