//! Ports: which one each part listens on, and what to do when it is taken.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::arguments::Arguments;

/// A part of the system that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// What listens.
    pub part: &'static str,
    /// The option that changes it.
    pub option: &'static str,
    /// Its number; 0 is any free one.
    pub number: u16,
}

/// The ports of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The order service's.
    pub order: Port,
    /// The stock service's.
    pub stock: Port,
    /// The email service's.
    pub email: Port,
    /// The payment service's.
    pub payment: Port,
    /// The shipping service's.
    pub shipping: Port,
    /// The webhook service's.
    pub webhook: Port,
    /// The embedded broker's.
    pub kafka: Port,
}

/// A port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "port {number} of the {part} cannot be used: stop what listens there, or choose another with {option} PORT"
)]
pub struct PortError {
    part: &'static str,
    option: &'static str,
    number: u16,
    source: io::Error,
}

impl Ports {
    /// Any free ports: for tests and benchmarks.
    #[must_use]
    pub fn any() -> Self {
        Self::from_arguments(&Arguments {
            once: true,
            ..Arguments::default()
        })
    }

    /// What the command line says; otherwise the documented ports, or any for a single run.
    #[must_use]
    pub fn from_arguments(arguments: &Arguments) -> Self {
        let port = |part, option, chosen: Option<u16>, documented| Port {
            part,
            option,
            number: chosen.unwrap_or(if arguments.once { 0 } else { documented }),
        };
        Self {
            order: port("order service", "--order-port", arguments.order_port, 8080),
            stock: port("stock service", "--stock-port", arguments.stock_port, 8081),
            email: port("email service", "--email-port", arguments.email_port, 8082),
            payment: port(
                "payment service",
                "--payment-port",
                arguments.payment_port,
                8083,
            ),
            shipping: port(
                "shipping service",
                "--shipping-port",
                arguments.shipping_port,
                8084,
            ),
            webhook: port(
                "webhook service",
                "--webhook-port",
                arguments.webhook_port,
                8085,
            ),
            kafka: port(
                "embedded broker",
                "--kafka-port",
                arguments.kafka_port,
                9092,
            ),
        }
    }
}

impl Port {
    /// Listens on it, on 127.0.0.1 only.
    ///
    /// # Errors
    /// It is taken, or may not be used.
    pub async fn listen(self) -> Result<TcpListener, PortError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.number));
        TcpListener::bind(address)
            .await
            .map_err(|source| PortError {
                part: self.part,
                option: self.option,
                number: self.number,
                source,
            })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn a_demo_that_runs_on_uses_the_documented_ports() {
        let ports = Ports::from_arguments(&Arguments::parse_from(["quickstart"]));
        assert_eq!(
            (
                ports.order.number,
                ports.stock.number,
                ports.email.number,
                ports.payment.number,
                ports.shipping.number,
                ports.webhook.number,
                ports.kafka.number
            ),
            (8080, 8081, 8082, 8083, 8084, 8085, 9092)
        );
    }

    #[test]
    fn a_chosen_port_wins_also_for_a_single_run() {
        let arguments = Arguments::parse_from(["quickstart", "--once", "--stock-port", "18081"]);
        let ports = Ports::from_arguments(&arguments);
        assert_eq!((ports.order.number, ports.stock.number), (0, 18081));
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_option_that_changes_it() {
        let taken = Ports::any().order.listen().await.unwrap();
        let number = taken.local_addr().unwrap().port();
        let port = Port {
            number,
            ..Ports::any().order
        };
        let error = port.listen().await.unwrap_err().to_string();
        assert!(
            error.contains(&format!("port {number} of the order service")),
            "{error}"
        );
        assert!(error.contains("--order-port PORT"), "{error}");
    }
}
