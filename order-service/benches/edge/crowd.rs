//! Connections that want nothing but to be there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client::HEAD;

/// Between two bytes of a slow connection, and before one that was closed comes back.
const DRIP: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_secs(5);

/// A third says nothing, a third sends a head byte by byte, a third a body; who is sent away comes back.
pub(crate) struct Crowd {
    members: JoinSet<()>,
    open: Arc<AtomicUsize>,
    returned: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Crowd {
    /// Returns when as many have connected once.
    pub(crate) async fn gather(address: SocketAddr, size: usize) -> anyhow::Result<Self> {
        let mut crowd = Self {
            members: JoinSet::new(),
            open: Arc::default(),
            returned: Arc::default(),
            over: Arc::default(),
        };
        for member in 0..size {
            let stream = TcpStream::connect(address).await?;
            let (open, returned) = (Arc::clone(&crowd.open), Arc::clone(&crowd.returned));
            let over = Arc::clone(&crowd.over);
            open.fetch_add(1, Ordering::Relaxed);
            crowd.members.spawn(async move {
                let mut stream = stream;
                loop {
                    until_closed(stream, member % 3).await;
                    open.fetch_sub(1, Ordering::Relaxed);
                    sleep(AWAY).await;
                    match TcpStream::connect(address).await {
                        Ok(again) if !over.load(Ordering::Relaxed) => stream = again,
                        _ => return,
                    }
                    open.fetch_add(1, Ordering::Relaxed);
                    returned.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Ok(crowd)
    }

    /// How many are connected now, and how often one came back after it was closed.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let counts = [&self.open, &self.returned].map(|count| count.load(Ordering::Relaxed));
        (counts[0], counts[1])
    }

    pub(crate) async fn leave(mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.members.shutdown().await;
    }
}

/// Behaves as this kind does until the server closes the connection.
async fn until_closed(mut stream: TcpStream, kind: usize) {
    let begin = match kind {
        0 => String::new(),
        1 => format!("{HEAD}X-Slow: "),
        _ => format!("{HEAD}Content-Length: 60000\r\n\r\n"),
    };
    if stream.write_all(begin.as_bytes()).await.is_err() {
        return;
    }
    let mut answer = [0; 1024];
    loop {
        match timeout(DRIP, stream.read(&mut answer)).await {
            Ok(Ok(1..)) => {}
            Ok(_) => return,
            Err(_) if kind == 0 => {}
            Err(_) => {
                if stream.write_all(b" ").await.is_err() {
                    return;
                }
            }
        }
    }
}
