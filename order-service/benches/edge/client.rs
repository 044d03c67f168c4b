//! A healthy client: places one order after the other, and waits for each answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Healthy clients of each kind.
pub(crate) const CLIENTS: usize = 4;
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) const HEAD: &str =
    "POST /api/v1/orders HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n";
const ORDER: &str = r#"{"name":"book order","qty":5,"price":10000}"#;

/// How long each order took until its answer was read.
#[derive(Default)]
pub(crate) struct Times {
    /// From sending, on a connection that is kept; from connecting again where the server had closed it.
    pub(crate) kept: Vec<Duration>,
    /// From connecting, on a connection for this order alone.
    pub(crate) new: Vec<Duration>,
}

impl Times {
    pub(crate) fn extend(&mut self, more: Self) {
        self.kept.extend(more.kept);
        self.new.extend(more.new);
    }
}

/// The answer to one request.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether the server closes the connection after it.
    closes: bool,
}

/// Has all clients order for so long; every order has to be placed.
pub(crate) async fn measure(address: SocketAddr, duration: Duration) -> anyhow::Result<Times> {
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..2 * CLIENTS {
        let keeps = client % 2 == 0;
        clients.spawn(async move {
            let (mut times, mut kept) = (Vec::new(), None);
            while begun.elapsed() < duration {
                let start = Instant::now();
                let (stream, answer) = timeout(TIMEOUT, place(address, kept.take())).await??;
                ensure!(answer.status == 201, "answered with {}", answer.status);
                times.push(start.elapsed());
                kept = (keeps && !answer.closes).then_some(stream);
            }
            anyhow::Ok((keeps, times))
        });
    }
    let mut all = Times::default();
    while let Some(times) = clients.join_next().await {
        match times?? {
            (true, times) => all.kept.extend(times),
            (false, times) => all.new.extend(times),
        }
    }
    Ok(all)
}

/// Places an order, on a new connection where the kept one is gone.
async fn place(
    address: SocketAddr,
    kept: Option<BufReader<TcpStream>>,
) -> anyhow::Result<(BufReader<TcpStream>, Answer)> {
    let request = format!("{HEAD}Content-Length: {}\r\n\r\n{ORDER}", ORDER.len());
    if let Some(mut stream) = kept
        && let Ok(answer) = exchange(&mut stream, request.as_bytes()).await
    {
        return Ok((stream, answer));
    }
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let answer = exchange(&mut stream, request.as_bytes()).await?;
    Ok((stream, answer))
}

/// Sends a request and reads the whole answer.
pub(crate) async fn exchange(
    stream: &mut BufReader<TcpStream>,
    request: &[u8],
) -> anyhow::Result<Answer> {
    stream.write_all(request).await?;
    let (mut line, mut length, mut closes) = (String::new(), 0, false);
    stream.read_line(&mut line).await?;
    let status = line.split(' ').nth(1).context("no answer")?.parse()?;
    while line != "\r\n" {
        line.clear();
        ensure!(stream.read_line(&mut line).await? > 0, "half an answer");
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse()?;
        }
        closes |= line == "connection: close\r\n";
    }
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(Answer { status, closes })
}
