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

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nisshi_broker::broker::Broker;
use nisshi_broker::coordinator::group::administrator::{Controller, GroupCoordinatorConfig};
use nisshi_storage::ArcDynStorage;
use reqwest::Url;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::{self, Instant};
use tracing::Dispatch;
use uuid::Uuid;

use self::quiet::Quiet;

/// How long a broker may take to listen; it takes milliseconds.
const START_DEADLINE: Duration = Duration::from_secs(10);
/// How long a stop waits for the broker's thread.
const STOP_DEADLINE: Duration = Duration::from_millis(1500);
/// How long the broker's thread waits for its runtime; less than [`STOP_DEADLINE`].
const RUNTIME_GRACE: Duration = Duration::from_secs(1);
/// Between two attempts to connect to a broker that does not listen yet.
const CONNECT_PAUSE: Duration = Duration::from_millis(5);
/// How often a free port may be snatched by somebody else before `start` gives up.
const FREE_PORT_ATTEMPTS: usize = 5;
/// Of the broker's thread and of the threads of its runtime.
const THREAD_NAME: &str = "embedded-broker";
/// The only node of the cluster.
const NODE_ID: i32 = 1;

type KafkaBroker = Broker<Controller<ArcDynStorage>, ArcDynStorage>;

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
    /// The operating system did not give a free port.
    #[error("no free port on 127.0.0.1 for the embedded broker")]
    NoFreePort(#[source] io::Error),
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
        if port != 0 {
            return Self::start_on(port);
        }
        // The broker must advertise its port before it binds it, so a free one is looked up
        // first, and another process may be faster.
        let mut result = Self::start_on(free_port()?);
        for _ in 1..FREE_PORT_ATTEMPTS {
            if !matches!(result, Err(EmbeddedBrokerError::PortInUse { .. })) {
                break;
            }
            result = Self::start_on(free_port()?);
        }
        result
    }

    fn start_on(port: u16) -> Result<Self, EmbeddedBrokerError> {
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
        let broker = Self {
            port,
            bootstrap_servers: format!("{}:{port}", Ipv4Addr::LOCALHOST),
            stop: Some(stop),
            ended,
            thread: Some(thread),
        };
        match ready.recv_timeout(START_DEADLINE) {
            Ok(Ok(())) => Ok(broker),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(EmbeddedBrokerError::NotReady { port }),
        }
    }

    /// What a Kafka client sets as `bootstrap.servers`, for example `127.0.0.1:9092`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// The port the broker listens on, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes the listener and every connection and waits for the broker's thread, at most 5 s.
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

fn free_port() -> Result<u16, EmbeddedBrokerError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(EmbeddedBrokerError::NoFreePort)
}

type Ready = mpsc::Sender<Result<(), EmbeddedBrokerError>>;

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
        tokio::select! {
            result = serve(port, ready) => {
                if let Err(error) = result {
                    ready.send(Err(error)).ok();
                }
            }
            // Either a message or the sender was dropped: both mean stop.
            _ = stopped => {}
        }
    });
    runtime.shutdown_timeout(RUNTIME_GRACE);
}

/// Serves until it fails or is dropped, and says through `ready` when it accepts connections.
async fn serve(port: u16, ready: &Ready) -> Result<(), EmbeddedBrokerError> {
    let failed = |source: nisshi_broker::Error| match source {
        nisshi_broker::Error::ListenerInUse { .. } => EmbeddedBrokerError::PortInUse { port },
        source => EmbeddedBrokerError::Broker {
            port,
            source: Box::new(source),
        },
    };
    let mut broker = build(port).await.map_err(failed)?;
    broker.register().await.map_err(failed)?;
    let mut serving = std::pin::pin!(broker.listen(Instant::now()));
    tokio::select! {
        // First: if somebody else listens on the port, the connection below would succeed too.
        biased;
        result = &mut serving => return result.map_err(failed),
        () = accepting(port) => {}
    }
    ready.send(Ok(())).ok();
    let result = serving.await.map_err(failed);
    tracing::error!(port, ?result, "The embedded broker ended by itself.");
    result
}

async fn build(port: u16) -> Result<KafkaBroker, nisshi_broker::Error> {
    let listener = format!("tcp://{}:{port}", Ipv4Addr::LOCALHOST);
    KafkaBroker::builder()
        .node_id(NODE_ID)
        // A new log is another cluster, and clients that remember the id can tell.
        .cluster_id(format!("embedded-{}", Uuid::now_v7().simple()))
        .incarnation_id(Uuid::now_v7())
        .listener(listener.parse()?)
        .advertised_listener(listener.parse::<Url>()?)
        .storage("memory://embedded/".parse()?)
        // No progress bars and no lines on the standard output.
        .silent(true)
        .group_coordinator(GroupCoordinatorConfig {
            // The default of 3 s is for the many members of a large group.
            initial_rebalance_delay: Duration::ZERO,
            poll_interval: Duration::from_millis(100),
        })
        .build()
        .await
}

/// Returns when something accepts connections on the port.
async fn accepting(port: u16) {
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .is_err()
    {
        time::sleep(CONNECT_PAUSE).await;
    }
}
