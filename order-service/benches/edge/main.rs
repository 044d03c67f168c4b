//! What idle and slow connections cost the clients of a running `order-service`: their latency beside a crowd, as a
//! ratio to their latency alone, measured in turns in one run.
//!
//! The healthy clients place orders one after the other, half of them on one connection that they keep and half on a
//! new one for each order, from connecting on. Each waits for its answer before it goes on, so who meets a long
//! wait measures few orders meanwhile: look at the longest as well. All run on this machine, so the ratio holds what
//! the crowd's own work costs, too. `BENCH_CROWD` says how many connections (5 000), `BENCH_SECONDS` how long each of
//! the four turns takes (10).

mod client;
mod crowd;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, bail, ensure};
use rdkafka::mocking::MockCluster;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use client::{CLIENTS, TIMEOUT, Times, exchange, measure};
use crowd::Crowd;

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

    println!(
        "{CLIENTS} clients place orders on a connection that they keep, {CLIENTS} on a new one for each; \
         from sending, or connecting, until the answer is read\n"
    );
    let (mut alone, mut beside) = (Times::default(), Times::default());
    for turn in 1..=2 {
        alone.extend(measure(service.address, seconds).await?);
        let (memory, full) = (resident(&service)?, overflows());
        let crowd = Crowd::gather(service.address, usize::try_from(crowd)?).await?;
        beside.extend(measure(service.address, seconds).await?);
        let (open, returned) = crowd.counts();
        println!(
            "turn {turn}: {open} connections at the end, {returned} came back after they were closed; \
             {memory} KiB of memory before, {} KiB beside them; {} times a queue of this machine was full",
            resident(&service)?,
            overflows() - full,
        );
        crowd.leave().await;
    }
    println!();
    compare("kept", alone.kept, beside.kept, crowd);
    compare("new", alone.new, beside.new, crowd);
    println!(
        "\n{} cores, {} s each, {} build",
        std::thread::available_parallelism()?,
        2 * seconds.as_secs(),
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
    let answer = exchange(&mut BufReader::new(stream), request).await;
    answer.is_ok_and(|answer| answer.status == 200)
}

/// Prints both and their ratio.
fn compare(kind: &str, alone: Vec<Duration>, beside: Vec<Duration>, crowd: u64) {
    let alone = report(&format!("{kind}, alone"), alone);
    let beside = report(&format!("{kind}, beside {crowd} connections"), beside);
    let ratio = |index: usize| beside[index].as_secs_f64() / alone[index].as_secs_f64();
    println!("{kind}, ratio: p50 {:.2}, p99 {:.2}", ratio(0), ratio(1));
}

/// Prints what was measured; p50 and p99.
fn report(name: &str, mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort();
    // The nearest rank.
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
    println!(
        "{name}: {} orders, p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
        times.len(),
        at(50),
        at(99),
        at(100),
    );
    [at(50), at(99)]
}

/// How often somebody on this machine found the queue of a listener full, whose client then tries again after 1, 3, 7
/// and 15 seconds; 0 where the system does not tell.
fn overflows() -> u64 {
    let counters = fs::read_to_string("/proc/net/netstat").unwrap_or_default();
    let mut lines = counters.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next(), lines.next());
    let columns = names.into_iter().flat_map(|line| line.split(' '));
    let values = values.into_iter().flat_map(|line| line.split(' '));
    let found = columns
        .zip(values)
        .find(|(name, _)| *name == "ListenOverflows");
    found.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
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
