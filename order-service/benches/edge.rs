//! What idle and slow connections cost the clients of a running `order-service`: their latency beside a crowd, as a
//! ratio to their latency alone, measured in turns in one run.
//!
//! A third of the crowd says nothing, a third sends a head byte by byte, and a third a body; who is sent away comes
//! back. The healthy clients place orders, half of them on one connection and half on a new one for each order. All
//! run on this machine, so the ratio holds what the crowd's own work costs, too. `BENCH_CROWD` says how many
//! connections (5 000), `BENCH_SECONDS` how long each of the four turns takes (10).

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, bail, ensure};
use rdkafka::mocking::MockCluster;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Healthy clients.
const CLIENTS: usize = 8;
/// Between two bytes of a slow connection, and before one that was closed comes back.
const DRIP: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(60);

const HEAD: &str =
    "POST /api/v1/orders HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n";
const ORDER: &str = r#"{"name":"book order","qty":5,"price":10000}"#;

/// The service as a process of its own; gone with this value.
struct Service {
    process: Child,
    address: SocketAddr,
}

impl Drop for Service {
    fn drop(&mut self) {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        if let Err(error) = ended {
            eprintln!("the service was not ended: {error}");
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let seconds = Duration::from_secs(setting("BENCH_SECONDS", 10)?);
    let wanted = setting("BENCH_CROWD", 5_000)?;
    let crowd = test_support::allowed_sockets(wanted, 1);
    let mock = MockCluster::new(1)?;
    for topic in ["orders", "orders.orders.dlt", "orders.orders-view.dlt"] {
        mock.create_topic(topic, 3, 1)?;
    }
    let folder = tempfile::TempDir::new()?;
    let service = start(&mock.bootstrap_servers(), &folder).await?;
    // Not measured: the first orders pay for what is opened once.
    measure(service.address, Duration::from_secs(1)).await?;

    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for turn in 1..=2 {
        alone.extend(measure(service.address, seconds).await?);
        let memory = resident(&service)?;
        let crowd = Crowd::gather(service.address, usize::try_from(crowd)?).await?;
        beside.extend(measure(service.address, seconds).await?);
        println!(
            "turn {turn}: {} connections at the end, {} came back after they were closed; \
             {memory} KiB of memory before, {} KiB beside them",
            crowd.open.load(Ordering::Relaxed),
            crowd.returned.load(Ordering::Relaxed),
            resident(&service)?,
        );
        crowd.leave().await;
    }
    let alone = report("alone", alone, 2 * seconds);
    let beside = report(&format!("beside {crowd} connections"), beside, 2 * seconds);
    let ratio = |index: usize| beside[index].as_secs_f64() / alone[index].as_secs_f64();
    println!(
        "ratio: p50 {:.2}, p99 {:.2}; {} cores, {} build",
        ratio(0),
        ratio(1),
        std::thread::available_parallelism()?,
        if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        },
    );
    Ok(())
}

fn setting(name: &str, default: u64) -> anyhow::Result<u64> {
    match env::var(name) {
        Ok(value) => value.parse().with_context(|| name.to_owned()),
        Err(_) => Ok(default),
    }
}

async fn start(bootstrap: &str, folder: &tempfile::TempDir) -> anyhow::Result<Service> {
    // Free a moment ago, and so most likely still.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await?
        .local_addr()?;
    let database = format!("sqlite://{}/orders.db", folder.path().display());
    let process = Command::new(env!("CARGO_BIN_EXE_order-service"))
        .envs([
            ("KAFKA_BOOTSTRAP_SERVERS", bootstrap),
            ("KAFKA_CREATE_TOPICS", "false"),
            ("DATABASE_URL", &database),
            ("HTTP_ADDRESS", "127.0.0.1"),
            ("HTTP_PORT", &address.port().to_string()),
            ("LOG_LEVEL", "error"),
        ])
        .stdin(Stdio::null())
        .spawn()?;
    let mut service = Service { process, address };
    let begun = Instant::now();
    while !is_ready(address).await {
        ensure!(
            begun.elapsed() < TIMEOUT,
            "the service did not become ready"
        );
        if let Some(status) = service.process.try_wait()? {
            bail!("the service ended: {status}");
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(service)
}

async fn is_ready(address: SocketAddr) -> bool {
    let request = b"GET /health/ready HTTP/1.1\r\nHost: bench\r\n\r\n";
    let Ok(stream) = TcpStream::connect(address).await else {
        return false;
    };
    matches!(
        exchange(&mut BufReader::new(stream), request).await,
        Ok(200)
    )
}

/// Sends a request and reads the whole answer; its status.
async fn exchange(stream: &mut BufReader<TcpStream>, request: &[u8]) -> anyhow::Result<u16> {
    stream.write_all(request).await?;
    let (mut line, mut length) = (String::new(), 0);
    stream.read_line(&mut line).await?;
    let status = line.split(' ').nth(1).context("no answer")?.parse()?;
    while line != "\r\n" {
        line.clear();
        ensure!(stream.read_line(&mut line).await? > 0, "half an answer");
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse()?;
        }
    }
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(status)
}

/// How long each order of the healthy clients took; every one has to be placed.
async fn measure(address: SocketAddr, duration: Duration) -> anyhow::Result<Vec<Duration>> {
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(async move {
            let request = format!("{HEAD}Content-Length: {}\r\n\r\n{ORDER}", ORDER.len());
            let (mut times, mut kept) = (Vec::new(), None);
            while begun.elapsed() < duration {
                let start = Instant::now();
                let mut stream = match kept.take() {
                    Some(stream) => stream,
                    None => BufReader::new(TcpStream::connect(address).await?),
                };
                let status = timeout(TIMEOUT, exchange(&mut stream, request.as_bytes())).await??;
                ensure!(status == 201, "an order was answered with {status}");
                times.push(start.elapsed());
                kept = (client % 2 == 0).then_some(stream);
            }
            Ok(times)
        });
    }
    let mut all = Vec::new();
    while let Some(times) = clients.join_next().await {
        all.extend(times??);
    }
    Ok(all)
}

/// Prints and returns p50 and p99.
fn report(name: &str, mut times: Vec<Duration>, duration: Duration) -> [Duration; 2] {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{name}: {} orders, {:.0} a second, p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
        times.len(),
        times.len() as f64 / duration.as_secs_f64(),
        at(50),
        at(99),
        at(100),
    );
    [at(50), at(99)]
}

/// Memory of the service in KiB; 0 where the system does not tell.
fn resident(service: &Service) -> anyhow::Result<u64> {
    let Ok(status) = fs::read_to_string(format!("/proc/{}/status", service.process.id())) else {
        return Ok(0);
    };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next());
    Ok(kib.context("no VmRSS")?.parse()?)
}

/// Connections that want nothing but to be there.
struct Crowd {
    members: JoinSet<()>,
    open: Arc<AtomicUsize>,
    returned: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Crowd {
    /// Returns when as many have connected once.
    async fn gather(address: SocketAddr, size: usize) -> anyhow::Result<Self> {
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

    async fn leave(mut self) {
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
