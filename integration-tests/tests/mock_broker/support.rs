//! A mock broker and services on it.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_tests::log::Log;
use integration_tests::{Client, Process, eventually};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::DefaultProducerContext;
use tempfile::TempDir;

/// Longest time from a signal, or from an error for good, to the end of a process.
pub(crate) const END: Duration = Duration::from_secs(30);

const PARTITIONS: i32 = 3;

/// Of the services that are started on it.
const GROUPS: [&str; 7] = [
    "order",
    "orders-view",
    "stock",
    "email",
    "payment",
    "shipping",
    "webhook",
];

/// The broker that is nothing but the groups' coordinator.
pub(crate) const COORDINATOR: i32 = 2;

fn topics() -> Vec<String> {
    let letters = GROUPS.map(|group| format!("orders.{group}.dlt"));
    letters.into_iter().chain(["orders".to_owned()]).collect()
}

/// The broker, and the folder of what the services write.
pub(crate) struct Mock {
    // Alive until every process is gone.
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
    folder: TempDir,
    started: usize,
}

/// A service on it.
pub(crate) struct Service {
    pub(crate) process: Process,
    pub(crate) client: Client,
}

impl Mock {
    pub(crate) fn new() -> Self {
        Self::of(MockCluster::new(1).unwrap())
    }

    /// Two brokers: the first has all that is written, the second is every group's coordinator.
    pub(crate) fn with_a_coordinator() -> Self {
        let mock = Self::of(MockCluster::new(2).unwrap());
        for topic in topics() {
            for partition in 0..PARTITIONS {
                let leads = mock.cluster.partition_leader(&topic, partition, Some(1));
                leads.unwrap();
            }
        }
        for group in GROUPS {
            let group = MockCoordinator::Group(group.to_owned());
            mock.cluster.coordinator(group, COORDINATOR).unwrap();
        }
        mock
    }

    fn of(cluster: MockCluster<'static, DefaultProducerContext>) -> Self {
        for topic in topics() {
            cluster.create_topic(&topic, PARTITIONS, 1).unwrap();
        }
        let folder = TempDir::with_prefix("orders-test-").unwrap();
        Self {
            cluster,
            folder,
            started: 0,
        }
    }

    pub(crate) fn log(&self) -> Log {
        Log::new(&self.cluster.bootstrap_servers(), "orders")
    }

    /// Starts `service` on its database, for the first time or again.
    pub(crate) async fn start(&mut self, service: &str) -> Service {
        self.started += 1;
        let folder = self.folder.path();
        let database = format!("sqlite://{}/{service}.db", folder.display());
        let mail = folder.join("mail").display().to_string();
        let output = folder.join(format!("{service}-{}.log", self.started));
        let settings = BTreeMap::from(
            [
                ("KAFKA_BOOTSTRAP_SERVERS", self.cluster.bootstrap_servers()),
                ("KAFKA_CREATE_TOPICS", "false".to_owned()),
                ("KAFKA_GROUP", service.to_owned()),
                ("KAFKA_FETCH_WAIT_MAX", "10ms".to_owned()),
                ("KAFKA_SESSION_TIMEOUT", "6s".to_owned()),
                ("KAFKA_DELIVERY_TIMEOUT", "2s".to_owned()),
                ("DATABASE_URL", database),
                ("EMAIL_FOLDER", mail),
                ("HTTP_ADDRESS", "127.0.0.1".to_owned()),
                ("HTTP_PORT", "0".to_owned()),
                ("LOG_LEVEL", "info".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let mut process = Process::start(service, &settings, output);
        let client = Client::new(process.port().await);
        Service { process, client }
    }
}

impl Service {
    pub(crate) async fn until_ready(&self) {
        eventually("readiness", || async {
            let answer = self.client.try_get("/health/ready").await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}
