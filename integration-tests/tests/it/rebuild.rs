//! `order-service rebuild` beside a running service: orders are placed and a stream is open all the while.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use integration_tests::stream::Stream;
use integration_tests::system::order;
use integration_tests::wait::eventually_within;
use integration_tests::{Client, System, broker, eventually, process};
use test_support::{Test, test};
use tokio::task::JoinHandle;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(the_read_model_is_rebuilt_while_orders_are_placed_and_streamed, no database)
            .threads(2),
        test!(a_rebuild_that_is_terminated_ends_soon_and_switches_nothing, no database),
    ]
}

/// The program of the order service, with the settings of the one that runs.
fn rebuild(system: &System, arguments: &[&str], brokers: &str) -> Command {
    let mut command = Command::new(process::program());
    command
        .env_clear()
        .env("SERVICE", "order")
        .env("KAFKA_BOOTSTRAP_SERVERS", brokers)
        .env("KAFKA_TOPIC", system.log.topic())
        .env("KAFKA_VIEW_GROUP", system.group("orders-view"))
        .env("DATABASE_URL", system.database("order"))
        .arg("rebuild")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

async fn rebuilt(system: &System, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = rebuild(system, arguments, &broker::bootstrap_servers());
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), text.concat())
}

/// Places orders until it is told to stop; returns those that were accepted.
fn placing(client: Client, stop: Arc<AtomicBool>) -> JoinHandle<BTreeSet<String>> {
    tokio::spawn(async move {
        let mut accepted = BTreeSet::new();
        while !stop.load(Ordering::SeqCst) {
            let body = order("book order", 1);
            let answer = client.post("/api/v1/orders", &body, &[]).await.unwrap();
            assert_eq!(answer.status, 201, "{}", answer.text);
            accepted.insert(answer.member("orderId"));
        }
        accepted
    })
}

/// How often a stream of all orders told each state of each order.
type Told = BTreeMap<(String, String), usize>;

/// Listens until the end of each of `orders` was told.
async fn told_of(stream: &mut Stream, orders: &BTreeSet<String>) -> Told {
    let (mut told, mut open) = (Told::new(), orders.clone());
    while !open.is_empty() {
        let event = stream.next().await.expect("an open stream");
        let text = |name: &str| event.data[name].as_str().unwrap().to_owned();
        let (order_id, status) = (text("orderId"), text("status"));
        if ["SHIPPED", "REJECTED"].contains(&&*status) {
            open.remove(&order_id);
        }
        *told.entry((order_id, status)).or_default() += 1;
    }
    told
}

async fn the_read_model_is_rebuilt_while_orders_are_placed_and_streamed() {
    let system = System::start().await;
    for _ in 0..20 {
        system.place("book order", 1).await;
    }
    let mut stream = system.order.stream("/api/v1/orders/events", None).await;
    let stop = Arc::new(AtomicBool::new(false));
    let placing = placing(system.order.clone(), Arc::clone(&stop));

    for (old, new) in [(1, 2), (2, 3)] {
        let (code, output) = rebuilt(&system, &[]).await;
        assert_eq!(code, Some(0), "{output}");
        assert!(output.contains("; 0 differ\n"), "{output}");
        let switched = format!("switched from generation {old} to {new}; ");
        assert!(output.contains(&switched), "{output}");
    }
    stop.store(true, Ordering::SeqCst);
    let accepted = placing.await.unwrap();
    assert!(!accepted.is_empty());

    let told = told_of(&mut stream, &accepted).await;
    let repeated: Vec<_> = told.iter().filter(|(_, times)| **times > 1).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
    for order_id in &accepted {
        let told_of_it = told.keys().filter(|(id, _)| id == order_id).count();
        let wanted = match system.ended(order_id).await["status"].as_str() {
            Some("SHIPPED") => 4,
            _ => 2,
        };
        assert_eq!(told_of_it, wanted, "{order_id}");
    }
    // Nothing is on its way any more.
    let (code, output) = rebuilt(&system, &["--dry-run"]).await;
    assert_eq!(code, Some(0), "{output}");
    let orders = accepted.len() + 20;
    let line = format!("orders: {orders} in the new read model, {orders} in the old one; 0 differ");
    assert!(output.contains(&line), "{line}: {output}");
    assert!(
        output.contains("dry run: generation 3 stays in use"),
        "{output}"
    );
}

async fn a_rebuild_that_is_terminated_ends_soon_and_switches_nothing() {
    let system = System::start().await;
    let id = system.place("book order", 1).await;
    system.ended(&id).await;
    // Takes connections and says nothing, so it is waited for.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let brokers = silent.local_addr().unwrap().to_string();
    let mut child = rebuild(&system, &[], &brokers).spawn().unwrap();
    eventually("a connection", || async { silent.accept().ok() }).await;
    let sent = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    let running = std::sync::Mutex::new(&mut child);
    let look = || async { running.lock().unwrap().try_wait().unwrap() };
    let status = eventually_within("end", Duration::from_secs(15), look).await;
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(status.code(), Some(143), "{text}");
    assert_eq!(text, "Interrupted, nothing was switched.\n");
    let (code, output) = rebuilt(&system, &[]).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("switched from generation 1 to "),
        "{output}"
    );
}
