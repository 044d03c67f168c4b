//! The broker itself: nisshi's protocol services over [`ReadAfterWrite`] storage, on a listener
//! of our own. nisshi's own `Broker` takes no storage from outside without drawing on the
//! terminal.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use nisshi_broker::Error;
use nisshi_broker::coordinator::group::administrator::{Controller, GroupCoordinatorConfig};
use nisshi_broker::service::services;
use nisshi_storage::{ArcDynStorage, BrokerRegistrationRequest, Storage, StorageContainer};
use nisshi_storage_dynostore::MemoryEngineFactory;
use rama::Service;
use rama::extensions::Extensions;
use rama::tcp::TcpStream;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::EmbeddedBrokerError;
use super::storage::ReadAfterWrite;

/// The only node of the cluster.
const NODE_ID: i32 = 1;
/// Between two attempts to accept a connection when the operating system refuses.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A broker that listens; it serves when it is told to.
pub(super) struct Server {
    listener: TcpListener,
    port: u16,
    cluster_id: String,
    storage: ArcDynStorage,
    groups: Controller<ArcDynStorage>,
}

impl Server {
    /// Listens on `127.0.0.1:port`, or on any free port if `port` is 0. Clients can connect from
    /// now on, and are answered once it serves.
    pub(super) async fn bind(port: u16) -> Result<Self, EmbeddedBrokerError> {
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => EmbeddedBrokerError::PortInUse { port },
            _ => EmbeddedBrokerError::Listen { port, source },
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(refused)?;
        let port = listener.local_addr().map_err(refused)?.port();
        // A new log is another cluster, and clients that remember the id can tell.
        let cluster_id = format!("embedded-{}", Uuid::now_v7().simple());
        let storage =
            storage(port, &cluster_id)
                .await
                .map_err(|source| EmbeddedBrokerError::Broker {
                    port,
                    source: Box::new(source),
                })?;
        let groups = Controller::new(
            Arc::clone(&storage),
            GroupCoordinatorConfig {
                // The default of 3 s is for the many members of a large group.
                initial_rebalance_delay: Duration::ZERO,
                poll_interval: Duration::from_millis(100),
            },
        );
        Ok(Self {
            listener,
            port,
            cluster_id,
            storage,
            groups,
        })
    }

    /// The port it listens on, never 0.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Serves until it is dropped, which closes every connection.
    pub(super) async fn serve(self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        if let Err(error) = self.welcome(stream, &mut connections) {
                            tracing::warn!(%error, "The embedded broker refused a connection.");
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "The embedded broker cannot accept a connection.");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    fn welcome(
        &self,
        stream: tokio::net::TcpStream,
        connections: &mut JoinSet<()>,
    ) -> Result<(), Error> {
        stream.set_nodelay(true)?;
        let service = services(
            &self.cluster_id,
            self.groups.clone(),
            Arc::clone(&self.storage),
            None,
        )?;
        connections.spawn(async move {
            let stream = TcpStream::from_tokio_tcp_stream(stream, Extensions::default());
            if let Err(error) = service.serve(stream).await {
                tracing::debug!(%error, "A client of the embedded broker is gone.");
            }
        });
        Ok(())
    }
}

/// An empty log in memory.
async fn storage(port: u16, cluster_id: &str) -> Result<ArcDynStorage, Error> {
    let mut engine = StorageContainer::builder();
    engine.with_factory(Arc::new(MemoryEngineFactory));
    let engine = engine
        .node_id(NODE_ID)
        .cluster_id(cluster_id)
        .advertised_listener(format!("tcp://{}:{port}", Ipv4Addr::LOCALHOST).parse::<Url>()?)
        .storage("memory://embedded/".parse()?)
        // No progress bars on the terminal.
        .silent(true)
        .build()
        .await?;
    engine
        .register_broker(BrokerRegistrationRequest {
            broker_id: NODE_ID,
            cluster_id: cluster_id.to_owned(),
            incarnation_id: Uuid::now_v7(),
            rack: None,
        })
        .await?;
    Ok(Arc::new(Box::new(ReadAfterWrite::new(engine))))
}
