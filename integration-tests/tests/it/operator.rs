//! The command line against the whole system.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use base_domains::{OrderStatus, header};
use integration_tests::{System, SystemBuilder, broker, database, eventually, old_stock, process};
use serde_json::{Value, json};
use service_runtime::lifecycle::Shutdown;
use test_support::{Test, test};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_redriven_poison_record_has_its_effect_once_when_a_fixed_consumer_reads_it, no database)
            .threads(2),
        test!(a_whole_dead_letter_topic_that_is_redriven_twice_has_each_effect_once, no database)
            .threads(2),
        test!(a_user_and_an_operator_do_their_work_from_the_command_line, no database).threads(2),
    ]
}

/// `orderctl` with the addresses of one system.
struct Orderctl(Vec<(&'static str, String)>);

/// What a run came to.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Orderctl {
    async fn of(system: &mut System) -> Self {
        let mut environment = vec![
            ("KAFKA_BOOTSTRAP_SERVERS", broker::bootstrap_servers()),
            ("KAFKA_TOPIC", system.log.topic().to_owned()),
            ("SERVICE", "orderctl".to_owned()),
            ("USER", "ann".to_owned()),
        ];
        for (name, process) in [("ORDER_URL", "order"), ("EMAIL_URL", "email")] {
            let port = system.process(process).port().await;
            environment.push((name, format!("http://127.0.0.1:{port}")));
        }
        Self(environment)
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(process::program());
        let environment = self.0.iter().map(|(name, value)| (name, value));
        command.env_clear().envs(environment).args(arguments);
        command.stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[arguments, &["--json"]].concat()).await;
        assert_eq!(run.code, Some(0), "{arguments:?}: {run:?}");
        serde_json::from_str(&run.stdout).unwrap()
    }

    /// Waits until this group has read, and committed, the whole log.
    async fn until_read_by(&self, group: &str) {
        eventually("end of the lag", || async {
            let run = self.run(&["lag", "--group", group, "--max", "0"]).await;
            (run.code == Some(0)).then_some(())
        })
        .await;
    }
}

