//! The system and the servers that it needs, each where it can be disturbed.

use std::collections::BTreeMap;

use integration_tests::broker::{self, Choice};
use integration_tests::log::Log;
use integration_tests::{Process, Signal, System, SystemBuilder};
use tempfile::TempDir;
use test_support::Proxy;
use test_support::containers::{KafkaBehind, PostgresServer};
use tokio::task::block_in_place;

use crate::plan::{Field, Operation, Server};

/// What there is of each product: the first two for nearly everybody, the last for nearly nobody.
pub(crate) const STOCK: [(&str, i64); 3] =
    [("book order", 9000), ("notebook", 1500), ("last copy", 1)];

/// As usual, and a second instance of those that may have one.
const PROCESSES: [&str; 10] = [
    "order",
    "order-1",
    "email",
    "payment",
    "shipping",
    "webhook",
    "stock-0",
    "stock-1",
    "payment-1",
    "shipping-1",
];
const SECOND: [&str; 3] = ["order-1", "payment-1", "shipping-1"];
/// Members of every group that come and go.
const VISITORS: [&str; 6] = [
    "order-9",
    "email-9",
    "payment-9",
    "shipping-9",
    "webhook-9",
    "stock-9",
];

pub(crate) struct World {
    // Before what its processes need.
    pub(crate) system: System,
    broker: Broker,
    postgres: Option<(PostgresServer, Proxy)>,
    /// Where the broker writes its output, if it is a process.
    _folder: TempDir,
}

enum Broker {
    Container(Box<KafkaBehind>, Proxy),
    /// An embedded one: it has everything in memory, so it is frozen at most.
    Process(Process),
    /// Somebody else's.
    Given,
}

