//! Ports of this machine for containers that are started again.

use std::net::{Ipv4Addr, TcpListener};

use uuid::Uuid;

/// Below the ports that systems give to clients: nobody takes one while its container is stopped.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 10_000;

/// So many ports that nobody listens on, from a random place on: others look for some as well.
pub(super) fn free(count: usize) -> Result<Vec<u16>, String> {
    let (_, random, ..) = Uuid::new_v4().as_fields();
    let ports: Vec<u16> = (0..PORTS)
        .map(|n| FIRST_PORT + (random % PORTS + n) % PORTS)
        .filter(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok())
        .take(count)
        .collect();
    match ports.len() == count {
        true => Ok(ports),
        false => Err("there are not enough free ports".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_are_different_free_and_below_those_of_clients() {
        let mut ports = free(3).unwrap();
        for port in &ports {
            assert!((FIRST_PORT..FIRST_PORT + PORTS).contains(port), "{port}");
        }
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 3);
    }
}
