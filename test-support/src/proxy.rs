//! A way to a PostgreSQL server that can be cut as a network cuts it: nothing comes through any
//! more and nobody is told.

use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Passes connections on until the server vanishes. Those that were open then stay silent for
/// good, as they do when a host lost power; lives as long as the runtime of its test.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    way: Arc<Mutex<Way>>,
}

#[derive(Debug, Default)]
struct Way {
    vanished: bool,
    /// Vanishes as soon as a client sends this.
    trigger: Option<String>,
    /// Closes the connection that sends this when it is answered.
    cut: Option<String>,
    /// How often the server vanished: connections belong to the time they were made in.
    epoch: u64,
}

impl Proxy {
    /// A way to the server of `url`.
    ///
    /// # Errors
    /// The URL is not PostgreSQL's, or there is no free port.
    pub async fn to(url: &str) -> io::Result<Self> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let server: PgConnectOptions = url.parse().map_err(invalid)?;
        let server = (server.get_host().to_owned(), server.get_port());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let here = listener.local_addr()?;
        let (before, rest) = url.split_once('@').unwrap_or(("postgres://postgres", url));
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        let way = Arc::default();
        tokio::spawn(accept(listener, server, Arc::clone(&way)));
        Ok(Self {
            url: format!("{before}@{here}/{path}"),
            way,
        })
    }

    /// The URL of the same database by this way.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on nothing comes through.
    pub fn vanish(&self) {
        lock(&self.way).vanish();
    }

    /// From the moment on in which a client sends `text`, nothing comes through, not even that.
    pub fn vanish_at(&self, text: &str) {
        lock(&self.way).trigger = Some(text.to_owned());
    }

    /// The next connection that sends `text` is closed instead of being answered: what it asked for is
    /// done, and it does not get to know.
    pub fn cut_after(&self, text: &str) {
        lock(&self.way).cut = Some(text.to_owned());
    }

    /// Whether nobody has sent the text of [`cut_after`](Self::cut_after) yet.
    #[must_use]
    pub fn is_to_cut(&self) -> bool {
        lock(&self.way).cut.is_some()
    }

    /// New connections come through again.
    pub fn come_back(&self) {
        lock(&self.way).vanished = false;
    }

    /// Whether nothing comes through.
    #[must_use]
    pub fn has_vanished(&self) -> bool {
        lock(&self.way).vanished
    }
}

impl Way {
    fn vanish(&mut self) {
        self.vanished = true;
        self.trigger = None;
        self.epoch += 1;
    }

    /// Whether these bytes of a connection made in `epoch` come through.
    fn passes(&mut self, epoch: u64, bytes: &[u8]) -> bool {
        if self.trigger.as_ref().is_some_and(|text| has(bytes, text)) {
            self.vanish();
        }
        self.epoch == epoch
    }

    /// Whether the connection that sends these bytes is to be cut.
    fn cuts(&mut self, bytes: &[u8]) -> bool {
        self.cut.take_if(|text| has(bytes, text)).is_some()
    }
}

fn has(bytes: &[u8], text: &str) -> bool {
    let mut windows = bytes.windows(text.len());
    windows.any(|window| window == text.as_bytes())
}

async fn accept(listener: TcpListener, server: (String, u16), way: Arc<Mutex<Way>>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(serve(client, server.clone(), Arc::clone(&way)));
    }
}

async fn serve(client: TcpStream, server: (String, u16), way: Arc<Mutex<Way>>) {
    let epoch = {
        let way = lock(&way);
        (!way.vanished).then_some(way.epoch)
    };
    let Some(epoch) = epoch else {
        return silence(client).await;
    };
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let cut = Cut::default();
    let both = async {
        tokio::join!(
            pass(from_client, to_server, &way, epoch, Side::Client(&cut)),
            pass(from_server, to_client, &way, epoch, Side::Server(&cut)),
        )
    };
    tokio::select! {
        _ = both => {}
        () = cut.done.notified() => {}
    }
}

/// Of one connection.
#[derive(Default)]
struct Cut {
    armed: AtomicBool,
    done: Notify,
}

/// Whose bytes are passed on.
enum Side<'a> {
    Client(&'a Cut),
    Server(&'a Cut),
}

impl Side<'_> {
    /// Whether these bytes are the answer that is not given.
    fn is_cut(&self, way: &Mutex<Way>, bytes: &[u8]) -> bool {
        match self {
            Self::Client(cut) => {
                if lock(way).cuts(bytes) {
                    cut.armed.store(true, Ordering::SeqCst);
                }
                false
            }
            Self::Server(cut) => {
                let armed = cut.armed.load(Ordering::SeqCst);
                if armed {
                    cut.done.notify_one();
                }
                armed
            }
        }
    }
}

/// Until one end closes.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: &Mutex<Way>,
    epoch: u64,
    side: Side<'_>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let cut = side.is_cut(way, &bytes[..read]);
        if cut || !lock(way).passes(epoch, &bytes[..read]) {
            return silence((from, to)).await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

/// Neither answers nor closes.
async fn silence<T>(ends: T) {
    pending::<()>().await;
    drop(ends);
}

fn lock(way: &Mutex<Way>) -> MutexGuard<'_, Way> {
    way.lock().unwrap_or_else(PoisonError::into_inner)
}
