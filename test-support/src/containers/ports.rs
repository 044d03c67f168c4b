//! Ports of this machine for containers that are started again.

use std::net::{Ipv4Addr, TcpListener};

use testcontainers_modules::testcontainers::bollard::models::{HostConfig, PortBinding};
use testcontainers_modules::testcontainers::core::IntoContainerPort;
use uuid::Uuid;

/// Below the ports that systems give to clients: nobody takes one while its container is stopped.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 10_000;
/// Those of `scripts/smoke`, which may begin while a container here is stopped.
const OF_OTHERS: [u16; 5] = [28_025, 28_080, 28_081, 28_082, 29_092];

/// So many ports that nobody listens on, from a random place on: others look for some as well.
pub(super) fn free(count: usize) -> Result<Vec<u16>, String> {
    let (_, random, ..) = Uuid::new_v4().as_fields();
    let ports: Vec<u16> = (0..PORTS)
        .map(|n| FIRST_PORT + (random % PORTS + n) % PORTS)
        .filter(|port| !OF_OTHERS.contains(port))
        .filter(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok())
        .take(count)
        .collect();
    match ports.len() == count {
        true => Ok(ports),
        false => Err("there are not enough free ports".to_owned()),
    }
}

/// Starts again, once, where somebody took a port between the look and the start.
pub(super) fn or_with_others<T>(start: impl Fn() -> Result<T, String>) -> Result<T, String> {
    start().or_else(|error| match is_conflict(&error) {
        true => start(),
        false => Err(error),
    })
}

/// As Docker and Podman say it.
fn is_conflict(error: &str) -> bool {
    ["port is already allocated", "address already in use"]
        .iter()
        .any(|taken| error.contains(taken))
}

/// Publishes ports of a container, each on a port of this machine and only for this machine.
pub(super) fn publish(host: &mut HostConfig, ports: &[(u16, u16)]) {
    let bindings = ports.iter().map(|(port, fixed)| {
        let binding = PortBinding {
            host_ip: Some(Ipv4Addr::LOCALHOST.to_string()),
            host_port: Some(fixed.to_string()),
        };
        (port.tcp().to_string(), Some(vec![binding]))
    });
    host.publish_all_ports = Some(false);
    host.port_bindings = Some(bindings.collect());
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_ports_are_different_free_and_nobody_elses() {
        // Nearly all of them: the smoke test's would be among them, wherever it begins.
        let mut ports = free(9_900).unwrap();
        for port in &ports {
            assert!((FIRST_PORT..FIRST_PORT + PORTS).contains(port), "{port}");
            assert!(!OF_OTHERS.contains(port), "{port}");
        }
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 9_900);
    }

    #[test]
    fn a_start_is_tried_once_more_where_a_port_was_taken_and_only_then() {
        let tries = |error: &str| {
            let tries = Cell::new(0);
            let failed = or_with_others(|| {
                tries.set(tries.get() + 1);
                Err::<(), _>(error.to_owned())
            });
            assert_eq!(failed.unwrap_err(), error);
            tries.get()
        };
        let docker = "Bind for 127.0.0.1:20000 failed: port is already allocated";
        let kernel = "listen tcp4 127.0.0.1:20000: bind: address already in use";
        assert_eq!([docker, kernel, "no such image"].map(tries), [2, 2, 1]);
    }
}