impl World {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = SystemBuilder::new()
            .keep_mail()
            .set("KAFKA_DELIVERY_TIMEOUT", "3s")
            // What a service waits for at its end can be frozen for ten seconds, more than once.
            .set("SHUTDOWN_TIMEOUT", "60s")
            // What a frozen process or a lost connection has locked is free again after this.
            .set("DATABASE_STATEMENT_TIMEOUT", "3s")
            // Long enough that some cancellations meet a paid order, and some a shipped one.
            .set("SHIPPING_DISPATCH_DELAY", "300ms")
            .set("PAYMENT_TIMEOUT", "200ms")
            .set("PAYMENT_RETRY_MAX_DELAY", "1s")
            .set("PAYMENT_CONCURRENCY", "16")
            .set("PAYMENT_PAUSE_AFTER", "1000000")
            .set("EMAIL_RETRY_MAX_DELAY", "2s")
            .set("WEBHOOK_RETRY_MAX_DELAY", "2s");
        let mut postgres = None;
        let (broker, servers, direct) = match broker::choose().unwrap() {
            Choice::Container => {
                let server = block_in_place(PostgresServer::start_to_be_stopped).unwrap();
                let proxy = Proxy::to(server.url()).await.unwrap();
                builder = builder.databases_on(proxy.url()).stock_instances(2);
                builder = SECOND
                    .iter()
                    .fold(builder, |builder, name| builder.also(name));
                postgres = Some((server, proxy));
                behind_a_proxy().await
            }
            Choice::Embedded { .. } => embedded(&folder).await,
            Choice::Given(servers) => (Broker::Given, servers.clone(), servers.clone()),
        };
        let mut system = builder.on(&servers).start().await;
        // What is written and read by hand takes the way that nobody disturbs.
        system.log = Log::new(&direct, system.log.topic());
        Self {
            system,
            broker,
            postgres,
            _folder: folder,
        }
    }

    /// What can be disturbed here.
    pub(crate) fn field(&self) -> Field {
        let on_postgres = self.postgres.is_some();
        let has_one = |name: &&str| !SECOND.contains(name) && *name != "stock-1";
        let processes = PROCESSES.iter().filter(|name| on_postgres || has_one(name));
        let visitors = VISITORS.iter().filter(|_| on_postgres);
        let names =
            |names: &mut dyn Iterator<Item = &&str>| names.map(|n| (*n).to_owned()).collect();
        let both = vec![Server::Broker, Server::Postgres];
        let (servers, ways) = match self.broker {
            Broker::Container(..) => (both.clone(), both),
            Broker::Process(_) => (vec![Server::Broker], vec![]),
            Broker::Given => (vec![], vec![]),
        };
        Field {
            processes: names(&mut { processes }),
            visitors: names(&mut { visitors }),
            containers: on_postgres,
            servers,
            ways,
        }
    }

    /// The proxy before a server.
    pub(crate) fn way(&self, server: Server) -> &Proxy {
        match (server, &self.broker, &self.postgres) {
            (Server::Broker, Broker::Container(_, proxy), _) => proxy,
            (Server::Postgres, _, Some((_, proxy))) => proxy,
            _ => panic!("no proxy before {server:?}"),
        }
    }

    /// How many connections to PostgreSQL were reset instead of an answer to COMMIT.
    pub(crate) fn commits_cut(&self) -> usize {
        let proxy = self.postgres.as_ref().map(|(_, proxy)| proxy);
        proxy.map_or(0, Proxy::replies_cut)
    }

    /// Disturbs a server.
    pub(crate) fn disturb(&self, server: Server, operation: &Operation) {
        let done = block_in_place(|| match (server, operation, &self.broker, &self.postgres) {
            (Server::Broker, Operation::Kill, Broker::Container(kafka, _), _) => kafka.kill(),
            (Server::Broker, Operation::End, Broker::Container(kafka, _), _) => kafka.stop(),
            (Server::Broker, Operation::Freeze, Broker::Container(kafka, _), _) => kafka.freeze(),
            (Server::Broker, Operation::Freeze, Broker::Process(process), _) => {
                process.signal(Signal::Stop);
                Ok(())
            }
            (Server::Postgres, Operation::Kill, _, Some((server, _))) => server.kill(),
            (Server::Postgres, Operation::End, _, Some((server, _))) => server.stop(),
            (Server::Postgres, Operation::Freeze, _, Some((server, _))) => server.freeze(),
            other => Err(format!("{:?} of {server:?}", other.1)),
        });
        done.unwrap();
    }

    /// Undoes that.
    pub(crate) fn restore(&self, server: Server, operation: &Operation) {
        let froze = *operation == Operation::Freeze;
        let done = block_in_place(|| match (server, &self.broker, &self.postgres) {
            (Server::Broker, Broker::Container(kafka, _), _) if froze => kafka.thaw(),
            (Server::Broker, Broker::Container(kafka, _), _) => kafka.start_again(),
            (Server::Broker, Broker::Process(process), _) => {
                process.signal(Signal::Continue);
                Ok(())
            }
            (Server::Postgres, _, Some((server, _))) if froze => server.thaw(),
            (Server::Postgres, _, Some((server, _))) => server.start_again(),
            _ => Err(format!("{server:?}")),
        });
        done.unwrap();
    }
}

async fn behind_a_proxy() -> (Broker, String, String) {
    let proxy = Proxy::listen().await.unwrap();
    let address = proxy.address();
    let kafka = block_in_place(|| KafkaBehind::start(address.port())).unwrap();
    proxy.lead_to("127.0.0.1", kafka.proxied());
    let direct = kafka.bootstrap_servers();
    let broker = Broker::Container(Box::new(kafka), proxy);
    (broker, address.to_string(), direct)
}

async fn embedded(folder: &TempDir) -> (Broker, String, String) {
    let output = folder.path().join("broker.log");
    let mut process = Process::start("broker", &BTreeMap::new(), output);
    let address = format!("127.0.0.1:{}", process.port().await);
    (Broker::Process(process), address.clone(), address)
}
