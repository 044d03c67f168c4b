//! The accept loop. `axum::serve` sets no header timeout, no connection cap and no drain limit.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::Instant,
};

use super::{
    HttpConfig,
    connection::serve_connection,
    descriptors::warn_where_too_few,
    places::{Place, Places},
    stream::ClientStream,
};
use crate::lifecycle::Shutdown;

/// Bytes buffered per connection, and so the largest request head. hyper's default is 400 KiB.
const READ_BUFFER: usize = 32 * 1024;

/// How many clients may wait for being accepted, where the system allows it (`net.core.somaxconn`). A client that
/// finds the queue full is not told so: it tries again after 1, 3, 7 and 15 seconds. tokio's default is 128.
const QUEUE: u32 = 4096;

/// How long to wait at most after the system refused to accept, and how often to say so.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// ENFILE and EMFILE, which have no `ErrorKind`; the same numbers on every Unix.
const NO_DESCRIPTORS: [i32; 2] = [23, 24];

/// Opens the configured port.
///
/// # Errors
/// The system's error, with the address in its text.
pub async fn bind(config: &HttpConfig) -> io::Result<TcpListener> {
    let address = SocketAddr::new(config.address, config.port);
    listen(address).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Else a restart would have to wait until the last connections are forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
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
    warn_where_too_few(config.max_connections);
    tracing::info!(%address, "Listening.");
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_buf_size(READ_BUFFER);
    let places = Places::new(config.max_connections);
    let mut connections = JoinSet::new();
    let mut complained = None;
    while let Some((stream, place)) =
        next_connection(&listener, &places, &shutdown, &mut complained).await
    {
        while connections.try_join_next().is_some() {}
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set.");
        }
        connections.spawn(serve_connection(
            http.clone(),
            ClientStream::new(stream, config, Arc::clone(&place)),
            router.clone(),
            place,
            shutdown.clone(),
        ));
    }
    drop(listener);
    drain(connections, config.drain_timeout).await;
    tracing::info!(%address, "No longer listening.");
    Ok(())
}

/// The next client, once there is a place for it; nothing after the shutdown.
async fn next_connection(
    listener: &TcpListener,
    places: &Places,
    shutdown: &Shutdown,
    complained: &mut Option<Instant>,
) -> Option<(TcpStream, Arc<Place>)> {
    let accept = async {
        loop {
            match listener.accept().await {
                // The place afterwards: nobody is sent away for a client that is not there.
                Ok((stream, _)) => return Some((stream, places.take().await?)),
                Err(error) if is_clients_fault(&error) => {}
                Err(error) => {
                    if complained.is_none_or(|last| last.elapsed() >= ACCEPT_PAUSE) {
                        tracing::error!(%error, "Connections cannot be accepted.");
                        *complained = Some(Instant::now());
                    }
                    if is_want_of_descriptors(&error) {
                        places.make_room(ACCEPT_PAUSE).await;
                    } else {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
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

fn is_want_of_descriptors(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code.is_some_and(|code| NO_DESCRIPTORS.contains(&code))
}

async fn drain(mut connections: JoinSet<()>, limit: Duration) {
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limit, ended).await.is_err() {
        let open = connections.len();
        tracing::warn!(open, "Connections did not end in time and are cut off.");
        connections.shutdown().await;
    }
}
