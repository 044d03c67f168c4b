//! The broker of the suite, chosen by `TEST_KAFKA`.

use std::sync::{Mutex, OnceLock};

use quickstart::embedded::EmbeddedBroker;

/// What `TEST_KAFKA` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// One embedded broker for the whole test process.
    Embedded,
    /// A broker that runs already.
    Given(String),
}

/// The choice, from the environment.
///
/// # Panics
/// `TEST_KAFKA` is neither `embedded` nor `HOST:PORT`: an explicit value never falls back.
#[must_use]
pub fn choice() -> Choice {
    match std::env::var("TEST_KAFKA").as_deref() {
        Err(_) | Ok("" | "embedded") => Choice::Embedded,
        Ok(given) => {
            let port = given.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            assert!(
                matches!(port, Some(Ok(_))),
                "TEST_KAFKA is `{given}`: it has to be `embedded` or HOST:PORT"
            );
            Choice::Given(given.to_owned())
        }
    }
}

/// Bootstrap servers of the suite's broker.
///
/// # Panics
/// The embedded broker does not start.
pub fn bootstrap_servers() -> &'static str {
    // A static is never dropped: the broker lives as long as the process, and no longer.
    static EMBEDDED: OnceLock<(String, Mutex<EmbeddedBroker>)> = OnceLock::new();
    static GIVEN: OnceLock<String> = OnceLock::new();
    match choice() {
        Choice::Embedded => {
            let (servers, _) = EMBEDDED.get_or_init(|| {
                let broker = EmbeddedBroker::start(0).expect("the embedded broker starts");
                println!("The black-box tests run on the embedded broker.");
                (broker.bootstrap_servers().to_owned(), Mutex::new(broker))
            });
            servers
        }
        Choice::Given(servers) => GIVEN.get_or_init(|| {
            println!("The black-box tests run on the Kafka at {servers}.");
            servers
        }),
    }
}