async fn a_redriven_poison_record_has_its_effect_once_when_a_fixed_consumer_reads_it() {
    let mut system = SystemBuilder::new().stock_instances(0).start().await;
    let group = system.group("stock");
    let shutdown = Shutdown::new();
    let old = old_stock::start(&system, &broker::bootstrap_servers(), &shutdown).await;
    let orderctl = Orderctl::of(&mut system).await;

    // An order that the old version cannot decide about is dead-lettered, and rests.
    let line = [
        "place",
        "--item",
        "book order:2:10000",
        "--item",
        "notebook:3:3.5",
    ];
    let placed = orderctl.json(&line).await;
    let order_id = placed["orderId"].as_str().unwrap();
    let letter = eventually("dead letter", || async {
        let run = orderctl.run(&["dlt", "list", &group, "--json"]).await;
        let list: Value = serde_json::from_str(&run.stdout).ok()?;
        list["letters"].get(0).cloned()
    })
    .await;
    assert_eq!(letter["cause"]["code"], "unknown_field", "{letter}");
    assert_eq!(letter["key"], order_id);
    assert_eq!(letter["source"]["topic"], system.log.topic());
    let id = letter["id"].as_str().unwrap();
    let shown = orderctl.json(&["dlt", "show", &group, id]).await;
    let payload: Value = serde_json::from_str(shown["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload["order"]["items"][1]["name"], "notebook");
    orderctl.until_read_by(&group).await;
    shutdown.trigger();
    old.await.unwrap().unwrap();

    // The fixed version does not take it up by itself.
    system.spawn("stock-0").await;
    system.until_ready().await;
    let later = system.place("book order", 1).await;
    assert_eq!(system.ended(&later).await["status"], "SHIPPED");
    assert_eq!(orderctl.json(&["get", order_id]).await["status"], "PENDING");
    system.stock_becomes("book order", (999, 0, 1)).await;

    let redrive = ["dlt", "redrive", &group, id];
    let dry = orderctl
        .json(&[&redrive[..], &["--dry-run"]].concat())
        .await;
    assert_eq!(dry["redriven"][0]["to"], Value::Null, "{dry}");
    let first = orderctl.json(&redrive).await;
    assert_eq!(first["redriven"][0]["redrives"], 1, "{first}");
    let order = orderctl.json(&["get", order_id, "--wait"]).await;
    assert_eq!(order["status"], "SHIPPED", "{order}");

    // The second time it is refused, and when it is insisted on it does no harm.
    let second = orderctl.run(&redrive).await;
    assert_eq!(second.code, Some(4), "{second:?}");
    let again = orderctl.json(&[&redrive[..], &["--again"]].concat()).await;
    assert_eq!(again["redriven"][0]["redrives"], 2, "{again}");
    orderctl.until_read_by(&group).await;
    orderctl.until_read_by(&system.group("orders-view")).await;
    assert_eq!(orderctl.json(&["get", order_id]).await["status"], "SHIPPED");
    system.stock_becomes("book order", (997, 0, 3)).await;
    system.stock_becomes("notebook", (497, 0, 3)).await;
    let orders = system.log.orders().await;
    let story = &orders[&order_id.parse().unwrap()];
    let history = [
        OrderStatus::Pending,
        OrderStatus::Reserved,
        OrderStatus::Paid,
        OrderStatus::Shipped,
    ];
    assert_eq!(story.history, history);
    assert_eq!(story.distinct(), 4);
    let records = system.log.records().await;
    let redriven = records.iter().filter(|record| {
        let of_the_order = record.key.as_deref() == Some(order_id.as_bytes());
        of_the_order && record.header(header::REDRIVE_GROUP).is_some()
    });
    assert_eq!(redriven.count(), 2);
    let open = orderctl.json(&["dlt", "list"]).await;
    assert_eq!(open, json!({"letters": []}));
    let all = orderctl.json(&["dlt", "list", "--all"]).await;
    assert_eq!(all["letters"].as_array().unwrap().len(), 1, "{all}");
    assert_eq!(
        (&all["letters"][0]["state"], &all["letters"][0]["redrives"]),
        (&"redriven".into(), &2.into())
    );
}

async fn a_whole_dead_letter_topic_that_is_redriven_twice_has_each_effect_once() {
    const ORDERS: usize = 12;
    let mut system = SystemBuilder::new().stock_instances(0).start().await;
    let group = system.group("stock");
    let shutdown = Shutdown::new();
    let old = old_stock::start(&system, &broker::bootstrap_servers(), &shutdown).await;
    let orderctl = Orderctl::of(&mut system).await;
    let lines = json!([
        {"name": "book order", "qty": 2, "price": 10000},
        {"name": "notebook", "qty": 3, "price": 3.5},
    ]);
    let mut orders = Vec::new();
    for _ in 0..ORDERS {
        orders.push(system.place_body(&json!({"items": lines})).await);
    }
    orderctl.until_read_by(&group).await;
    shutdown.trigger();
    old.await.unwrap().unwrap();
    let list = orderctl.json(&["dlt", "list", &group]).await;
    let letters: Vec<String> = (list["letters"].as_array().unwrap().iter())
        .map(|letter| letter["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(letters.len(), ORDERS, "{list}");
    system.spawn("stock-0").await;
    system.until_ready().await;

    let all = ["dlt", "redrive", &group, "--all"];
    let first = orderctl.json(&all).await;
    assert_eq!(first["redriven"].as_array().unwrap().len(), ORDERS);
    // No letter is open, so the second time they have to be named; some of the first are under way still.
    assert_eq!(orderctl.json(&all).await["redriven"], json!([]));
    let named = letters.iter().map(String::as_str);
    let again: Vec<&str> = ["dlt", "redrive", &group, "--again"]
        .into_iter()
        .chain(named)
        .collect();
    let second = orderctl.json(&again).await;
    assert_eq!(second["redriven"].as_array().unwrap().len(), ORDERS);

    for order_id in &orders {
        assert_eq!(system.ended(order_id).await["status"], "SHIPPED");
    }
    orderctl.until_read_by(&group).await;
    let count = i64::try_from(ORDERS).unwrap();
    let shipped = |seeded: i64, qty: i64| (seeded - qty * count, 0, qty * count);
    system.stock_becomes("book order", shipped(1000, 2)).await;
    system.stock_becomes("notebook", shipped(500, 3)).await;
    let stories = system.log.orders().await;
    assert_eq!(stories.len(), ORDERS);
    for (order_id, story) in &stories {
        // With PENDING twice again, and whatever was published twice with the same bytes.
        assert!(story.records >= 6, "{order_id}: {story:?}");
        assert_eq!(
            (story.status(), story.distinct()),
            ("SHIPPED", 4),
            "{order_id}"
        );
    }
    let charges = database::gateway_books(&system.database("payment")).await;
    let charged: BTreeSet<&String> = charges.iter().map(|(order_id, _)| order_id).collect();
    assert_eq!(
        (charges.len(), charged.len()),
        (ORDERS, ORDERS),
        "{charges:?}"
    );
    assert_eq!(
        orderctl.json(&["dlt", "list"]).await,
        json!({"letters": []})
    );
}

async fn a_user_and_an_operator_do_their_work_from_the_command_line() {
    let mut system = SystemBuilder::new()
        .set("SHIPPING_AUTO_DISPATCH", "false")
        .start()
        .await;
    let mut orderctl = Orderctl::of(&mut system).await;
    let port = system.process("stock-0").port().await;
    orderctl
        .0
        .push(("STOCK_URL", format!("http://127.0.0.1:{port}")));

    let line = [
        "place", "--name", "notebook", "--qty", "2", "--price", "3.5", "--wait", "--until", "PAID",
    ];
    let order = orderctl.json(&line).await;
    let order_id = order["orderId"].as_str().unwrap();
    assert_eq!(
        (&order["status"], &order["order"]["qty"]),
        (&"PAID".into(), &2.into())
    );
    let sold_out = ["place", "--item", "sold out book:1:5", "--wait"];
    let rejected = orderctl.run(&sold_out).await;
    assert_eq!(rejected.code, Some(4), "{rejected:?}");
    assert!(rejected.stdout.contains("out_of_stock"), "{rejected:?}");
    assert!(
        rejected.stderr.contains("the order is REJECTED"),
        "{rejected:?}"
    );
    let bad = orderctl.run(&["place", "--item", ":0:5"]).await;
    assert_eq!(bad.code, Some(4), "{bad:?}");
    assert!(
        bad.stderr.contains("qty: must be from 1 to 1000000"),
        "{bad:?}"
    );

    let stock = orderctl.json(&["stock", "set", "sold out book", "7"]).await;
    assert_eq!(stock["available"], 7);
    let stock = orderctl.json(&["stock", "get", "notebook"]).await;
    assert_eq!(stock["reserved"], 2);
    let list = orderctl.json(&["list", "--status", "PAID", "--all"]).await;
    assert_eq!(list["orders"], json!([order]));
    let history = orderctl.run(&["get", order_id, "--history"]).await;
    assert_eq!(history.stdout.lines().count(), 4, "{history:?}");

    // The rejected one has ended, so its stream does as well.
    let all = orderctl.json(&["list", "--status", "REJECTED"]).await;
    let ended = all["orders"][0]["orderId"].as_str().unwrap();
    let watched = orderctl.run(&["watch", ended]).await;
    assert_eq!(
        watched.stdout,
        format!("{ended}  PENDING\n{ended}  REJECTED\n")
    );
    assert_eq!(watched.code, Some(0));

    let cancelled = orderctl.json(&["cancel", order_id]).await;
    assert_eq!(
        (&cancelled["status"], &cancelled["reason"]),
        (&"CANCELLED".into(), &"cancelled_on_request".into())
    );
    assert_eq!(orderctl.json(&["cancel", order_id]).await, cancelled);
    let late = orderctl.run(&["cancel", ended]).await;
    assert_eq!(late.code, Some(4), "{late:?}");
    assert!(late.stderr.contains("REJECTED"), "{late:?}");

    system.mails(order_id, 3).await;
    let jobs = orderctl
        .json(&["jobs", "list", "email", "--order", order_id])
        .await;
    let job = &jobs["jobs"][0];
    assert_eq!(
        (&job["kind"], &job["state"]),
        (&"mail".into(), &"done".into()),
        "{jobs}"
    );
    let id = job["jobId"].as_str().unwrap();
    assert_eq!(&orderctl.json(&["jobs", "show", "email", id]).await, job);
    let retry = orderctl.run(&["jobs", "retry", "email", id]).await;
    assert_eq!(retry.code, Some(4), "{retry:?}");
    assert!(retry.stderr.contains("is done, not dead"), "{retry:?}");
    let none = orderctl.run(&["jobs", "show", "email", "mail/none"]).await;
    assert_eq!(none.code, Some(3), "{none:?}");

    for service in ["stock", "email"] {
        orderctl.until_read_by(&system.group(service)).await;
    }
    assert_eq!(
        orderctl.json(&["dlt", "list"]).await,
        json!({"letters": []})
    );
}
