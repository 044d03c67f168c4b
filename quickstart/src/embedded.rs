//! The embedded broker: a Kafka-protocol broker ([nisshi-broker]) inside this process.
//!
//! Contract: when [`EmbeddedBroker::start`] returns, clients can connect to
//! [`EmbeddedBroker::bootstrap_servers`]; when [`EmbeddedBroker::stop`] returns, or the value was
//! dropped, nothing listens there any more. It serves loopback only, without TLS or
//! authentication, and keeps everything in memory: what it held is gone when it stops. It is
//! meant for trying the system out and for tests, not for production.
//!
//! The broker has a thread and a tokio runtime of its own. A client that blocks its thread until
//! the broker has answered, as a synchronous offset commit does, would otherwise keep the broker
//! from answering.
//!
//! Of its logs only warnings and errors are passed on, to the log subscriber that the thread that
//! starts the broker has at that moment: set up logging first.
//!
//! Stop the clients before the broker. A consumer that closes with a commit outstanding while its
//! broker is gone waits for its whole `session.timeout.ms`, 45 s by default.
//!
//! Linking the broker also links aws-lc, a second crypto provider beside ring. rustls cannot
//! choose between two, so a process that uses TLS for anything (SMTP, HTTP, a database) installs
//! one explicitly before its first connection; the embedded broker itself needs none.
//!
//! [nisshi-broker]: https://crates.io/crates/nisshi-broker

mod quiet;
mod server;
mod storage;

use std::io;
use std::net::Ipv4Addr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tracing::Dispatch;

use self::quiet::Quiet;
use self::server::Server;

/// How long a broker may take to listen; it takes milliseconds.
const START_DEADLINE: Duration = Duration::from_secs(10);
/// How long a stop waits for the broker's thread.
const STOP_DEADLINE: Duration = Duration::from_millis(1500);
/// How long the broker's thread waits for its runtime; less than [`STOP_DEADLINE`].
const RUNTIME_GRACE: Duration = Duration::from_secs(1);
/// Of the broker's thread and of the threads of its runtime.
const THREAD_NAME: &str = "embedded-broker";

/// Why the embedded broker did not start, or did not stop.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedBrokerError {
    /// Something else listens on the port that was asked for.
    #[error(
        "port {port} on 127.0.0.1 is already in use: stop what listens there or choose another port"
    )]
    PortInUse {
        /// The port that was asked for.
        port: u16,
    },
    /// The operating system refuses the port, or has no free one if it is 0.
    #[error("the embedded broker cannot listen on port {port} of 127.0.0.1")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The operating system did not give the broker its thread or its runtime.
    #[error("the embedded broker could not start its thread")]
    Thread(#[source] io::Error),
    /// The broker itself gave up.
    #[error("the embedded broker failed on port {port}")]
    Broker {
        /// The port it was to listen on.
        port: u16,
        /// What the broker said.
        #[source]
        source: Box<nisshi_broker::Error>,
    },
    /// The broker did not get ready in time.
    #[error("the embedded broker did not listen on port {port} within {} s", START_DEADLINE.as_secs())]
    NotReady {
        /// The port it was to listen on.
        port: u16,
    },
    /// The broker's thread did not end in time; it is left behind.
    #[error("the embedded broker on port {port} did not stop within {STOP_DEADLINE:?}")]
    StillRunning {
        /// The port it listens on.
        port: u16,
    },
}

/// A running embedded broker. Dropping it stops it.
#[derive(Debug)]
pub struct EmbeddedBroker {
    port: u16,
    bootstrap_servers: String,
    /// Asks the broker's thread to end, by a message or by being dropped.
    stop: Option<oneshot::Sender<()>>,
    /// Disconnects when the broker's thread has ended.
    ended: mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// Starts a broker with an empty log and a new cluster id on `127.0.0.1:port`, or on any free
    /// port if `port` is 0. Blocks until the broker accepts connections: milliseconds, at most
    /// 10 s.
    ///
    /// # Errors
    /// [`EmbeddedBrokerError::PortInUse`] if something listens on `port`; the other variants if
    /// the operating system refuses a port or a thread, or the broker does not get ready.
    pub fn start(port: u16) -> Result<Self, EmbeddedBrokerError> {
        let (stop, stopped) = oneshot::channel();
        let (ready_sender, ready) = mpsc::channel();
        let (ended_sender, ended) = mpsc::channel();
        let logs = Quiet::dispatch();
        let thread = thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || {
                Quiet::install(&logs);
                run(port, &ready_sender, stopped, logs);
                drop(ended_sender);
            })
            .map_err(EmbeddedBrokerError::Thread)?;
        let port = ready
            .recv_timeout(START_DEADLINE)
            .unwrap_or(Err(EmbeddedBrokerError::NotReady { port }))?;
        Ok(Self {
            port,
            bootstrap_servers: format!("{}:{port}", Ipv4Addr::LOCALHOST),
            stop: Some(stop),
            ended,
            thread: Some(thread),
        })
    }

    /// What a Kafka client sets as `bootstrap.servers`, for example `127.0.0.1:9092`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// The port the broker listens on, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes the listener and every connection and waits for the broker's thread, at most 1.5 s.
    /// Records, groups and offsets are gone. Clients see a broker that is down.
    ///
    /// # Errors
    /// [`EmbeddedBrokerError::StillRunning`] if the thread did not end in time.
    pub fn stop(mut self) -> Result<(), EmbeddedBrokerError> {
        self.stop_and_wait()
    }

    fn stop_and_wait(&mut self) -> Result<(), EmbeddedBrokerError> {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        match self.ended.recv_timeout(STOP_DEADLINE) {
            Err(RecvTimeoutError::Timeout) => {
                Err(EmbeddedBrokerError::StillRunning { port: self.port })
            }
            // Joining cannot wait: the thread has nothing left to do.
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                if thread.join().is_err() {
                    tracing::error!(port = self.port, "The embedded broker's thread panicked.");
                }
                Ok(())
            }
        }
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        if let Err(error) = self.stop_and_wait() {
            tracing::warn!(%error, "The embedded broker was left behind.");
        }
    }
}

type Ready = mpsc::Sender<Result<u16, EmbeddedBrokerError>>;

/// The whole life of the broker's thread.
fn run(port: u16, ready: &Ready, stopped: oneshot::Receiver<()>, logs: Dispatch) {
    let runtime = match Builder::new_multi_thread()
        .thread_name(THREAD_NAME)
        .on_thread_start(move || Quiet::install(&logs))
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            // Nobody waits any more if `start` ran into its deadline.
            ready.send(Err(EmbeddedBrokerError::Thread(error))).ok();
            return;
        }
    };
    runtime.block_on(async {
        let server = match Server::bind(port).await {
            Ok(server) => server,
            Err(error) => {
                ready.send(Err(error)).ok();
                return;
            }
        };
        ready.send(Ok(server.port())).ok();
        tokio::select! {
            () = server.serve() => {}
            // Either a message or the sender was dropped: both mean stop.
            _ = stopped => {}
        }
    });
    runtime.shutdown_timeout(RUNTIME_GRACE);
}
