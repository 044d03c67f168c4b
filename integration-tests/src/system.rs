//! The services as processes, with topic, groups and databases of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base_domains::OrderStatus;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::broker;
use crate::client::Client;
use crate::database::Databases;
use crate::log::Log;
use crate::mail::Mail;
use crate::process::{Process, Signal};
use crate::wait::{DEADLINE, eventually};

/// The services; each has a database and a group.
pub const SERVICES: [&str; 6] = ["order", "stock", "email", "payment", "shipping", "webhook"];

/// Those that have a group, and so a dead-letter topic: the order service has two.
pub const GROUPS: [&str; 7] = [
    "order",
    "stock",
    "email",
    "payment",
    "shipping",
    "webhook",
    "orders-view",
];

/// The processes of a usual system.
pub const PROCESSES: [&str; 6] = [
    "order", "stock-0", "email", "payment", "shipping", "webhook",
];

/// How a system differs from the usual.
#[derive(Debug, Clone)]
pub struct SystemBuilder {
    bootstrap_servers: String,
    postgres: Option<String>,
    files: bool,
    kept_mail: bool,
    mail: Option<Mail>,
    stock_instances: usize,
    others: Vec<String>,
    settings: BTreeMap<String, String>,
}

impl SystemBuilder {
    /// One instance of each service, on the servers of the suite.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bootstrap_servers: String::new(),
            postgres: None,
            files: false,
            kept_mail: false,
            mail: None,
            stock_instances: 1,
            others: Vec::new(),
            settings: BTreeMap::new(),
        }
    }

    /// Another broker.
    #[must_use]
    pub fn on(mut self, bootstrap_servers: &str) -> Self {
        bootstrap_servers.clone_into(&mut self.bootstrap_servers);
        self
    }

    /// Databases on the PostgreSQL server at this URL.
    #[must_use]
    pub fn databases_on(mut self, url: &str) -> Self {
        self.postgres = Some(url.to_owned());
        self
    }

    /// Databases and mail in files, whatever the suite runs on.
    #[must_use]
    pub fn in_files(mut self) -> Self {
        self.files = true;
        self
    }

    /// Mail into files, whatever the suite runs on: a mail server that others use too need not keep all mail.
    #[must_use]
    pub fn keep_mail(mut self) -> Self {
        self.kept_mail = true;
        self
    }

    /// Mail to there.
    #[must_use]
    pub fn mail_to(mut self, mail: Mail) -> Self {
        self.mail = Some(mail);
        self
    }

    /// So many stock-service processes on one database.
    #[must_use]
    pub fn stock_instances(mut self, instances: usize) -> Self {
        self.stock_instances = instances;
        self
    }

    /// One more process of a service: `payment-1` of the payment service.
    #[must_use]
    pub fn also(mut self, name: &str) -> Self {
        self.others.push(name.to_owned());
        self
    }

    /// A setting of all services.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts everything and waits until it is ready.
    ///
    /// # Panics
    /// A service does not get ready.
    pub async fn start(mut self) -> System {
        if self.bootstrap_servers.is_empty() {
            self.bootstrap_servers = broker::bootstrap_servers();
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        let topic = format!("orders-{}", &id[..12]);
        let mut settings = BTreeMap::from(
            [
                ("KAFKA_BOOTSTRAP_SERVERS", self.bootstrap_servers.as_str()),
                ("KAFKA_TOPIC", &topic),
                ("KAFKA_FETCH_WAIT_MAX", "10ms"),
                ("KAFKA_SESSION_TIMEOUT", "6s"),
                ("SHIPPING_DISPATCH_DELAY", "10ms"),
                // Receivers are on this machine.
                ("WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "true"),
                ("HTTP_ADDRESS", "127.0.0.1"),
                ("LOG_LEVEL", "info"),
                ("RUST_BACKTRACE", "1"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        settings.extend(self.settings);
        let folder = TempDir::with_prefix("orders-test-").unwrap();
        let databases = match &self.postgres {
            Some(url) => Databases::on(url, &id),
            None if self.files => Databases::Files(folder.path().to_owned()),
            None => Databases::of_suite(folder.path(), &id),
        };
        databases.prepare(&SERVICES).await;
        let mail = match self.mail {
            Some(mail) => mail,
            None if self.files || self.kept_mail => Mail::Folder(folder.path().join("mail")),
            None => Mail::of_suite(folder.path()),
        };
        let mut system = System {
            log: Log::new(&self.bootstrap_servers, &topic),
            order: Client::new(0),
            email: Client::new(0),
            payment: Client::new(0),
            shipping: Client::new(0),
            webhook: Client::new(0),
            stock: vec![Client::new(0); self.stock_instances],
            others: BTreeMap::new(),
            processes: BTreeMap::new(),
            gone: BTreeSet::new(),
            started: 0,
            settings,
            mail,
            databases,
            folder,
        };
        for name in ["order", "email", "payment", "shipping", "webhook"] {
            system.spawn(name).await;
        }
        for instance in 0..self.stock_instances {
            system.spawn(&stock_name(instance)).await;
        }
        for name in &self.others {
            system.spawn(name).await;
        }
        system.until_ready().await;
        system
    }
}

impl Default for SystemBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// A running system. Dropping it kills its processes and removes its files; what it has on servers
/// goes with them.
#[derive(Debug)]
pub struct System {
    /// The topic.
    pub log: Log,
    /// The order service.
    pub order: Client,
    /// The email service.
    pub email: Client,
    /// The payment service.
    pub payment: Client,
    /// The shipping service.
    pub shipping: Client,
    /// The webhook service.
    pub webhook: Client,
    /// The stock service's instances.
    pub stock: Vec<Client>,
    /// Further instances by name, such as `payment-1`.
    pub others: BTreeMap<String, Client>,
    /// Where its mail goes.
    pub mail: Mail,
    // Before the folder that they write to.
    processes: BTreeMap<String, Process>,
    /// Instances that left for good.
    gone: BTreeSet<String>,
    started: usize,
    settings: BTreeMap<String, String>,
    databases: Databases,
    folder: TempDir,
}

/// Name of the `instance`-th stock-service process.
#[must_use]
pub fn stock_name(instance: usize) -> String {
    format!("stock-{instance}")
}

impl System {
    /// The usual system.
    pub async fn start() -> Self {
        SystemBuilder::new().start().await
    }

    /// Consumer group of `service`; `orders-view` is the second one of the order service.
    #[must_use]
    pub fn group(&self, service: &str) -> String {
        format!("{service}-of-{}", self.settings["KAFKA_TOPIC"])
    }

    /// A process by its name: `order`, `email`, `stock-0`, …
    ///
    /// # Panics
    /// There is none.
    pub fn process(&mut self, name: &str) -> &mut Process {
        self.processes
            .get_mut(name)
            .expect("a process of that name")
    }

    /// What every process wrote so far, those among them that ended; by name and number of the start.
    ///
    /// # Panics
    /// A file is gone.
    #[must_use]
    pub fn outputs(&self) -> BTreeMap<String, String> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let logs = files.filter(|path| path.extension().is_some_and(|kind| kind == "log"));
        let read = |path: std::path::PathBuf| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read(path).unwrap();
            (name, String::from_utf8_lossy(&text).into_owned())
        };
        logs.map(read).collect()
    }

    /// Ends every process as an operator does, and waits for it.
    ///
    /// # Panics
    /// One does not end well.
    pub async fn terminate(&mut self) {
        for (name, process) in &mut self.processes {
            process.signal(Signal::Terminate);
            let status = process.ended(DEADLINE).await;
            assert!(status.success(), "{name}: {status}");
        }
    }

    /// URL of the database of `service`, one of [`SERVICES`].
    #[must_use]
    pub fn database(&self, service: &str) -> String {
        self.databases.url(service)
    }

    /// Loses the database of `service`, whose processes have ended.
    ///
    /// # Panics
    /// It cannot be emptied.
    pub async fn empty_database(&self, service: &str) {
        self.databases.empty(service).await;
    }

    /// Starts the process `name`, for the first time or again; then on the same port, so that its clients
    /// go on.
    ///
    /// # Panics
    /// It does not listen.
    pub async fn spawn(&mut self, name: &str) {
        self.spawn_with(name, &[]).await;
    }

    /// The same, with further settings for this life.
    ///
    /// # Panics
    /// It does not listen.
    pub async fn spawn_with(&mut self, name: &str, further: &[(&str, &str)]) {
        self.launch_with(name, further);
        let port = self.process(name).port().await;
        *self.client_mut(name) = Client::new(port);
    }

    /// Starts the process `name` without waiting until it listens; nobody is its client who is not already.
    pub fn launch(&mut self, name: &str) {
        self.launch_with(name, &[]);
    }

    fn launch_with(&mut self, name: &str, further: &[(&str, &str)]) {
        let service = name.split('-').next().unwrap();
        let mut settings = self.settings.clone();
        settings.extend(
            [
                ("HTTP_PORT", self.port_of(name).to_string()),
                ("DATABASE_URL", self.database(service)),
                self.mail.setting(),
                ("KAFKA_GROUP", self.group(service)),
                ("KAFKA_VIEW_GROUP", self.group("orders-view")),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let further = further.iter().copied();
        settings.extend(further.map(|(name, value)| (name.to_owned(), value.to_owned())));
        self.started += 1;
        let output = self
            .folder
            .path()
            .join(format!("{name}-{}.log", self.started));
        let process = Process::start(service, &settings, output);
        self.processes.insert(name.to_owned(), process);
    }

    /// The port that a process had before; 0 for any.
    fn port_of(&self, name: &str) -> u16 {
        self.known(name).map_or(0, Client::port)
    }

    fn known(&self, name: &str) -> Option<&Client> {
        let instance = name
            .strip_prefix("stock-")
            .and_then(|n| n.parse::<usize>().ok());
        match (name, instance) {
            ("order", _) => Some(&self.order),
            ("email", _) => Some(&self.email),
            ("payment", _) => Some(&self.payment),
            ("shipping", _) => Some(&self.shipping),
            ("webhook", _) => Some(&self.webhook),
            (_, Some(instance)) => self.stock.get(instance),
            (_, None) => self.others.get(name),
        }
    }

    fn client_mut(&mut self, name: &str) -> &mut Client {
        match name {
            "order" => &mut self.order,
            "email" => &mut self.email,
            "payment" => &mut self.payment,
            "shipping" => &mut self.shipping,
            "webhook" => &mut self.webhook,
            _ => {
                let instance = name.strip_prefix("stock-").and_then(|n| n.parse().ok());
                let Some(instance) = instance else {
                    let other = self.others.entry(name.to_owned());
                    return other.or_insert_with(|| Client::new(0));
                };
                let instance: usize = instance;
                if self.stock.len() <= instance {
                    self.stock.resize(instance + 1, Client::new(0));
                }
                &mut self.stock[instance]
            }
        }
    }

    /// The client of the process `name`.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn client(&self, name: &str) -> &Client {
        self.known(name).expect("a process of that name")
    }

    /// Every process that is meant to run.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        let single = [
            &self.order,
            &self.email,
            &self.payment,
            &self.shipping,
            &self.webhook,
        ];
        let stock = self.stock.iter().enumerate();
        let stock = stock.filter(|(instance, _)| !self.gone.contains(&stock_name(*instance)));
        let stock = stock.map(|(_, client)| client);
        single.into_iter().chain(stock).chain(self.others.values())
    }

    /// One instance of the stock service leaves for good: it is asked to end, and does.
    ///
    /// # Panics
    /// It does not within `deadline`, or not well.
    pub async fn dismiss_stock(&mut self, instance: usize, deadline: Duration) {
        let name = stock_name(instance);
        self.gone.insert(name.clone());
        let process = self.process(&name);
        process.signal(Signal::Terminate);
        assert!(process.ended(deadline).await.success(), "{name}");
    }

    /// # Panics
    /// One of the processes ended.
    pub fn nobody_ended(&mut self, names: &[&str]) {
        for name in names {
            let process = self.process(name);
            let running = process.is_running();
            assert!(running, "{name} ended by itself:\n{}", process.output());
        }
    }

    /// Waits until every service says that it is ready.
    ///
    /// # Panics
    /// One does not.
    pub async fn until_ready(&self) {
        for client in self.clients() {
            eventually("readiness", || async {
                let answer = client.try_get("/health/ready").await.ok()?;
                (answer.status == 200).then_some(())
            })
            .await;
        }
    }

    /// Places an order; returns its id.
    ///
    /// # Panics
    /// It is not accepted.
    pub async fn place(&self, product: &str, qty: i64) -> String {
        self.place_body(&order(product, qty)).await
    }

    /// Places an order with this body; returns its id.
    ///
    /// # Panics
    /// It is not accepted.
    pub async fn place_body(&self, body: &Value) -> String {
        let answer = self.order.post("/api/v1/orders", body, &[]).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.member("orderId")
    }

    /// The order once it is at its end.
    pub async fn ended(&self, order_id: &str) -> Value {
        self.reached(order_id, "SHIPPED").await
    }

    /// The order once it is `status`, or further, or at an end.
    pub async fn reached(&self, order_id: &str, status: &str) -> Value {
        let wanted = rank(status);
        let path = format!("/api/v1/orders/{order_id}?wait=10s&until={status}");
        eventually(status, || async {
            let answer = self.order.try_get(&path).await.ok()?;
            let there = answer.status == 200 && rank(&answer.member("status")) >= wanted;
            there.then(|| answer.json())
        })
        .await
    }

    /// The mails of an order, once there are `expected` that were sent.
    pub async fn mails(&self, order_id: &str, expected: usize) -> Vec<Value> {
        let path = format!("/api/v1/emails?orderId={order_id}");
        eventually("mails", || async {
            let answer = self.email.try_get(&path).await.ok()?;
            let mails = answer.json()["emails"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let sent = mails.iter().filter(|mail| mail["state"] == "sent").count();
            (sent >= expected).then_some(mails)
        })
        .await
    }

    /// The shipment of an order, once it is in this state.
    pub async fn shipment_becomes(&self, order_id: &str, state: &str) -> Value {
        let path = format!("/api/v1/shipments/{order_id}");
        becomes(&self.shipping, &path, state).await
    }

    /// The payment of an order, once it is in this state.
    pub async fn payment_becomes(&self, order_id: &str, state: &str) -> Value {
        let path = format!("/api/v1/payments/{order_id}");
        becomes(&self.payment, &path, state).await
    }

    /// Waits until the available, reserved and shipped pieces of `product` are these: the stock
    /// service reads of an end as everybody does.
    pub async fn stock_becomes(&self, product: &str, pieces: (i64, i64, i64)) {
        let what = format!("{pieces:?} of {product}");
        eventually(&what, || async {
            (self.stock_of(product).await == pieces).then_some(())
        })
        .await;
    }

    /// Available, reserved and shipped pieces of `product`.
    pub async fn stock_of(&self, product: &str) -> (i64, i64, i64) {
        let answer = self.stock[0].get(&format!("/api/v1/stock/{product}")).await;
        let json = answer.json();
        let pieces = |name: &str| json[name].as_i64().expect("a number");
        (pieces("available"), pieces("reserved"), pieces("shipped"))
    }
}

async fn becomes(service: &Client, path: &str, state: &str) -> Value {
    eventually(state, || async {
        let answer = service.try_get(path).await.ok()?;
        let there = answer.status == 200 && answer.member("state") == state;
        there.then(|| answer.json())
    })
    .await
}

/// The tutorial's order.
#[must_use]
pub fn order(product: &str, qty: i64) -> Value {
    json!({"name": product, "qty": qty, "price": 10000.0})
}

/// How far a status is; ends are the furthest.
fn rank(status: &str) -> i64 {
    status.parse::<OrderStatus>().unwrap().rank()
}
