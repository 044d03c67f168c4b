//! The whole system in this process: broker, services and their databases.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use service_runtime::config::ConfigError;
use service_runtime::kafka::KafkaConfig;
use service_runtime::lifecycle::{ServiceConfig, Shutdown};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::client::http_client;
use crate::embedded::{EmbeddedBroker, EmbeddedBrokerError};
use crate::ports::{PortError, Ports};

/// How long the services may take to get ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long the services may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// Between two looks at a service that is not ready.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// What the environment may change.
const DEFAULTS: [(&str, &str); 4] = [
    // The embedded broker does not wake a waiting fetch: ask often.
    ("KAFKA_FETCH_WAIT_MAX", "10ms"),
    ("KAFKA_SESSION_TIMEOUT", "6s"),
    // Who tries webhooks here has the receiver on this machine.
    ("WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "true"),
    // Open connections must not hold Ctrl-C back.
    ("HTTP_DRAIN_TIMEOUT", "2s"),
];

/// Why the system did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// A port is taken.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The broker did not start.
    #[error("the embedded broker did not start (--kafka-port PORT chooses another port)")]
    Broker(#[from] EmbeddedBrokerError),
    /// No temporary folder.
    #[error("the temporary folder cannot be made")]
    Folder(#[source] std::io::Error),
    /// A listener does not know its address.
    #[error("a listener has no address")]
    Address(#[source] std::io::Error),
    /// A setting from the environment cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A service ended although nobody asked it to.
    #[error("the {name} ended: {reason}")]
    ServiceEnded {
        /// The service.
        name: &'static str,
        /// What it said.
        reason: String,
    },
    /// A service does not get ready.
    #[error("not ready within {READY_WITHIN:?}: {report}")]
    NotReady {
        /// What it waits for.
        report: String,
    },
}

/// Base URLs of the services, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    /// The order service.
    pub order: String,
    /// The stock service.
    pub stock: String,
    /// The email service.
    pub email: String,
    /// The payment service.
    pub payment: String,
    /// The shipping service.
    pub shipping: String,
    /// The webhook service.
    pub webhook: String,
}

impl Urls {
    /// All of them.
    fn all(&self) -> [&str; 6] {
        [
            &self.order,
            &self.stock,
            &self.email,
            &self.payment,
            &self.shipping,
            &self.webhook,
        ]
    }
}

/// The running system.
#[derive(Debug)]
pub struct System {
    urls: Urls,
    smtp: bool,
    shutdown: Shutdown,
    services: JoinSet<(&'static str, anyhow::Result<()>)>,
    // Dropped in this order: the services stop before the broker, the folder goes last.
    broker: EmbeddedBroker,
    folder: TempDir,
}

impl System {
    /// [`launch`](Self::launch) and [`until_ready`](Self::until_ready) in one.
    ///
    /// # Errors
    /// Theirs.
    pub async fn start(
        ports: &Ports,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, SystemError> {
        let mut system = Self::launch(ports, environment).await?;
        match system.until_ready().await {
            Ok(()) => Ok(system),
            Err(error) => {
                if let Err(error) = system.stop().await {
                    tracing::debug!(%error, "What did not get ready did not end well either.");
                }
                Err(error)
            }
        }
    }

    /// Starts everything. `environment` is what a service would find in its own, for instance
    /// `LOG_LEVEL` or `SMTP_URL`.
    ///
    /// # Errors
    /// A port is taken, or a setting cannot be used.
    pub async fn launch(
        ports: &Ports,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, SystemError> {
        let order = ports.order.listen().await?;
        let stock = ports.stock.listen().await?;
        let email = ports.email.listen().await?;
        let payment = ports.payment.listen().await?;
        let shipping = ports.shipping.listen().await?;
        let webhook = ports.webhook.listen().await?;
        let urls = Urls {
            order: url(&order)?,
            stock: url(&stock)?,
            email: url(&email)?,
            payment: url(&payment)?,
            shipping: url(&shipping)?,
            webhook: url(&webhook)?,
        };
        let set = |name: &str| environment.get(name).is_some_and(|value| !value.is_empty());
        let mut system = Self {
            urls,
            smtp: set("SMTP_URL") || set("SMTP_URL_FILE"),
            shutdown: Shutdown::new(),
            services: JoinSet::new(),
            broker: EmbeddedBroker::start(ports.kafka.number)?,
            folder: TempDir::with_prefix("quickstart-").map_err(SystemError::Folder)?,
        };
        system.spawn("order service", order, environment, order_service::run_on)?;
        system.spawn("stock service", stock, environment, stock_service::run_on)?;
        system.spawn("email service", email, environment, email_service::run_on)?;
        system.spawn(
            "payment service",
            payment,
            environment,
            payment_service::run_on,
        )?;
        system.spawn(
            "shipping service",
            shipping,
            environment,
            shipping_service::run_on,
        )?;
        system.spawn(
            "webhook service",
            webhook,
            environment,
            webhook_service::run_on,
        )?;
        Ok(system)
    }

    fn spawn<C: ServiceConfig, F>(
        &mut self,
        name: &'static str,
        listener: TcpListener,
        environment: &BTreeMap<String, String>,
        run: fn(TcpListener, C, Shutdown) -> F,
    ) -> Result<(), SystemError>
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (config, _) = C::load(None, self.settings(name, environment))?;
        let running = run(listener, config, self.shutdown.clone());
        self.services.spawn(async move { (name, running.await) });
        Ok(())
    }

    /// What one process on one machine asks for; the rest is as everywhere else.
    fn settings(
        &self,
        name: &str,
        environment: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut settings: BTreeMap<_, _> = DEFAULTS
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        settings.extend(environment.clone());
        // One name for services that each need a group of their own.
        settings.remove("KAFKA_GROUP");
        let wiring = self.wiring(name);
        // `NAME_FILE` is another way to say `NAME`, and both together are an error.
        settings.retain(|name, _| {
            let meant = name.strip_suffix("_FILE").unwrap_or(name);
            !wiring.contains_key(meant)
        });
        settings.extend(wiring);
        settings
    }

    /// What holds the parts together: nothing changes it.
    fn wiring(&self, name: &str) -> BTreeMap<String, String> {
        let kafka = self.kafka();
        let database = self
            .folder
            .path()
            .join(format!("{}.db", name.replace(' ', "-")));
        [
            ("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers),
            // The embedded broker offers nothing else.
            ("KAFKA_SECURITY_PROTOCOL", kafka.security_protocol),
            ("KAFKA_TOPIC", kafka.topic),
            ("KAFKA_TOPIC_PARTITIONS", kafka.partitions.to_string()),
            ("DATABASE_URL", format!("sqlite://{}", database.display())),
            ("EMAIL_FOLDER", self.mails().display().to_string()),
            ("HTTP_ADDRESS", Ipv4Addr::LOCALHOST.to_string()),
            ("PUBLIC_URL", self.urls.order.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Waits until all services are ready.
    ///
    /// # Errors
    /// One ended, or they are not ready in time.
    pub async fn until_ready(&mut self) -> Result<(), SystemError> {
        let client = http_client();
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        for url in self.urls.all() {
            loop {
                let report = match client.get(format!("{url}/health/ready")).send().await {
                    Ok(answer) if answer.status().is_success() => break,
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                };
                if let Some(ended) = self.services.try_join_next() {
                    return Err(service_ended(ended));
                }
                if tokio::time::Instant::now() >= deadline {
                    return Err(SystemError::NotReady { report });
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    /// Where the services are.
    #[must_use]
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// Where Kafka clients connect.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        self.broker.bootstrap_servers()
    }

    /// How a client of this process reaches the log.
    #[must_use]
    pub fn kafka(&self) -> KafkaConfig {
        let mut config = KafkaConfig::for_bootstrap(self.bootstrap_servers(), "quickstart");
        config.fetch_wait_max = Duration::from_millis(10);
        config
    }

    /// Where mail is written; `None` if it is sent by SMTP.
    #[must_use]
    pub fn mail_folder(&self) -> Option<PathBuf> {
        (!self.smtp).then(|| self.mails())
    }

    fn mails(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// Where the databases are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits for a service to end by itself, which it never should.
    pub async fn failed(&mut self) -> SystemError {
        match self.services.join_next().await {
            Some(ended) => service_ended(ended),
            None => std::future::pending().await,
        }
    }

    /// Ends the services, then the broker.
    ///
    /// # Errors
    /// What a service failed with while it ended.
    pub async fn stop(mut self) -> Result<(), SystemError> {
        self.shutdown.trigger();
        let mut result = Ok(());
        let ended = tokio::time::timeout(STOP_WITHIN, async {
            while let Some(ended) = self.services.join_next().await {
                if !matches!(ended, Ok((_, Ok(())))) {
                    result = Err(service_ended(ended));
                }
            }
        });
        if ended.await.is_err() {
            tracing::warn!("Not every service ended in time.");
        }
        self.broker.stop()?;
        result
    }
}

fn url(listener: &TcpListener) -> Result<String, SystemError> {
    let address = listener.local_addr().map_err(SystemError::Address)?;
    Ok(format!("http://{address}"))
}

fn service_ended(
    ended: Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>,
) -> SystemError {
    let (name, reason) = match ended {
        Ok((name, Ok(()))) => (name, "by itself".to_owned()),
        Ok((name, Err(error))) => (name, format!("{error:#}")),
        Err(error) => ("system", error.to_string()),
    };
    SystemError::ServiceEnded { name, reason }
}
