//! A TCP proxy that does what networks do to the connections through it.
//!
//! A proxy has its port before it has a server, for servers that have to say under which address they are
//! reached. It lives as long as the runtime of its test.

mod connection;
mod way;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::way::Way;

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

/// What is wrong until [`Proxy::heal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Connections are reset, new ones as soon as they are made.
    Cut,
    /// What goes in this direction waits until the end of the fault, as retransmitted segments do. A close
    /// waits too: the other side notices nothing but silence.
    Silent(Direction),
    /// Whatever is read waits so long before it is passed on, in both directions.
    Latency(Duration),
    /// What a client sends reaches the server, and if it contains this, the connection is reset in
    /// the place of the answer: the client cannot know what came of it.
    CutReplyTo(String),
}

/// Passes connections on to a server, as well as its fault allows.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    /// Of PostgreSQL; else empty.
    url: String,
    way: watch::Sender<Way>,
}

impl Proxy {
    /// A way to nowhere yet: until [`lead_to`](Self::lead_to) it resets its connections.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let way = watch::Sender::default();
        tokio::spawn(connection::accept(listener, way.clone()));
        Ok(Self {
            address,
            url: String::new(),
            way,
        })
    }

    /// A way to the server of `url`.
    ///
    /// # Errors
    /// The URL is not PostgreSQL's, or there is no free port.
    pub async fn to(url: &str) -> io::Result<Self> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let server: PgConnectOptions = url.parse().map_err(invalid)?;
        let mut proxy = Self::listen().await?;
        proxy.lead_to(server.get_host(), server.get_port());
        let (before, rest) = url.split_once('@').unwrap_or(("postgres://postgres", url));
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        proxy.url = format!("{before}@{}/{path}", proxy.address);
        Ok(proxy)
    }

    /// From now on new connections lead to this server.
    pub fn lead_to(&self, host: &str, port: u16) {
        self.way
            .send_modify(|way| way.server = Some((host.to_owned(), port)));
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the same database by this way.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on this is wrong, instead of what was wrong before.
    pub fn inject(&self, fault: Fault) {
        self.way.send_modify(|way| way.inject(fault));
    }

    /// Nothing is wrong any more. What was held back comes through, and what was reset stays so.
    pub fn heal(&self) {
        self.way.send_modify(|way| way.fault = None);
    }

    /// How many connections were reset in the place of an answer.
    #[must_use]
    pub fn replies_cut(&self) -> usize {
        self.way.borrow().replies_cut
    }

    /// From now on nothing comes through. The connections of this moment stay silent for good, as they
    /// do when a host lost power.
    pub fn vanish(&self) {
        self.way.send_modify(Way::vanish);
    }

    /// From the moment on in which a client sends `text`, nothing comes through, not even that.
    pub fn vanish_at(&self, text: &str) {
        self.way
            .send_modify(|way| way.trigger = Some(text.to_owned()));
    }

    /// New connections come through again.
    pub fn come_back(&self) {
        self.way.send_modify(|way| way.vanished = false);
    }

    /// Whether nothing comes through.
    #[must_use]
    pub fn has_vanished(&self) -> bool {
        self.way.borrow().vanished
    }
}
