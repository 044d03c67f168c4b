//! How long an order takes, as its customer sees it: the POST alone, and from the POST until
//! `GET ?wait=5s&until=RESERVED` has answered RESERVED.
//!
//! Two systems run side by side and take turns, block by block, so that whatever else the machine
//! does meets both: one as the quickstart runs it, one with librdkafka's default for
//! `fetch.wait.max.ms`, which the embedded broker waits out because it does not wake a waiting
//! fetch. Orders are placed one after the other; this measures latency, not throughput.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use quickstart::ports::Ports;
use quickstart::system::System;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use service_runtime::lifecycle::install_crypto;
use service_runtime::telemetry::{self, LogConfig};

const WARM_UP: usize = 10;
const BLOCKS: usize = 10;
const ORDERS_PER_BLOCK: usize = 20;
/// What is ordered; enough of it for every order.
const PRODUCT: &str = "bench%20product";

/// One system and what was measured on it.
struct Side {
    name: &'static str,
    system: System,
    post: Vec<Duration>,
    reserved: Vec<Duration>,
}

fn main() -> anyhow::Result<()> {
    install_crypto();
    telemetry::init(&LogConfig {
        level: "warn".to_owned(),
        ..LogConfig::default()
    });
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let http = Client::new();
    let mut sides = [
        Side::start("quickstart", "10ms", &http).await?,
        Side::start("librdkafka's default", "500ms", &http).await?,
    ];
    for _ in 0..BLOCKS {
        for side in &mut sides {
            side.measure(&http).await?;
        }
    }
    println!(
        "{} orders on each side, one after the other, in ms\n",
        BLOCKS * ORDERS_PER_BLOCK
    );
    println!(
        "{:<34}{:>9}{:>9}{:>9}{:>9}",
        "", "min", "median", "p95", "p99"
    );
    let mut medians = Vec::new();
    for side in sides {
        medians.push(side.report());
        side.system.stop().await?;
    }
    println!(
        "\nratio of the medians of POST to RESERVED: {:.1}",
        medians[1] / medians[0]
    );
    Ok(())
}

impl Side {
    /// Starts a system, fills its stock and warms it up.
    async fn start(
        name: &'static str,
        fetch_wait_max: &str,
        http: &Client,
    ) -> anyhow::Result<Self> {
        let setting = ("KAFKA_FETCH_WAIT_MAX".to_owned(), fetch_wait_max.to_owned());
        let system = System::start(&Ports::any(), &BTreeMap::from([setting])).await?;
        let url = format!("{}/api/v1/stock/{PRODUCT}", system.urls().stock);
        let stock = json!({ "available": 1_000_000 });
        let answer = http.put(url).json(&stock).send().await?;
        body(answer, StatusCode::CREATED).await?;
        let side = Self {
            name,
            system,
            post: Vec::new(),
            reserved: Vec::new(),
        };
        for _ in 0..WARM_UP {
            side.order(http).await?;
        }
        Ok(side)
    }

    async fn measure(&mut self, http: &Client) -> anyhow::Result<()> {
        for _ in 0..ORDERS_PER_BLOCK {
            let (post, reserved) = self.order(http).await?;
            self.post.push(post);
            self.reserved.push(reserved);
        }
        Ok(())
    }

    /// Places an order and follows it: the time of the POST, and the time until RESERVED.
    async fn order(&self, http: &Client) -> anyhow::Result<(Duration, Duration)> {
        let orders = format!("{}/api/v1/orders", self.system.urls().order);
        let order = json!({ "name": "bench product", "qty": 1, "price": 10.0 });
        let start = Instant::now();
        let answer = http.post(&orders).json(&order).send().await?;
        let placed = body(answer, StatusCode::CREATED).await?;
        let post = start.elapsed();
        let id = placed["orderId"].as_str().context("no order id")?;
        let url = format!("{orders}/{id}?wait=5s&until=RESERVED");
        let state = body(http.get(url).send().await?, StatusCode::OK).await?;
        let reserved = start.elapsed();
        ensure!(state["status"] == "RESERVED", "not reserved: {state}");
        Ok((post, reserved))
    }

    /// Prints both lines and returns the median of POST to RESERVED in ms.
    fn report(&self) -> f64 {
        line(&format!("POST, {}", self.name), &self.post);
        line(&format!("to RESERVED, {}", self.name), &self.reserved)
    }
}

async fn body(answer: Response, expected: StatusCode) -> anyhow::Result<Value> {
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status == expected, "answered {status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

fn line(name: &str, times: &[Duration]) -> f64 {
    let mut ms: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    ms.sort_unstable_by(f64::total_cmp);
    // The nearest rank.
    let at = |percent: usize| ms[(ms.len() * percent).div_ceil(100).max(1) - 1];
    let median = at(50);
    println!(
        "{name:<34}{:>9.1}{median:>9.1}{:>9.1}{:>9.1}",
        ms[0],
        at(95),
        at(99)
    );
    median
}
