//! The broker of the suite, chosen by `TEST_KAFKA`.

use std::fmt;
use std::sync::OnceLock;

use quickstart::embedded::EmbeddedBroker;
use test_support::containers::{self, Kafka};

use crate::shared::Shared;

/// What the suite runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// One embedded broker for the whole test process; where it was not asked for, with the reason.
    Embedded {
        /// Why there is no Kafka.
        instead: Option<String>,
    },
    /// Containers for the whole test process: a Kafka, and beside it a PostgreSQL and a Mailpit.
    Container,
    /// A broker that runs already.
    Given(String),
}

/// A broker that ends with the test process.
#[derive(Debug)]
enum Owned {
    Embedded(EmbeddedBroker),
    Container(Box<Kafka>),
}

static OWNED: Shared<Owned> = Shared::new();

/// The choice, from the environment; nothing starts yet.
///
/// # Errors
/// `TEST_KAFKA` is none of `embedded`, `testcontainers` and `HOST:PORT`, or it asks for a container and no
/// engine answers: an explicit value never falls back.
pub fn choose() -> Result<&'static Choice, &'static str> {
    static CHOICE: OnceLock<Result<Choice, String>> = OnceLock::new();
    let choice = CHOICE.get_or_init(|| choice_of(std::env::var("TEST_KAFKA").ok().as_deref()));
    choice.as_ref().map_err(String::as_str)
}

fn choice_of(given: Option<&str>) -> Result<Choice, String> {
    match given {
        None | Some("") => Ok(match containers::engine() {
            Ok(()) => Choice::Container,
            Err(reason) => Choice::Embedded {
                instead: Some(reason),
            },
        }),
        Some("embedded") => Ok(Choice::Embedded { instead: None }),
        Some("testcontainers") => containers::engine()
            .map(|()| Choice::Container)
            .map_err(|reason| format!("TEST_KAFKA is `testcontainers`, but {reason}")),
        Some(servers) => {
            let port = servers
                .rsplit_once(':')
                .map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(_))) {
                return Err(format!(
                    "TEST_KAFKA is `{servers}`: it has to be `embedded`, `testcontainers` or HOST:PORT"
                ));
            }
            Ok(Choice::Given(servers.to_owned()))
        }
    }
}

/// What a test [needs](test_support::Test::needs) that has servers in containers of its own.
///
/// # Errors
/// Why there are none.
pub fn containers() -> Result<(), String> {
    match choose()? {
        Choice::Container => Ok(()),
        Choice::Embedded {
            instead: Some(reason),
        } => Err(reason.clone()),
        Choice::Embedded { instead: None } => Err(without_containers("embedded")),
        Choice::Given(servers) => Err(without_containers(servers)),
    }
}

fn without_containers(choice: &str) -> String {
    format!("TEST_KAFKA is `{choice}`, which does without containers")
}

/// Bootstrap servers of the suite's broker, which starts with the first test that asks.
///
/// # Panics
/// The broker does not start.
pub fn bootstrap_servers() -> String {
    let choice = choose().expect("a usable TEST_KAFKA");
    if let Choice::Given(servers) = choice {
        return servers.clone();
    }
    let start = || match choice {
        Choice::Container => {
            Owned::Container(Box::new(Kafka::start().expect("a Kafka in a container")))
        }
        _ => Owned::Embedded(EmbeddedBroker::start(0).expect("the embedded broker")),
    };
    OWNED.with(start, |owned| owned.bootstrap_servers().to_owned())
}

/// Ends the suite's broker and removes its container.
pub(crate) fn end() {
    OWNED.end();
}

impl Owned {
    fn bootstrap_servers(&self) -> &str {
        match self {
            Self::Embedded(broker) => broker.bootstrap_servers(),
            Self::Container(kafka) => kafka.bootstrap_servers(),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded { instead: None } => {
                write!(
                    formatter,
                    "The black-box tests run on the embedded broker, SQLite and mail files."
                )
            }
            Self::Embedded {
                instead: Some(reason),
            } => write!(
                formatter,
                "The black-box tests run on the embedded broker, SQLite and mail files: {reason}."
            ),
            Self::Container => write!(
                formatter,
                "The black-box tests run on testcontainers: an Apache Kafka, a PostgreSQL and a Mailpit of \
                 their own."
            ),
            Self::Given(servers) => {
                write!(
                    formatter,
                    "The black-box tests run on the Kafka at {servers}, SQLite and mail files."
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explicit_choice_is_taken_as_it_is() {
        assert_eq!(
            choice_of(Some("embedded")),
            Ok(Choice::Embedded { instead: None })
        );
        assert_eq!(
            choice_of(Some("localhost:9092")),
            Ok(Choice::Given("localhost:9092".to_owned()))
        );
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for given in ["embeded", "localhost", "localhost:kafka", "localhost:99999"] {
            let refusal = choice_of(Some(given)).unwrap_err();
            assert!(refusal.contains("TEST_KAFKA"), "{refusal}");
            assert!(refusal.contains(given), "{refusal}");
        }
    }
}
