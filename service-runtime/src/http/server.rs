//! The accept loop. `axum::serve` sets no header timeout, no connection cap and no drain limit.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_io_timeout::TimeoutStream;

use super::HttpConfig;
use crate::lifecycle::Shutdown;

/// Bytes buffered per connection, and so the largest request head. hyper's default is 400 KiB.
const READ_BUFFER: usize = 32 * 1024;

/// How long to wait after the system refused to accept, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// A connection whose writes may not stall.
type Guarded = Pin<Box<TimeoutStream<TcpStream>>>;

/// Opens the configured port.
///
/// # Errors
/// The system's error, with the address in its text.
pub async fn bind(config: &HttpConfig) -> io::Result<TcpListener> {
    let address = SocketAddr::new(config.address, config.port);
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

/// Serves HTTP/1.1 until the shutdown, then waits for the requests that were begun.
///
/// # Errors
/// When the listener's own address cannot be read; trouble with a client or with accepting is
/// logged.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: &HttpConfig,
    shutdown: Shutdown,
) -> io::Result<()> {
    let _part = shutdown.part("http");
    let address = listener.local_addr()?;
    tracing::info!(%address, "Listening.");
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_buf_size(READ_BUFFER);
    let permits = Arc::new(Semaphore::new(config.max_connections));
    let mut connections = JoinSet::new();
    while let Some((stream, permit)) = next_connection(&listener, &permits, &shutdown).await {
        while connections.try_join_next().is_some() {}
        let (http, router, shutdown) = (http.clone(), router.clone(), shutdown.clone());
        let stream = guarded(stream, config.write_timeout);
        connections.spawn(async move {
            serve_connection(&http, stream, router, &shutdown).await;
            drop(permit);
        });
    }
    drop(listener);
    drain(connections, config.drain_timeout).await;
    tracing::info!(%address, "No longer listening.");
    Ok(())
}

/// The next client, once one more connection is allowed; nothing after the shutdown.
async fn next_connection(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    shutdown: &Shutdown,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let accept = async {
        let permit = Arc::clone(permits).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, permit)),
                Err(error) if is_clients_fault(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "Connections cannot be accepted.");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        next = accept => next,
    }
}

fn is_clients_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// A client that takes nothing of its answer for so long must not keep its place.
fn guarded(stream: TcpStream, write_timeout: Duration) -> Guarded {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set.");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write_timeout));
    Box::pin(stream)
}

async fn serve_connection(
    http: &http1::Builder,
    stream: Guarded,
    router: Router,
    shutdown: &Shutdown,
) {
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            // Idle connections end at once, others after the request that was begun.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "Connection ended early.");
    }
}

async fn drain(mut connections: JoinSet<()>, limit: Duration) {
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limit, ended).await.is_err() {
        let open = connections.len();
        tracing::warn!(open, "Connections did not end in time and are cut off.");
        connections.shutdown().await;
    }
}
