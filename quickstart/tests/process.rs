//! The quickstart as a process: what a newcomer runs first.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Ends the demo if a test fails before it does. What must not hold its end back would take a minute.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn demo(arguments: &[&str]) -> Demo {
    let program = env!("CARGO_BIN_EXE_quickstart");
    let command = Command::new(program)
        .args(arguments)
        .env("KAFKA_SESSION_TIMEOUT", "60s")
        .env("HTTP_DRAIN_TIMEOUT", "60s")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    Demo(command.unwrap())
}

const ANY_PORTS: [&str; 14] = [
    "--order-port",
    "0",
    "--stock-port",
    "0",
    "--email-port",
    "0",
    "--payment-port",
    "0",
    "--shipping-port",
    "0",
    "--webhook-port",
    "0",
    "--kafka-port",
    "0",
];

#[tokio::test]
async fn the_banners_order_is_accepted_and_ctrl_c_ends_the_demo_without_waiting_for_clients() {
    let mut demo = demo(&ANY_PORTS);
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines();
    // The pipe ends when the process does, so this ends too.
    let banner: Vec<String> = lines
        .by_ref()
        .map(Result::unwrap)
        .take_while(|line| !line.contains("Ctrl-C"))
        .collect();
    let find = |what: &str| banner.iter().find(|line| line.contains(what)).cloned();
    let url = find("curl -i").expect("a curl line");
    let url = url
        .split_whitespace()
        .find(|word| word.starts_with("http"))
        .unwrap();
    let body = find("-d '").expect("its body");
    let body = body.split('\'').nth(1).unwrap().to_owned();
    assert!(find("book order").is_some(), "the catalogue: {banner:?}");
    assert!(find("/mail").is_some(), "the mail folder: {banner:?}");

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let order = client
        .post(url)
        .header("content-type", "application/json")
        .body(body);
    let answer = order.send().await.unwrap();
    assert_eq!(answer.status(), 201);

    let pid = demo.0.id().to_string();
    let started = Instant::now();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    // What is logged until the end must not fill the pipe.
    lines.for_each(drop);
    let status = demo.0.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let took = started.elapsed();
    assert!(took < Duration::from_secs(25), "{took:?}");
}

#[test]
fn a_taken_port_of_the_broker_ends_it_with_the_option_that_changes_it() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut arguments = ANY_PORTS;
    arguments[13] = &port;
    let program = env!("CARGO_BIN_EXE_quickstart");
    let output = Command::new(program).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains(&port) && said.contains("--kafka-port"),
        "{said}"
    );
}

fn once(name: &str, value: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_quickstart");
    let output = Command::new(program)
        .arg("--once")
        .env(name, value)
        .output();
    output.unwrap()
}

#[test]
fn once_ends_with_0_after_four_orders_that_came_to_the_right_end() {
    // Set by somebody for another service: the demo has databases of its own.
    let output = once("DATABASE_URL_FILE", "/run/secrets/nowhere");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in [
        "SHIPPED   /shipping-service",
        "payment   charged 50000.00",
        "shipment  dispatched OE",
        "stock     available 1000 -> 995, reserved 0, shipped 0 -> 5",
        "reason    payment_declined",
        "reason    out_of_stock",
        "CANCELLED /order-service",
        "payment   refunded 20000.00",
        "stock     available 995, reserved 0, shipped 5",
        "All four orders came to the right end.",
    ] {
        assert!(said.contains(line), "{line:?} is not in {said}");
    }
}

#[test]
fn once_ends_with_1_and_the_reason_when_an_order_comes_to_another_end() {
    let output = once("ORDER_DEADLINE", "1s");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = "an order that is paid and shipped: the state is";
    assert!(
        said.contains(reason) && said.contains("Cancelled"),
        "{said}"
    );
}
